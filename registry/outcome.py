"""Whether a change was made whose COMMIT got no answer: the database is asked, once it answers again.

What a transaction has written to the log has a place there, `(stream, seq)`, and a hash that nothing else has. If that
is there, the change was made, on this server or on the one that took its place. If it is not, it was not made, unless
the process that served us is still at it: one that waits for a COMMIT that got lost is ended, others are waited for.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

SECONDS_BETWEEN_QUESTIONS = 0.1
XIDS = 2**32
"""A process shows the lower half of its transaction's number."""

AT_IT = text(
    "SELECT CASE WHEN state LIKE 'idle in transaction%' THEN pg_terminate_backend(pid) END FROM pg_stat_activity "
    "WHERE pid = :pid AND backend_xid::text = :xid"
)
THERE = text("SELECT true FROM audit.event WHERE stream = :stream AND seq = :seq AND hash = decode(:hash, 'hex')")


@dataclass(frozen=True, slots=True)
class Trace:
    """What a transaction leaves by which it is known again: the last of its events, its number, and who served it."""

    stream: str
    event: str
    """`seq/hash`."""
    xid: int
    pid: int


def trace_of(receipts: Mapping[str, str], xid: str, pid: int) -> Trace:
    """The trace of a transaction that has these receipts, one at least."""
    stream, event = next(iter(receipts.items()))
    return Trace(stream, event, int(xid), pid)


def is_made(engine: Engine, trace: Trace, seconds: float) -> bool | None:
    """Whether the change was made; None: nobody can say, for so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with engine.connect() as connection:
                if (found := _look(connection, trace)) is not None:
                    return found
        except (DBAPIError, PoolTimeoutError):
            pass  # not there yet
        if time.monotonic() > deadline:
            return None
        time.sleep(SECONDS_BETWEEN_QUESTIONS)


def _look(connection: Connection, trace: Trace) -> bool | None:
    """Whether the change is there; None: somebody is still at it.

    Who is at it is asked first, in a statement of its own: what he has done by then, the second one sees.
    """
    at_it = connection.execute(AT_IT, {"pid": trace.pid, "xid": str(trace.xid % XIDS)}).first()
    if at_it is not None:
        return None
    seq, _, hashed = trace.event.partition("/")
    return connection.scalar(THERE, {"stream": trace.stream, "seq": int(seq), "hash": hashed}) is not None
