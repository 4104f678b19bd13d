"""What goes along with the next statement of a connection, in one message.

What the database is told of a transaction: actor, credential, request id and reason are settings that last until it
ends, or until the database is told otherwise. They are said before whatever could write; where no statement follows,
they are not said at all.

BEGIN, so that a transaction takes no round trip to begin: the driver would send it alone.

And statements to whose answers nobody listens, such as a change whose row this transaction holds already. They are done
before the next one, or before the COMMIT; what the database has against one of them it says there.
"""

from collections.abc import Mapping
from typing import Any

WORDS = ("actor", "credential", "request_id", "reason")
SAY = "SELECT " + ", ".join(f"set_config('app.{word}', %({word})s, true)" for word in WORDS)
BACK = "ROLLBACK TO "
BETWEEN = b"; "


def tell(driver: Any, told: Mapping[str, str]) -> None:
    """Have this said along with the next statement; it takes the place of what was to be said."""
    driver.told = dict(told)


def say(driver: Any, statement: str, values: Mapping[str, Any]) -> None:
    """Have this statement sent along with the next one, before it and behind what was said before."""
    with driver.cursor() as cursor:
        said = cursor.mogrify(statement, values)  # first: what cannot be said takes nothing along
        driver.ahead = [*taken(driver, cursor), said]


def along(cursor: Any, statement: Any, values: Any) -> tuple[Any, Any]:
    """A statement for this cursor with all before it that is to go along."""
    driver = cursor.connection
    if isinstance(statement, str) and statement.startswith(BACK):
        forget(driver)  # what was to be said since a savepoint goes back with the rest
        return statement, values
    if cursor.name is not None:  # what the driver puts around it leaves no room for others
        send(driver)
        return statement, values
    said = cursor.mogrify(statement, values)  # first: what cannot be said takes nothing along
    with driver.cursor() as other:
        first = taken(driver, other)
    return BETWEEN.join([*first, said]), None


def taken(driver: Any, cursor: Any) -> list[bytes]:
    """All that is to go along; from now on nothing is."""
    found: list[bytes] = driver.ahead
    if driver.told is not None:
        found = [*found, cursor.mogrify(SAY, driver.told)]
    forget(driver)
    return found


def send(driver: Any) -> None:
    """Send what is to go along, alone."""
    with driver.cursor() as cursor:
        first = taken(driver, cursor)
        if first:
            cursor.execute(BETWEEN.join(first))


def forget(driver: Any) -> None:
    """Drop what was to go along."""
    driver.told, driver.ahead = None, []
