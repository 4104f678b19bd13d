"""The database by way of its driver alone: for what is asked rarely, and for the sealer, which is small that way.

A statement is text with `%(name)s` in it; a row is a tuple. Faults are the driver's.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import psycopg2
from psycopg2 import DatabaseError, Error, InterfaceError, OperationalError, extensions

from registry.database_url import DatabaseUrl

Connection = extensions.connection

PASSING_CLASSES = ("08", "40", "53", "57")
"""What PostgreSQL reports when the fault is neither the caller's nor lasting: connection, rollback, resources, operator
intervention. Source: PostgreSQL manual, appendix A."""
LOST = ("08", "57P")
"""The connection is gone: by an accident, or because the server ends it."""
LOCK_NOT_AVAILABLE = "55P03"
READ_ONLY = "25006"
"""Connected to a standby that has not been promoted yet."""


@contextmanager
def connected(url: str, **options: Any) -> Iterator[Connection]:
    """Have a connection of one's own; `options` go before what the URL says.

    :raises Error: there is none.
    """
    with closing(psycopg2.connect(**(DatabaseUrl.parse(url).options() | options))) as connection:
        yield connection


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Commit on leaving the block, roll back on any exception; a connection that is gone does not hide what it was."""
    try:
        yield
    except BaseException:
        with suppress(Error):
            connection.rollback()
        raise
    connection.commit()


def rows(connection: Connection, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    """Return all rows of an answer."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def value(connection: Connection, statement: str, **values: Any) -> Any:
    """Return the first value of the first row; None where there is no row."""
    found = rows(connection, statement, **values)
    return found[0][0] if found else None


def column(connection: Connection, statement: str, **values: Any) -> list[Any]:
    """Return the first value of every row."""
    return [found for found, *_ in rows(connection, statement, **values)]


def execute(connection: Connection, statement: str, **values: Any) -> None:
    """Do what has no answer."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def is_lost(error: BaseException | None) -> bool:
    """Whether it is the connection that failed, before any answer, which carries no code then, or by one."""
    code = code_of(error)
    of_the_connection = isinstance(error, (OperationalError, InterfaceError)) or type(error) is DatabaseError
    return code.startswith(LOST) or (of_the_connection and not code)


def is_passing(error: BaseException | None) -> bool:
    """Whether the same may be done later: the fault is neither ours nor lasting."""
    code = code_of(error)
    return is_lost(error) or code in {LOCK_NOT_AVAILABLE, READ_ONLY} or code[:2] in PASSING_CLASSES


def code_of(error: BaseException | None) -> str:
    """Return PostgreSQL's code of a fault, or nothing."""
    return getattr(error, "pgcode", None) or ""


def first_line(error: BaseException | None) -> str:
    """Return what the server or the driver says, without the hints that follow."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
