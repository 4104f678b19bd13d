"""The roots of complete subtrees, kept so that a proof does not have to read the whole log.

They follow from the leaf hashes, and nobody has to believe them: a proof made from a wrong one fails.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, text

from registry.ledger.merkle import range_hash

BITS = 8
"""Each subtree has 2 ** BITS below it that are kept too, or so many leaves."""
COUNT = text("SELECT coalesce(max(number) + 1, 0) FROM audit.subtree WHERE height = :height")
LEAVES = text("SELECT leaf FROM audit.seal WHERE position >= :start AND position < :end ORDER BY position")
BELOW = text(
    "SELECT hash FROM audit.subtree WHERE height = :height AND number >= :start AND number < :end ORDER BY number"
)
KEEP = text("INSERT INTO audit.subtree (height, number, hash) VALUES (:height, :number, :hash)")
FORGET = text("DELETE FROM audit.subtree")


class Subtrees:
    """The subtrees of the log, inside the transactions of the caller."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._smallest: int | None = None

    def grow(self, size: int) -> None:
        """Have all subtrees that are complete in a log of `size`; the first time, also what is missing before."""
        if self._smallest == size >> BITS:
            return
        for height in heights(size):
            for number in range(self._count(height), size >> height):
                self._keep(height, number)
        self._smallest = size >> BITS

    def rebuild(self, size: int) -> None:
        """Make all of them anew."""
        self._connection.execute(FORGET)
        self._smallest = None
        self.grow(size)

    def _count(self, height: int) -> int:
        return int(self._connection.scalar(COUNT, {"height": height}) or 0)

    def _keep(self, height: int, number: int) -> None:
        below = {"start": number << BITS, "end": (number + 1) << BITS, "height": height - BITS}
        hashes = map(bytes, self._connection.scalars(LEAVES if height == BITS else BELOW, below))
        self._connection.execute(KEEP, {"height": height, "number": number, "hash": range_hash(hashes)})


def heights(size: int) -> Iterator[int]:
    """Yield the heights of which there are complete subtrees, from the leaves up."""
    height = BITS
    while size >> height:
        yield height
        height += BITS
