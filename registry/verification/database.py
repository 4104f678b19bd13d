"""The questions that a verification asks, in one snapshot and without the right to change anything.

Batches come from cursors of the server, so the log may be of any size; the state of the tables is in memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.pool import NullPool

from registry.verification.captured import Captured
from registry.verification.compare import INTERVALS
from registry.verification.events import Event
from registry.verification.seals import Signed

BATCH = 1_000
"""Events in memory at once: at their longest, 64 MB."""
OPTIONS = "-c timezone=UTC -c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c search_path=pg_catalog"
EVENTS = text(
    "SELECT e.id, e.body, e.hash, e.stream, e.seq, e.at_us, e.actor, e.action, e.object, e.model_id, e.number, "
    "e.request_id, s.position, s.leaf, p.event_id IS NOT NULL AS pending FROM audit.event e "
    "LEFT JOIN audit.seal s ON s.event_id = e.id LEFT JOIN audit.pending p ON p.event_id = e.id ORDER BY e.id"
)
PRIVATE = text(
    "SELECT event_id, field, side, salt, content FROM audit.private "
    "WHERE event_id > :after AND event_id <= :until ORDER BY event_id"
)
STREAMS = text("SELECT stream, seq, encode(head, 'hex'), at_us FROM audit.stream")
LEAVES = text("SELECT position, leaf FROM audit.seal ORDER BY position")
NOTES = text("SELECT size, origin, note FROM audit.checkpoint ORDER BY size, origin")
WITHOUT_EVENT = text(
    "SELECT position FROM audit.seal s WHERE NOT EXISTS (SELECT FROM audit.event e WHERE e.id = s.event_id) "
    "ORDER BY position LIMIT 1"
)
PENDING_WITHOUT_EVENT = text(
    "SELECT count(*) FROM audit.pending p WHERE NOT EXISTS (SELECT FROM audit.event e WHERE e.id = p.event_id)"
)
SIGNED = text("SELECT coalesce(max(size), 0) FROM audit.checkpoint")
NOW = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
SEALED_BY_NOW = text(
    "SELECT s.position < (SELECT max(size) FROM audit.checkpoint) FROM audit.seal s WHERE s.event_id = :event"
)
LAST = 2**63 - 1
STREAMED = {"stream_results": True, "max_row_buffer": BATCH}


class Database:
    """One snapshot of a registry's database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _stream(self, question: Any, **given: Any) -> Iterator[Any]:
        yield from self._connection.execute(question, given, execution_options=STREAMED)

    def events(self) -> Iterator[tuple[Event, dict[tuple[str, str], tuple[bytes, str]]]]:
        """Yield the events in the order of their ids, each with what is kept apart from it."""
        after, result = 0, self._connection.execute(EVENTS, execution_options=STREAMED)
        for batch in result.partitions(BATCH):
            kept = self._private(after, batch[-1].id)
            for row in batch:
                yield Event(*row), kept.pop(row.id, {})
            self.strangers += len(kept)
            after = batch[-1].id
        self.strangers += len(self._private(after, LAST))

    strangers = 0
    """How many events there are texts of, but no rows."""

    def _private(self, after: int, until: int) -> dict[int, dict[tuple[str, str], tuple[bytes, str]]]:
        found: dict[int, dict[tuple[str, str], tuple[bytes, str]]] = {}
        for number, name, side, salt, content in self._connection.execute(PRIVATE, {"after": after, "until": until}):
            found.setdefault(number, {})[name, side] = bytes(salt), content
        return found

    def streams(self) -> dict[str, tuple[int, str, int]]:
        """The heads of all streams: seq, hash, clock."""
        return {stream: (seq, head, at_us) for stream, seq, head, at_us in self._connection.execute(STREAMS)}

    def leaves(self) -> Iterator[tuple[int, bytes]]:
        """Yield positions and leaves."""
        return self._stream(LEAVES)

    def checkpoints(self) -> Iterator[Signed]:
        """Yield the checkpoints by size."""
        for size, origin, note in self._stream(NOTES):
            yield Signed(size, origin, note, "")

    def number(self, question: Any) -> int | None:
        """The answer to a question for one number."""
        answer: int | None = self._connection.scalar(question)
        return answer

    def rows(self, captured: Captured) -> Iterator[dict[str, Any]]:
        """Yield the rows of a table as JSON has them, which is how the log has them; what is NULL is left out."""
        more = ("last_number",) if captured.kind == "registered_model" else ()
        columns = ", ".join(f'"{name}"' for name in (*captured.columns, *more))
        order = ", ".join(f'"{name}"' for name in captured.key)
        question = f"SELECT to_jsonb(t) FROM (SELECT {columns} FROM registry.{captured.table} ORDER BY {order}) t"  # noqa: S608
        for (row,) in self._stream(text(question)):
            yield {name: value for name, value in row.items() if value is not None}

    def intervals(self, table: str) -> Iterator[dict[str, Any]]:
        """Yield intervals, by key and time, the times in microseconds since the epoch."""
        shape = INTERVALS[table]
        times = ", ".join(f"(extract(epoch FROM {name}) * 1000000)::bigint AS {name}_us" for name in ("since", "until"))
        key = ", ".join(shape.key)
        question = (
            f"SELECT {key}, {shape.value}, {times}, opened_seq, closed_seq FROM registry.{table} ORDER BY {key}, since"  # noqa: S608
        )
        for row in self._stream(text(question)):
            yield dict(row._mapping)


@contextmanager
def snapshot(engine: Engine) -> Iterator[Database]:
    """Everything as of one moment."""
    connection = engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with connection, connection.begin():
        yield Database(connection)


def sealed_by_now(engine: Engine, event: int) -> bool:
    """Whether an event was sealed and signed since the snapshot was taken."""
    with engine.connect() as connection:
        return bool(connection.scalar(SEALED_BY_NOW, {"event": event}))


def connect(url: str, timeout: float) -> Engine:
    """An engine that keeps no connections."""
    options = {"connect_timeout": int(timeout), "options": OPTIONS, "application_name": "model-registry-verify"}
    return create_engine(url, poolclass=NullPool, connect_args=options)
