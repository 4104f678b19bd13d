"""The triggers that write the history of a change, put aside for a transaction in which the history itself comes in.

No function of the database does this and no role is given it: who brings a bundle in has to be able to do it already,
as a superuser or, on a database of a single role, as the owner of everything. What the service connects as can neither
(tests/test_attacks.py). All of it ends with the transaction, whose commit is refused unless every trigger is as before.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, bindparam, text

from registry import posture
from registry.bundle.sections import SECTIONS
from registry.ownership import EVENT_TRIGGERS

ON_INSERT = text(
    "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS place, quote_ident(t.tgname) AS name, "
    "t.tgenabled AS state FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal AND t.tgtype & 4 <> 0 "
    "AND t.tgenabled <> 'D' AND t.tgname <> 'c_words' AND n.nspname || '.' || c.relname IN :tables ORDER BY 1, 2"
).bindparams(bindparam("tables", expanding=True))
"""The words of models are no history: they come in with the models."""
GUARDS = text("SELECT evtname FROM pg_event_trigger WHERE evtname IN :names AND evtenabled = 'A'").bindparams(
    bindparam("names", expanding=True)
)
ENABLE = {"A": "ENABLE ALWAYS", "R": "ENABLE REPLICA", "O": "ENABLE"}


@contextmanager
def put_aside(connection: Connection) -> Iterator[None]:
    """Let rows be written into the tables of a bundle without events and intervals being made of them.

    The guard that writes down DDL goes first and comes back last: what is done here is on record as one event, which
    says more than its single steps.
    """
    driver: Any = connection.connection.dbapi_connection
    before = posture.triggers(driver)
    guards = connection.scalars(GUARDS, {"names": list(EVENT_TRIGGERS)}).all()
    triggers = connection.execute(ON_INSERT, {"tables": [str(one.table) for one in SECTIONS.values()]}).all()
    for guard in guards:
        run(connection, f"ALTER EVENT TRIGGER {guard} DISABLE")
    for place, name, _ in triggers:
        run(connection, f"ALTER TABLE {place} DISABLE TRIGGER {name}")
    yield
    for place, name, state in triggers:
        run(connection, f"ALTER TABLE {place} {ENABLE[state]} TRIGGER {name}")
    for guard in guards:
        run(connection, f"ALTER EVENT TRIGGER {guard} ENABLE ALWAYS")
    guarding = connection.scalars(GUARDS, {"names": list(EVENT_TRIGGERS)}).all()
    if posture.triggers(driver) != before or sorted(guarding) != sorted(guards):
        raise RuntimeError("The triggers are not as they were; nothing is kept.")


def run(connection: Connection, statement: str) -> None:
    """Execute a statement whose parts come from the catalogue."""
    connection.exec_driver_sql(statement)
