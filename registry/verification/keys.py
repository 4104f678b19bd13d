"""The keys that one log was signed with."""

from collections.abc import Sequence

from registry.ledger.note import Checkpoint, NoteError, NotSigned, Verifier


class Keys:
    """The key that signs now, and those before it, the latest first. A log gets another key along with a new epoch."""

    def __init__(self, keys: Sequence[Verifier]) -> None:
        """:raises NoteError: there is none, one twice, or one of another log."""
        if not keys or len({key.key_id for key in keys}) != len(keys):
            raise NoteError("each of a log's keys is named once, and one at least")
        if others := {key.name for key in keys} - {keys[0].name}:
            raise NoteError(f"the key of {', '.join(sorted(others))} is none of {keys[0].name}")
        self._keys = tuple(keys)
        self.name = keys[0].name

    def open(self, written: str) -> tuple[Checkpoint, int]:
        """Return the checkpoint that one of them has signed, and the place of that one: the latest, if several have.

        :raises NoteError: it is no signed checkpoint, or none of them has signed it, or one has signed something else.
        """
        opened: list[tuple[Checkpoint, int]] = []
        faults = []
        for place, key in enumerate(self._keys):
            try:
                opened.append((key.open(written), place))
            except NotSigned as fault:
                faults.append(str(fault))
        if not opened:
            raise NotSigned("; ".join(faults))
        return opened[0]

    def id_of(self, place: int) -> str:
        """What tells a key from the others, in hex."""
        return self._keys[place].key_id.hex()
