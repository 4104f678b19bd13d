"""Brings a bundle into an empty registry: in one transaction, so that all of it is there afterwards or nothing.

The rows come in as they are, with their ids, times and authors, without a second history being made of them. What
follows from them is made anew: heads of streams, the sealer's queue, roots of subtrees, sequences. The last event is
the import's own, `system.import`: it stands behind everything that the bundle has.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO

from psycopg2 import Error
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from registry import telling
from registry.bundle import database, guards
from registry.bundle.errors import BundleError, NotAble
from registry.bundle.reading import MAY_BE_LEFT_OUT, Line, Whole, read
from registry.bundle.sections import LEFT_OUT, SECTIONS, Section
from registry.bundle.writing import told
from registry.db import Actor, dressed
from registry.sealer.subtrees import Subtrees

MOST_BYTES, MOST_ROWS = 1 << 20, 1_000
"""Of rows that are sent at once."""
POINTS = ("locked", "loaded", "recorded")
"""Where an import can be when something happens to it; tests interrupt it at each of them."""
REFUSED = ("22", "23", "54")
"""Classes of errors that a row can cause: data, constraints, limits. Source: PostgreSQL manual, appendix A."""
STREAMS = text(
    "INSERT INTO audit.stream SELECT DISTINCT ON (stream) stream, seq, hash, at_us, '0' FROM audit.event "
    "ORDER BY stream, seq DESC"
)
PENDING = text(
    "INSERT INTO audit.pending SELECT id FROM audit.event e "
    "WHERE NOT EXISTS (SELECT FROM audit.seal s WHERE s.event_id = e.id)"
)
NOT_SEALED_SO = text(
    "SELECT s.position FROM audit.seal s JOIN audit.event e ON e.id = s.event_id WHERE s.leaf <> e.hash "
    "ORDER BY s.position LIMIT 1"
)
GO_ON = text("SELECT setval(CAST(:sequence AS regclass), :last)")
RECORD = text("SELECT audit.append('system:import', 'system.import', 'system:import', '{}', CAST(:changes AS jsonb))")


def bring(
    engine: Engine, file: BinaryIO, whole: Whole, actor: Actor, reach: Callable[[str], object] = lambda _: None
) -> None:
    """Bring in the bundle that `whole` says was read from `file`, which stands at its beginning again.

    `reach` is told of each of POINTS.

    :raises BundleError: the file is not the one that was read, or the database refuses one of its rows.
    :raises NotAble: the database does not let us, or somebody works on it.
    """
    with database.in_words(), engine.begin() as connection:
        lock(connection)
        reach("locked")
        with guards.put_aside(connection):
            load(connection, read(file, whole))
            follow(connection, whole)
            reach("loaded")
        record(connection, whole, actor)
        reach("recorded")


def lock(connection: Connection) -> None:
    """Keep everybody else away until the end.

    :raises NotAble: somebody works here, or has begun to.
    """
    names = [*(str(one.table) for one in SECTIONS.values()), *LEFT_OUT]
    connection.exec_driver_sql(f"LOCK TABLE {', '.join(names)} IN ACCESS EXCLUSIVE MODE")
    if not database.is_empty(connection):
        raise NotAble("Somebody has begun to work in this registry: it is not empty any more. Nothing was brought in.")


def load(connection: Connection, lines: Iterable[Line]) -> None:
    """Write the rows, some at a time, each behind those that it refers to."""
    batch: list[Line] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line.text)
        if size >= MOST_BYTES or len(batch) >= MOST_ROWS:
            send(connection, batch)
            batch, size = [], 0
    send(connection, batch)


def send(connection: Connection, batch: list[Line]) -> None:
    """Write some rows.

    :raises BundleError: the database refuses them.
    """
    for section in SECTIONS.values():
        rows = [line for line in batch if line.section is section]
        if not rows:
            continue
        try:
            connection.execute(INSERTS[section.name], {"rows": f"[{','.join(line.text for line in rows)}]"})
        except DBAPIError as error:
            if not (getattr(error.orig, "pgcode", None) or "").startswith(REFUSED):
                raise
            said = next(iter(str(error.orig).strip().splitlines()), "no reason given")
            where = f"lines {rows[0].number} to {rows[-1].number}" if len(rows) > 1 else f"line {rows[0].number}"
            raise BundleError(f"{where}: the database refuses a row of {section.name}: {said}") from error


def insert(section: Section) -> str:
    """The statement that writes rows of a table, given as a JSON array."""
    taken = [
        f"coalesce({name}, convert_to('left out:' || id, 'UTF8'))"  # of another length than any digest: opens nothing
        if (section.name, name) == MAY_BE_LEFT_OUT
        else f'"{name}"'
        for name in section.columns
    ]
    taken += section.following.values()
    columns = ", ".join(f'"{name}"' for name in (*section.columns, *section.following))
    return (
        f"INSERT INTO {section.table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {', '.join(taken)} "  # noqa: S608
        f"FROM json_populate_recordset(NULL::{section.table}, CAST(:rows AS json))"
    )


INSERTS = {name: text(insert(section)) for name, section in SECTIONS.items()}


def grow_subtrees(connection: Connection, size: int) -> None:
    """Make the roots of the subtrees anew, as the sealer does, by way of the driver."""
    driver: Any = connection.connection.dbapi_connection
    try:
        Subtrees(driver).grow(size)
    except Error as error:
        raise dressed("roots of subtrees", error) from error


def follow(connection: Connection, whole: Whole) -> None:
    """Make what follows from the rows.

    :raises BundleError: a position is given to another event than was sealed there.
    """
    wrong = connection.scalar(NOT_SEALED_SO)
    if wrong is not None:
        raise BundleError(f"position {wrong} of the log does not hold the event that was sealed there")
    connection.execute(STREAMS)
    connection.execute(PENDING)
    grow_subtrees(connection, whole.header.counts["seal"])
    for name, last in whole.header.sequences.items():
        if last:
            connection.execute(GO_ON, {"sequence": database.sequence_of(SECTIONS[name]), "last": last})
    for one in SECTIONS.values():
        connection.exec_driver_sql(f"ANALYZE {one.table}")  # for good plans from the first question on


def record(connection: Connection, whole: Whole, actor: Actor) -> None:
    """Have the log say that all this was brought in here, by whom, and from which bundle."""
    header = whole.header
    said = {
        "sha256": whole.sha256,
        "made_at": header.made_at,
        "release": header.release,
        "events": header.counts["event"],
        "origin": header.origin,
        "tokens": header.tokens,
    }
    connection.exec_driver_sql(telling.SAY, told(actor))
    changes = {name: [None, value] for name, value in said.items() if value is not None}
    connection.execute(RECORD, {"changes": json.dumps(changes)})
