"""Statements that the database plans once on each connection, not each time.

To plan one of the registry's frequent questions takes PostgreSQL longer than to answer it. The driver, psycopg2,
prepares nothing itself; so a statement that is `marked` is prepared by SQL the first time that a connection meets it,
and only executed from then on. All of them find rows by their keys, so that the plan is the same whatever is asked for.

A pooler in transaction mode gives each transaction another connection: by way of one, nothing is prepared.
"""

import functools
import hashlib
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Executable, event

PREPARED = "prepared"
PARAMETER = re.compile(r"%(?:\((\w+)\)s|%)")
Marked = TypeVar("Marked", bound=Executable)


def marked(statement: Marked) -> Marked:
    """The same statement, to be prepared where that is possible."""
    return statement.execution_options(**{PREPARED: True})


def install(engine: Engine) -> None:
    """Prepare the marked statements of this engine."""
    event.listen(engine, "before_cursor_execute", execute, retval=True)


def execute(
    connection: Connection, _: Any, statement: str, parameters: Any, context: Any, many: bool
) -> tuple[str, Any]:
    """Have a marked statement executed that is prepared by then."""
    if many or context is None or not context.execution_options.get(PREPARED) or not isinstance(parameters, Mapping):
        return statement, parameters
    return sent(connection.connection.dbapi_connection, statement), parameters


def sent(driver: Any, statement: str) -> str:
    """How a statement is said on this connection of the driver: prepared by then, where anything is."""
    if driver.prepared is None:
        return statement
    preparing, executing = spelled(statement)
    if executing not in driver.prepared:
        with driver.cursor() as cursor:
            cursor.execute(preparing)
        driver.prepared.add(executing)
    return executing


@functools.lru_cache(maxsize=512)
def spelled(statement: str) -> tuple[str, str]:
    """How a statement of the driver is prepared, and how it is executed with the same parameters."""
    names: list[str] = []

    def place(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return "%"
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    body = PARAMETER.sub(place, statement)
    called = "registry_" + hashlib.sha256(statement.encode()).hexdigest()[:24]
    values = ", ".join(f"%({name})s" for name in names)
    return f"PREPARE {called} AS {body}", f"EXECUTE {called} ({values})" if names else f"EXECUTE {called}"
