"""What is counted: of each request, of each refusal, of each move of a version.

A label is never the name of a model or of a person: every set of values is closed, so that a registry of a million
models has as many series as an empty one.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable

from sqlalchemy.pool import QueuePool

from registry.facts import Fact
from registry.metrics.board import Board

REQUESTS = "registry_requests"
SECONDS = "registry_request_seconds"
REFUSALS = "registry_refusals"
TRANSITIONS = "registry_transitions"
READS = "registry_replica_reads"
STARTS = "registry_worker_starts"
KEPT = "registry_kept_answers"

COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    REQUESTS: ("Requests answered.", ("face", "method", "route", "status")),
    REFUSALS: ("Requests that the registry itself refused, by the rule that did.", ("face", "rule")),
    TRANSITIONS: ("Versions that went from one stage to another, those that made way included.", ("from", "to")),
    READS: ("Reads that the replica may answer, by who did, and why.", ("by", "why")),
    KEPT: ("Answers that were there already: given again, or outdated by a change.", ("outcome",)),
    STARTS: ("Worker processes that began to serve.", ()),
}
"""What each counter means, and its labels; `_total` comes behind the name."""
HISTOGRAMS: dict[str, tuple[str, tuple[str, ...]]] = {
    SECONDS: ("Seconds from a request's arrival in the application until its answer is ready.", ("face", "route")),
}
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets, seconds; one more takes the rest, and one number more is the sum."""
BUCKETS = len(BOUNDS) + 1


class Meters:
    """Writes to the board what the service does."""

    def __init__(self, board: Board) -> None:
        self.board = board

    def begin(self, part: int) -> None:
        """Count for a worker that has just been forked."""
        self.board.begin(part)
        self.board.add((STARTS,), 1, {0: 1.0})

    def answered(self, face: str, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request and its time."""
        self.board.add((REQUESTS, face, method, route, str(status)), 1, {0: 1.0})
        slot = bisect_left(BOUNDS, seconds)
        self.board.add((SECONDS, face, route), BUCKETS + 1, {slot: 1.0, BUCKETS: seconds})

    def kept(self, outcome: str) -> None:
        """Count an answer that was there already."""
        self.board.add((KEPT, outcome), 1, {0: 1.0})

    def refused(self, face: str, rule: str) -> None:
        """Count a refusal."""
        self.board.add((REFUSALS, face, rule), 1, {0: 1.0})

    def read(self, *, replica: bool, why: str) -> None:
        """Count a read that the replica answered, or that the primary did and why."""
        self.board.add((READS, "replica" if replica else "primary", why), 1, {0: 1.0})

    def happened(self, facts: Iterable[Fact]) -> None:
        """Count what was committed."""
        for fact in facts:
            self.board.add((TRANSITIONS, fact.was, fact.becomes), 1, {0: 1.0})


def counted(board: Callable[[], Board]) -> type[QueuePool]:
    """A kind of connection pool that shows on the board how many of its connections are in use.

    Not by the pool's events: it tells of no connection that comes back broken.
    """

    class CountedPool(QueuePool):
        """Shows its use after each change of it."""

        __module__ = QueuePool.__module__  # its remarks go where those of other pools go

        def _do_get(self):  # type: ignore[no-untyped-def] # as SQLAlchemy has it, by names it does not export
            record = super()._do_get()
            board().show_connections(self.checkedout)
            return record

        def _do_return_conn(self, record):  # type: ignore[no-untyped-def]
            super()._do_return_conn(record)
            board().show_connections(self.checkedout)

    return CountedPool
