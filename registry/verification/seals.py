"""Positions without gaps, and checkpoints that the log's keys have signed and the sealed events bear out."""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from math import inf
from typing import Any, NamedTuple

from registry.ledger.merkle import Frontier
from registry.ledger.note import Checkpoint, NoteError
from registry.verification.findings import Findings
from registry.verification.keys import Keys


class Signed(NamedTuple):
    """A checkpoint as it was found, and where."""

    size: int
    origin: str
    note: str
    source: str


class Span(NamedTuple):
    """The epochs that a key has signed checkpoints of, and one of the last of them."""

    first: int
    last: int
    latest: Signed


class Restore(NamedTuple):
    """What a `system.restore` event admits: one epoch ended and another began, at the position of the event.

    Up to the size `borne_out` the checkpoints from before it still hold.
    """

    ended: str
    began: str
    borne_out: int
    position: int | None


class Seals:
    """Takes the leaves in the order of their positions, and the checkpoints in that of their sizes."""

    def __init__(self, findings: Findings, keys: Keys | None, restores: Iterable[Restore]) -> None:
        self._findings = findings
        self._keys = keys
        self._spans: dict[int, Span] = {}
        """By the place of a key, which epochs it has signed checkpoints of."""
        self._restores = restores
        self._sizes: dict[int, int] = {}
        """By epoch, the size of the largest checkpoint that is borne out."""
        self._admitted: list[tuple[Signed, str, list[Restore]]] = []
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
        for admitted in self._admitted:
            self._judge(*admitted)
        self._refuse_replaced()

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
        epoch = _epoch(checkpoint.origin, self._keys)
        if checkpoint.root == root:
            self._bear_out(one, checkpoint, epoch)
            return
        what = f"of {one.size} events is not borne out: " + (
            f"only {self.tree.size} are sealed" if root is None else f"the first {one.size} have another root"
        )
        later = [each for each in self._restores if _epoch(each.ended, self._keys) >= epoch]
        self._admitted.append((one, what, [each for each in later if each.borne_out < one.size]))

    def _bear_out(self, one: Signed, checkpoint: Checkpoint, epoch: int) -> None:
        """Take note of a checkpoint that the sealed events have the root of; as the log grows, epochs only follow."""
        if self.last is not None and epoch < _epoch(self.last.origin, self._keys):
            self._add(one, "is signed for an epoch that had ended by then")
            return
        self._sizes[epoch] = one.size
        self.last, self.last_note = checkpoint, one.note

    def _judge(self, one: Signed, what: str, restores: list[Restore]) -> None:
        """Let a restore explain it if the epoch that it began was signed: only the sealer begins one."""
        if any(self._signed_since(restore) for restore in restores):
            self.notes.append(f"The checkpoint {one.origin} {what}. A system.restore event says so, and why.")
        else:
            self._add(one, what)

    def _signed_since(self, restore: Restore) -> bool:
        """Whether a checkpoint of the epoch that a restore began, or of a later one, covers the event of it."""
        began = _epoch(restore.began, self._keys)
        sizes = [size for epoch, size in self._sizes.items() if epoch >= began > _epoch(restore.ended, self._keys)]
        return restore.position is not None and max(sizes, default=0) > restore.position

    def _open(self, one: Signed) -> Checkpoint:
        if self._keys is None:
            raise NoteError("there is no key")
        checkpoint, place = self._keys.open(one.note)
        if (checkpoint.size, checkpoint.origin) != (one.size, one.origin):
            raise NoteError("it stands under another origin or size than it was signed for")
        epoch = _epoch(checkpoint.origin, self._keys)
        if epoch == 0:
            raise NoteError(f"it is of the log {checkpoint.origin}")
        span = self._spans.get(place, Span(epoch, epoch, one))
        self._spans[place] = Span(min(epoch, span.first), *max((epoch, one), (span.last, span.latest)))
        return checkpoint

    def _refuse_replaced(self) -> None:
        """A key that another one has replaced signs no more: who finds it later could have it sign what he likes."""
        if self._spans and 0 not in self._spans:
            self._findings.add("checkpoints", "the latest of the keys has signed nothing")
        replaced_at = inf
        for place, span in sorted(self._spans.items()):
            if self._keys is not None and span.last >= replaced_at:
                self._add(
                    span.latest, f"is signed by the key {self._keys.id_of(place)}, which had been replaced by then"
                )
            replaced_at = min(replaced_at, span.first)

    def _add(self, one: Signed, what: str) -> None:
        position = one.size - 1 if one.size else None
        self._findings.add("checkpoints", f"the checkpoint {one.origin}{one.source} {what}", position=position)


def _epoch(origin: str, keys: Keys | None) -> int:
    """The number of the epoch, from 1; 0 if the origin is of another log than the keys."""
    name = keys.name if keys else ""
    if origin == name:
        return 1
    number = origin.removeprefix(f"{name}/")
    return int(number) if number != origin and number.isdecimal() else 0


def in_order(stored: Iterable[Signed], kept: Iterable[Signed]) -> Iterator[Signed]:
    """Checkpoints of the database, which come ordered, and those kept elsewhere, by size."""
    return heapq.merge(stored, sorted(kept))


def outside(note: str, keys: Keys, name: str) -> Signed:
    """A checkpoint that was kept outside the database.

    :raises NoteError: none of the keys has signed it.
    """
    checkpoint, _ = keys.open(note)
    return Signed(checkpoint.size, checkpoint.origin, note, f" (kept in {name})")


def restore_of(line: Mapping[str, Any], position: int | None) -> Restore | None:
    """What a `system.restore` event says."""
    try:
        ended, began = line["changes"]["origin"]
        return Restore(str(ended), str(began), int(line["changes"]["borne_out"][1]), position)
    except (KeyError, TypeError, ValueError, IndexError):
        return None
