"""Hashes of ranges of the log, from a few rows however long the log is.

A range is cut into complete subtrees. The root of one is made from the hashes right below it that are kept: the leaves
(`audit.seal`), or the roots of complete subtrees of 2 ** 8, 2 ** 16, … leaves (`audit.subtree`); 128 at most.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, bindparam, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT
from sqlalchemy.orm import Session

from registry.domain.lookup import settled
from registry.errors import Unavailable
from registry.ledger.merkle import Range, node_hash, range_hash
from registry.tables import AuditSeal, AuditSubtree

BITS = 8
"""Of each 2 ** BITS hashes of one kept height, the next one has one. As the sealer has it, which writes them."""
Kept = dict[tuple[int, int], bytes]
"""Hashes by height and number."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A complete subtree: the kept hashes that it is made from, at their height, from `first` up to before `last`."""

    height: int
    first: int
    last: int

    def root(self, kept: Kept) -> bytes:
        """Its hash."""
        return range_hash(kept[self.height, number] for number in range(self.first, self.last))


def hashes(session: Session, ranges: Sequence[Range]) -> list[bytes]:
    """The hashes of subtrees of the log, given as ranges of positions, as `registry.ledger.merkle` gives them.

    :raises Unavailable: hashes that are needed are not there.
    """
    cut = [list(pieces(*positions)) for positions in ranges]
    kept = fetched(session, [piece for parts in cut for piece in parts])
    try:
        return [joined([piece.root(kept) for piece in parts]) for parts in cut]
    except KeyError:
        raise Unavailable("The hashes of the log are not complete: the sealer completes them when it runs.") from None


def pieces(start: int, end: int) -> Iterator[Piece]:
    """Cut a subtree into complete ones, largest first."""
    while start < end:
        height = (end - start).bit_length() - 1
        below = height - height % BITS
        yield Piece(below, start >> below, (start + (1 << height)) >> below)
        start += 1 << height


def joined(roots: Sequence[bytes]) -> bytes:
    """The root over those of complete subtrees, largest first."""
    *rest, root = roots
    for left in reversed(rest):
        root = node_hash(left, root)
    return root


def fetched(session: Session, wanted: Sequence[Piece]) -> Kept:
    """The kept hashes that pieces are made from, in two questions."""
    leaves = [piece for piece in wanted if piece.height == 0]
    nodes = [piece for piece in wanted if piece.height > 0]
    kept: Kept = {}
    for question, parts in ((LEAVES, leaves), (NODES, nodes)):
        if parts:
            rows = session.execute(question, arrays(parts))
            kept |= {(height, number): bytes(found) for height, number, found in rows}
    return kept


def arrays(parts: Sequence[Piece]) -> dict[str, list[int]]:
    """Pieces as the questions take them."""
    return {name + "s": [getattr(piece, name) for piece in parts] for name in ("height", "first", "last")}


def question(*, of_leaves: bool) -> Select[int, int, bytes]:
    """The question for the leaves, or the roots of subtrees, of all ranges: one index look-up for each of them."""
    columns = [bindparam(name, type_=ARRAY(BIGINT)) for name in ("heights", "firsts", "lasts")]
    ranges = func.unnest(*columns).table_valued("height", "first", "last", name="r").render_derived()
    rows = select(AuditSeal.position.label("number"), AuditSeal.leaf.label("hash"))
    number = AuditSeal.position
    if not of_leaves:
        rows = select(AuditSubtree.number, AuditSubtree.hash).where(AuditSubtree.height == ranges.c.height)
        number = AuditSubtree.number
    rows = rows.where(number >= ranges.c.first, number < ranges.c.last).order_by(number).limit(1 << BITS)
    there = rows.correlate(ranges).lateral("there")
    return select(ranges.c.height, there.c.number, there.c.hash).select_from(ranges).join(there, true())


LEAVES = settled(question(of_leaves=True))
NODES = settled(question(of_leaves=False))
