"""Positions without gaps, and checkpoints that the key has signed and the sealed events bear out."""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from registry.ledger.merkle import Frontier
from registry.ledger.note import Checkpoint, NoteError, Verifier
from registry.verification.findings import Findings


class Signed(NamedTuple):
    """A checkpoint as it was found, and where."""

    size: int
    origin: str
    note: str
    source: str


class Restore(NamedTuple):
    """What a `system.restore` event admits: an epoch ended, and up to this size its checkpoints still hold."""

    borne_out: int


class Seals:
    """Takes the leaves in the order of their positions, and the checkpoints in that of their sizes."""

    def __init__(self, findings: Findings, key: Verifier | None, restores: Mapping[str, Restore]) -> None:
        self._findings = findings
        self._key = key
        self._restores = restores
        self.tree = Frontier()
        self.checkpoints = 0
        self.last: Checkpoint | None = None
        self.last_note = ""
        self.notes: list[str] = []

    def take(self, leaves: Iterable[tuple[int, bytes]], signed: Iterable[Signed]) -> None:
        """Grow the tree over all leaves, and hold each checkpoint against it where it has that size."""
        waiting = iter(signed)
        one = self._hold(waiting, next(waiting, None))
        for position, leaf in leaves:
            if position != self.tree.size:
                self._findings.add(
                    "positions", f"position {position} follows {self.tree.size - 1}", position=self.tree.size
                )
                break
            self.tree.append(bytes(leaf))
            if one is not None and one.size == self.tree.size:
                one = self._hold(waiting, one)
        while one is not None:
            self._compare(one, None)
            one = next(waiting, None)

    def _hold(self, waiting: Iterator[Signed], one: Signed | None) -> Signed | None:
        """Compare all checkpoints of the tree's size; return the next larger one."""
        while one is not None and one.size <= self.tree.size:
            self._compare(one, self.tree.root())
            one = next(waiting, None)
        return one

    def _compare(self, one: Signed, root: bytes | None) -> None:
        self.checkpoints += 1
        try:
            checkpoint = self._open(one)
        except NoteError as error:
            self._add(one, f"is not signed: {error}")
            return
        if checkpoint.root == root:
            if self.last is None or _epoch(checkpoint, self._key) >= _epoch(self.last, self._key):
                self.last, self.last_note = checkpoint, one.note
            return
        what = f"of {one.size} events is not borne out: " + (
            f"only {self.tree.size} are sealed" if root is None else f"the first {one.size} have another root"
        )
        restore = self._restores.get(one.origin)
        if restore is not None and one.size > restore.borne_out:
            self.notes.append(f"The checkpoint {one.origin} {what}. A system.restore event says so, and why.")
        else:
            self._add(one, what)

    def _open(self, one: Signed) -> Checkpoint:
        if self._key is None:
            raise NoteError("there is no key")
        checkpoint = self._key.open(one.note)
        if (checkpoint.size, checkpoint.origin) != (one.size, one.origin):
            raise NoteError("it stands under another origin or size than it was signed for")
        if _epoch(checkpoint, self._key) == 0:
            raise NoteError(f"it is of the log {checkpoint.origin}")
        return checkpoint

    def _add(self, one: Signed, what: str) -> None:
        position = one.size - 1 if one.size else None
        self._findings.add("checkpoints", f"the checkpoint {one.origin}{one.source} {what}", position=position)


def _epoch(checkpoint: Checkpoint, key: Verifier | None) -> int:
    """The number of the epoch, from 1; 0 if the checkpoint is of another log than the key."""
    name = key.name if key else ""
    if checkpoint.origin == name:
        return 1
    number = checkpoint.origin.removeprefix(f"{name}/")
    return int(number) if number != checkpoint.origin and number.isdecimal() else 0


def in_order(stored: Iterable[Signed], kept: Iterable[Signed]) -> Iterator[Signed]:
    """Checkpoints of the database, which come ordered, and those kept elsewhere, by size."""
    return heapq.merge(stored, sorted(kept))


def outside(note: str, key: Verifier, name: str) -> Signed:
    """A checkpoint that was kept outside the database.

    :raises NoteError: the key has not signed it.
    """
    checkpoint = key.open(note)
    return Signed(checkpoint.size, checkpoint.origin, note, f" (kept in {name})")


def restore_of(line: Mapping[str, Any]) -> tuple[str, Restore] | None:
    """The epoch that a `system.restore` event ends, and what of it holds."""
    try:
        return str(line["changes"]["origin"][0]), Restore(int(line["changes"]["borne_out"][1]))
    except (KeyError, TypeError, ValueError, IndexError):
        return None
