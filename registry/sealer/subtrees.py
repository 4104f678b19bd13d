"""The roots of complete subtrees, kept so that a proof does not have to read the whole log.

They follow from the leaf hashes, and nobody has to believe them: a proof made from a wrong one fails.
"""

from collections.abc import Iterator

from registry import postgres
from registry.ledger.merkle import range_hash
from registry.postgres import Connection

BITS = 8
"""Each subtree has 2 ** BITS below it that are kept too, or so many leaves."""
COUNT = "SELECT coalesce(max(number) + 1, 0) FROM audit.subtree WHERE height = %(height)s"
LEAVES = "SELECT leaf FROM audit.seal WHERE position >= %(start)s AND position < %(end)s ORDER BY position"
BELOW = (
    "SELECT hash FROM audit.subtree WHERE height = %(height)s AND number >= %(start)s AND number < %(end)s "
    "ORDER BY number"
)
KEEP = "INSERT INTO audit.subtree (height, number, hash) VALUES (%(height)s, %(number)s, %(hash)s)"
FORGET = "DELETE FROM audit.subtree"


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
        postgres.execute(self._connection, FORGET)
        self._smallest = None
        self.grow(size)

    def _count(self, height: int) -> int:
        return int(postgres.value(self._connection, COUNT, height=height))

    def _keep(self, height: int, number: int) -> None:
        below = {"start": number << BITS, "end": (number + 1) << BITS, "height": height - BITS}
        found = postgres.rows(self._connection, LEAVES if height == BITS else BELOW, **below)
        together = range_hash(bytes(part) for (part,) in found)
        postgres.execute(self._connection, KEEP, height=height, number=number, hash=together)


def heights(size: int) -> Iterator[int]:
    """Yield the heights of which there are complete subtrees, from the leaves up."""
    height = BITS
    while size >> height:
        yield height
        height += BITS
