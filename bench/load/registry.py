"""Loads our registry: tables, intervals and the audit log, with COPY and with the triggers off meanwhile.

Whoever measures a registry of a million versions does not want to wait for a million requests. What comes of it is
what those requests would have left: `registry audit verify --db` finds the tables as the log replays them, and the
chain of every stream is whole. Events wait for the sealer then, as events do. That triggers were off is on record in
the log too, since only a superuser may do that.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from bench.load import rows, story
from bench.load.copying import copy
from bench.load.events import COLUMNS, Log
from bench.population import Size
from bench.servers import connect
from registry.ownership import APP

SUPPRESS_FOREIGN_KEYS = "SET LOCAL session_replication_role = replica"
TOLD = "SELECT set_config('app.actor', 'operator', true), set_config('app.request_id', 'load', true)"
PRINCIPALS = "INSERT INTO registry.principals (name) SELECT 'loader-' || n FROM generate_series(1, %s) n"
TRIGGERS = (
    "SELECT t.tgrelid::regclass::text, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
    "WHERE c.relnamespace = 'registry'::regnamespace AND NOT t.tgisinternal AND t.tgenabled = 'A' "
    "AND t.tgname IN ('a_capture', 'b_track') AND t.tgrelid::regclass::text = ANY (%s) ORDER BY 1, 2"
)
NUMBERS = (
    "SELECT setval(pg_get_serial_sequence('registry.registered_models', 'id'), %(models)s), "
    "setval(pg_get_serial_sequence('audit.event', 'id'), %(events)s)"
)


def load(admin_url: str, size: Size, say: Callable[[str], object] = print) -> None:
    """Fill an empty registry, as a superuser."""
    with closing(connect(admin_url)) as connection, connection.cursor() as cursor:
        lines = story.lines(cursor, APP)
        cursor.execute(TOLD)
        cursor.execute(PRINCIPALS, (rows.ACTORS,))
        connection.commit()
        cursor.execute(TOLD)
        with triggers_off(cursor):
            fill(cursor, size, lines, say)
        connection.commit()
        connection.autocommit = True
        cursor.execute("VACUUM ANALYZE")


@contextmanager
def triggers_off(cursor: Any) -> Iterator[None]:
    """Let nothing be captured for the rest of the transaction; and no reference be looked up, since all are right."""
    cursor.execute(TRIGGERS, ([table.partition(" ")[0] for table in rows.TABLES],))
    triggers = cursor.fetchall()
    for table, trigger in triggers:
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")
    cursor.execute(SUPPRESS_FOREIGN_KEYS)
    yield
    for table, trigger in triggers:
        cursor.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")


def fill(cursor: Any, size: Size, lines: dict[str, str], say: Callable[[str], object]) -> None:
    """Copy everything."""
    cursor.execute("SELECT coalesce(max(id), 0) + 1 FROM audit.event")
    first = cursor.fetchone()[0]
    for table, make in rows.TABLES.items():
        copy(cursor, table, make(size), say)
    log = Log(size, lines, first)
    copy(cursor, f"audit.event (id, body, hash, {COLUMNS})", log.rows(), say)
    copy(cursor, "audit.private (event_id, field, side, salt, content)", log.texts, say)
    copy(cursor, "audit.pending (event_id)", ((event,) for event in range(first, log.next_id)), say)
    copy(cursor, "audit.stream (stream, seq, head, at_us, xid)", heads(log), say)
    cursor.execute(NUMBERS, {"models": size.models, "events": log.next_id})


def heads(log: Log) -> Iterable[tuple[object, ...]]:
    """Yield the last event of each stream."""
    for index, (seq, leaf, at_us) in enumerate(log.streams):
        yield f"model:{index + 1}", seq, rf"\\x{leaf}", at_us, 0
