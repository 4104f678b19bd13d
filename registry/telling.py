"""What the database is told of a transaction goes along with its next statement, in one message.

Actor, credential, request id and reason are settings that last until the transaction ends, or until the database is
told otherwise. They are said before whatever could write; where no statement follows, they are not said at all.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, event

WORDS = ("actor", "credential", "request_id", "reason")
SAY = "SELECT " + ", ".join(f"set_config('app.{word}', %(app.{word})s, true)" for word in WORDS)
BACK = "ROLLBACK TO "


def tell(connection: Connection, told: Mapping[str, str]) -> None:
    """Have this said along with the next statement; it takes the place of what was to be said."""
    driver: Any = connection.connection.dbapi_connection
    driver.ahead = {f"app.{word}": told[word] for word in WORDS}


def install(engine: Engine) -> None:
    """Let statements of this engine take along what is to be said."""
    event.listen(engine, "before_cursor_execute", take_along, retval=True)


def take_along(
    connection: Connection, cursor: Any, statement: str, parameters: Any, _: Any, many: bool
) -> tuple[str, Any]:
    """Put what is to be said before a statement."""
    driver: Any = connection.connection.dbapi_connection
    ahead, driver.ahead = driver.ahead, None
    if ahead is None or statement.startswith(BACK):  # what was to be said since a savepoint goes back with the rest
        return statement, parameters
    if isinstance(parameters, Mapping) and not many and cursor.name is None:
        return f"{SAY}; {statement}", {**ahead, **parameters}
    with driver.cursor() as other:
        other.execute(SAY, ahead)
    return statement, parameters
