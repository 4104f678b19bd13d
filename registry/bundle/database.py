"""What is asked of a database to write a bundle, or to hold one against it: its rows in order, in one snapshot."""

import heapq
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from psycopg2 import errorcodes
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from registry import schema
from registry.bundle.errors import BundleError, NotAble
from registry.bundle.reading import MAY_BE_LEFT_OUT
from registry.bundle.sections import SECTIONS, Rank, Section
from registry.db import translate

BATCH = 250
"""Rows in memory at once, of each table that is read at the same time."""
OPTIONS = (
    "-c timezone=UTC -c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c search_path=pg_catalog "
    "-c lock_timeout=5s -c bytea_output=hex -c client_encoding=UTF8"
)
REVISION = text("SELECT version_num FROM registry.alembic_version")
MAY_COUNT = text("SELECT has_sequence_privilege(:sequence, 'USAGE, SELECT')")
LAST_VALUE = text("SELECT last_value FROM pg_sequences WHERE format('%I.%I', schemaname, sequencename) = :sequence")
HIGHEST_EVENT = text("SELECT max(id) FROM audit.event")
LATEST = text("SELECT origin, note FROM audit.checkpoint ORDER BY created_at DESC, size DESC LIMIT 1")


class Stored(NamedTuple):
    """A row in the database, as it stands in a bundle."""

    rank: Rank
    section: Section
    text: str


def connect(url: str, timeout: float) -> Engine:
    """An engine that keeps no connections; statements may take their time."""
    options = {"connect_timeout": int(timeout), "options": OPTIONS, "application_name": "model-registry-bundle"}
    return create_engine(url, poolclass=NullPool, connect_args=options)


@contextmanager
def in_words() -> Iterator[None]:
    """Let what a database can be expected to refuse be said in a line.

    :raises NotAble: it does not let us, or not now.
    """
    try:
        yield
    except DBAPIError as error:
        code: str = getattr(error.orig, "pgcode", None) or ""
        said = next(iter(str(error.orig).strip().splitlines()), "no reason given")
        if code == errorcodes.INSUFFICIENT_PRIVILEGE:
            raise NotAble(f"The database does not let this user do it ({said}).") from error
        if code == errorcodes.LOCK_NOT_AVAILABLE:
            raise NotAble(
                "Somebody works on this database: stop the service and the sealer, then try again."
            ) from error
        if translate(error) is None:
            raise
        raise NotAble(f"The database stopped answering or refused ({said}). Try again.") from error


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Everything as of one moment."""
    connection = engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with connection, connection.begin():
        yield connection


def revision(connection: Connection) -> str:
    """The revision of the schema, which is the one that this release knows all columns of.

    :raises BundleError: it is a newer one.
    """
    found = str(connection.scalar(REVISION))
    if found != schema.head():
        raise BundleError(
            f"the database is at revision {found}, and this release knows what belongs into a bundle at "
            f"{schema.head()}: use the release that has upgraded it."
        )
    return found


def count(connection: Connection, section: Section) -> int:
    """How many rows a table has."""
    return int(connection.scalar(text(f"SELECT count(*) FROM {section.table}")) or 0)  # noqa: S608 (our own names)


def highest(connection: Connection, section: Section) -> int | None:
    """The highest id that a table ever gave, also to rows that are gone.

    :raises NotAble: this user may not know.
    """
    sequence = sequence_of(section)
    found: int | None
    if section.name == "event":  # of which none ever goes, so that nobody has to be let at its sequence
        found = connection.scalar(HIGHEST_EVENT)
    elif connection.scalar(MAY_COUNT, {"sequence": sequence}):
        found = connection.scalar(LAST_VALUE, {"sequence": sequence})
    else:
        raise NotAble(f"The database does not let this user do it (no right to read {sequence}).")
    return found


def sequence_of(section: Section) -> str:
    """The sequence of a table's ids."""
    return f"{section.table}_id_seq"


def latest_checkpoint(connection: Connection) -> tuple[str | None, str | None]:
    """Origin and note of what was signed last."""
    found = connection.execute(LATEST).one_or_none()
    return (None, None) if found is None else (found.origin, found.note)


def rows(connection: Connection, stage: tuple[Section, ...], *, tokens: bool) -> Iterator[Stored]:
    """Yield the rows of a stage in their order, from cursors of the server.

    With `tokens` false the digests of tokens are left out.
    """
    yield from heapq.merge(*(table(connection, section, tokens=tokens) for section in stage))


def table(connection: Connection, section: Section, *, tokens: bool) -> Iterator[Stored]:
    """Yield the rows of a table by its key."""
    question = text(question_of(section, tokens=tokens))
    found = connection.execute(question, execution_options={"stream_results": True, "max_row_buffer": BATCH})
    for *key, row in found:
        yield Stored(section.rank(dict(zip(section.key, key, strict=True))), section, row)


def question_of(section: Section, *, tokens: bool) -> str:
    """The question for the rows of a table: the key as a bundle has it, and the row as JSON."""
    columns = [
        f"NULL::bytea AS {name}" if (section.name, name) == MAY_BE_LEFT_OUT and not tokens else f't."{name}"'
        for name in section.columns
    ]
    key = [f"to_json(t.\"{name}\") #>> '{{}}'" if kind == "time" else f't."{name}"' for name, kind in section.kinds]
    order = [f't."{name}" COLLATE "C"' if kind == "text" else f't."{name}"' for name, kind in section.kinds]
    if section.name == "checkpoint":
        order.reverse()
    return (
        f"SELECT {', '.join(key)}, (SELECT row_to_json(r)::text FROM (SELECT {', '.join(columns)}) r) "  # noqa: S608
        f"FROM {section.table} t ORDER BY {', '.join(order)}"
    )


def is_empty(connection: Connection) -> bool:
    """Whether there is nothing yet of what a bundle has."""
    there = " OR ".join(f"EXISTS (SELECT FROM {section.table})" for section in SECTIONS.values())
    return not connection.scalar(text(f"SELECT {there}"))
