"""The sealer: gives every audit event a position in one log, and signs what the log is.

It runs beside the service, off the way of every request. A batch is one transaction; then it signs, remembers what it
signed in a directory of its own (store.py), and only then lets the checkpoint be seen. A crash at any
point so leaves either events without positions, which the next batch takes, or positions not yet signed, which are
taken over after a check: nothing is sealed twice, and no checkpoint that anybody saw is ever contradicted. Where the
database does not hold what was signed, it signs nothing more and says why.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from registry import postgres
from registry.ledger.note import Checkpoint, Note, NoteError, Signer
from registry.postgres import Connection
from registry.sealer.errors import SealerError, StoreError
from registry.sealer.seals import Leaf, Refusal, Seals
from registry.sealer.store import State, Store
from registry.sealer.subtrees import Subtrees

POINTS = ("read", "inserted", "committed", "signed", "saved", "published")
"""Where a batch can be when the power fails; tests stop it at each of them."""
SECONDS_BETWEEN_SIGNS_OF_LIFE = 10
RECENT = 100
"""Checkpoints that are looked through, after a restore, for one that the database still bears out."""
DECIDE = "bring back the right data, or begin a new epoch (registry sealer new-epoch)"


class Sealer:
    """One sealer at work on one database; `reach` is told of each of POINTS."""

    def __init__(
        self, connection: Connection, store: Store, signer: Signer, reach: Callable[[str], object] = lambda _: None
    ) -> None:
        self._connection = connection
        self._seals = Seals(connection)
        self._subtrees = Subtrees(connection)
        self._store = store
        self._signer = signer
        self._reach = reach
        self._kept = _remembered(store, signer)
        self._shown = ""
        self._told: tuple[str, str | None] | None = None
        self._told_at = 0.0

    @property
    def state(self) -> State:
        """What was signed last."""
        return self._kept or State(self._signer.verifier.name)

    def seal(self) -> int:
        """Seal what waits, batch after batch; return how many events that were.

        :raises Refusal: the database does not hold what was signed, or an event is not as it was written.
        """
        try:
            self._take_over()
            sealed = 0
            while count := self._seal_batch():
                sealed += count
        except Refusal as refusal:
            self._tell("refusing", str(refusal))
            raise
        self._tell("sealing", None)
        return sealed

    def _seal_batch(self) -> int:
        with postgres.transaction(self._connection):
            waiting = self._seals.waiting()
            self._reach("read")
            if not waiting:
                return 0
            self._seals.seal(waiting, self.state.tree.size)
            self._subtrees.grow(self.state.tree.size + len(waiting))
            self._reach("inserted")
        self._reach("committed")
        self._sign(self.state.grown(waiting))
        return len(waiting)

    def _sign(self, state: State) -> None:
        """Sign, remember that, and let it be seen, in this order."""
        note = self._signer.sign(Checkpoint(state.epoch_origin, state.tree.size, state.tree.root()))
        self._reach("signed")
        self._keep(replace(state, note=note))
        self._reach("saved")
        self._publish()
        self._reach("published")

    def _keep(self, state: State) -> None:
        self._store.save(state)
        self._kept = state

    def _publish(self) -> None:
        state = self.state
        with postgres.transaction(self._connection):
            self._seals.publish(state.epoch_origin, state.tree.size, state.note)
        if self._shown != state.note:
            self._store.publish(state)
            self._shown = state.note

    # What was sealed before, by us or by somebody else

    def _take_over(self) -> None:
        """See that the database holds what was signed, and finish what a crash has interrupted."""
        with postgres.transaction(self._connection):
            count = self._seals.count()
            if self._kept is None:
                self._refuse_strangers_log(count)
                self._keep(State(self._signer.verifier.name))
            self._refuse_other_log(count)
            grown = self.state.grown(self._not_signed(count))
        if grown.tree.size > self.state.tree.size:
            self._sign(grown)
        elif self.state.note:
            self._publish()

    def _not_signed(self, count: int) -> Iterator[Leaf]:
        """Yield what was sealed but not signed, as far as we remember; refuse where a checkpoint says otherwise."""
        signed, tree = self._signed_later(), self.state.tree.copy()
        for event, leaf in self._seals.sealed(tree.size, count):
            tree.append(leaf)
            if tree.size in signed and signed.pop(tree.size) != tree.root():
                raise Refusal(f"the database does not hold what its checkpoint of {tree.size} was signed for; {DECIDE}")
            yield event, leaf
        if signed:
            raise Refusal(f"{max(signed)} events were signed and {count} are there; {DECIDE}")

    def _signed_later(self) -> dict[int, bytes]:
        """Return size and root of checkpoints in the database beyond what we remember: our memory may be a backup."""
        state = self.state
        signed = {}
        for size, note in self._seals.notes(state.epoch_origin, state.tree.size):
            try:
                found = self._signer.verifier.open(note)
            except NoteError as error:
                raise Refusal(f"the checkpoint of size {size} in the database is not ours: {error}") from None
            if (found.origin, found.size) != (state.epoch_origin, size):
                raise Refusal(f"the checkpoint of size {size} in the database is another one of ours")
            signed[size] = found.root
        return signed

    def _refuse_strangers_log(self, count: int) -> None:
        """Refuse a log that was not sealed from here: our key would vouch for what we never saw."""
        if count or self._seals.last_notes(1):
            raise Refusal(
                "the log was sealed before, but not from this directory: set REGISTRY_SEALER_DIR to the one it was "
                "sealed from; REGISTRY_SEALER=off if that is on another machine; and if it is lost, begin a new epoch "
                "(registry sealer new-epoch)"
            )

    def _refuse_other_log(self, count: int) -> None:
        """Refuse where less is there than was signed, or something else at its end: the log was rewound."""
        state = self.state
        size = state.tree.size
        if count < size:
            raise Refusal(
                f"{size} events were signed and {count} are there: the database was restored or changed; {DECIDE}"
            )
        for event, leaf in self._seals.sealed(max(size - 1, 0), size):
            if (event, leaf.hex()) != (state.last_event, state.last_leaf):
                raise Refusal(
                    f"another event than the signed one stands at position {size - 1}: "
                    f"the database was restored or changed; {DECIDE}"
                )

    # A new epoch

    def new_epoch(self, context: dict[str, str]) -> State:
        """Go on from what the database holds, under a new origin; `context` says who decided that, and why.

        The first event of the epoch, `system.restore`, names what had been signed and what is left of it.

        :raises SealerError: nothing is wrong, so that there is nothing to decide.
        :raises Refusal: a sealed event is not as it was written.
        """
        self._refuse_needless()
        with postgres.transaction(self._connection):
            old, old_root = self._signed_before()
            restored, borne_out = self._rebuilt()
            changes: dict[str, list[Any]] = {
                "origin": [old.origin, restored.epoch_origin],
                "size": [old.size, restored.tree.size],
                "root": [old_root, restored.tree.root().hex()],
                "borne_out": [None, borne_out],
            }
            first = self._seals.restore(context, changes)
            self._seals.seal([first], restored.tree.size)
            self._subtrees.rebuild(restored.tree.size + 1)
        self._sign(restored.grown([first]))
        self._tell("sealing", None)
        return self.state

    def _refuse_needless(self) -> None:
        try:
            self._take_over()
        except Refusal:
            return
        raise SealerError("The database holds what was signed: there is no need for a new epoch.")

    def _signed_before(self) -> tuple[Checkpoint, str]:
        """Return what was signed last: as we remember it or, with our memory lost, as the database has it."""
        if self._kept is not None:
            state = self._kept
            return Checkpoint(state.epoch_origin, state.tree.size, b""), state.tree.root().hex()
        with suppress(NoteError):
            for note in self._seals.last_notes(1):
                found = Checkpoint.parse(Note.parse(note).text)
                return found, found.root.hex()
        return Checkpoint(self.state.origin, 0, b""), ""

    def _rebuilt(self) -> tuple[State, int]:
        """Return what the database holds as the start of an epoch, and up to which size a checkpoint bears it out."""
        signed = dict(self._recent())
        state = State(self.state.origin, self._last_epoch() + 1)
        borne_out = 0
        for leaf in self._seals.sealed(0, self._seals.count()):
            state.tree.append(leaf[1])
            if state.tree.size in signed and state.tree.root() == signed[state.tree.size]:
                borne_out = state.tree.size
        return state, borne_out

    def _recent(self) -> Iterator[tuple[int, bytes]]:
        """Yield size and root of recent checkpoints in the database that this key has signed."""
        for note in self._seals.last_notes(RECENT):
            try:
                signed = self._signer.verifier.open(note)
            except NoteError:
                continue
            yield signed.size, signed.root

    def _last_epoch(self) -> int:
        """Return the number of the last epoch that we remember or that the database has checkpoints of."""
        prefix = self.state.origin + "/"
        numbers = [origin.removeprefix(prefix) for origin in self._seals.origins() if origin.startswith(prefix)]
        return max([self.state.epoch, *(int(number) for number in numbers if number.isdecimal())])

    def _tell(self, state: str, why: str | None) -> None:
        """Leave a sign of life in the database: at once where something changed, else now and then."""
        now = time.monotonic()
        if self._told == (state, why) and now < self._told_at + SECONDS_BETWEEN_SIGNS_OF_LIFE:
            return
        with postgres.transaction(self._connection):
            self._seals.tell(state, why)
        self._told, self._told_at = (state, why), now


def _remembered(store: Store, signer: Signer) -> State | None:
    """Return what the directory has as signed last, if this key has signed it.

    :raises StoreError: the directory contradicts itself.
    """
    kept = store.load()
    if kept is not None and kept.note:
        try:
            signed = signer.verifier.open(kept.note)
        except NoteError as error:
            raise StoreError(f"The sealer's key is not the one of its memory ({error}): bring both back.") from None
        if signed != Checkpoint(kept.epoch_origin, kept.tree.size, kept.tree.root()):
            raise StoreError("The sealer's memory is not what it signed: bring it back from a backup.")
    return kept
