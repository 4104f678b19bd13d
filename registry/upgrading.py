"""The way from one revision of the database's schema to the next, and to roles that are separate."""

from collections.abc import Callable
from contextlib import closing

from psycopg2 import errorcodes
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from registry import ownership, schema
from registry.schema import SchemaError

Say = Callable[[str], object]
TO_DO = {
    errorcodes.LOCK_NOT_AVAILABLE: "another upgrade or a long transaction blocks it; nothing is half done: try again",
    errorcodes.QUERY_CANCELED: "it took too long; nothing is half done, try again at a quieter time",
    errorcodes.DEADLOCK_DETECTED: "it met a change under way; nothing is half done: try again",
    errorcodes.INSUFFICIENT_PRIVILEGE: "the upgrade needs a database user that may create schemas in this database, "
    "and a superuser where it changes the audit log of a database whose roles are separate",
    errorcodes.READ_ONLY_SQL_TRANSACTION: "this server takes no writes; name the primary in REGISTRY_DATABASE_URL",
}
"""What an operator can do about the errors of an upgrade that are not ours, by SQLSTATE."""


def upgrade(url: str, connect_timeout: int, say: Say, *, migrations: bool) -> None:
    """Run the migrations, if there are any to run, and separate the roles.

    :raises SchemaError: a migration failed; those before it are done.
    """
    engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": connect_timeout})
    try:
        with closing(engine.connect()) as connection:
            if migrations:
                from registry import migrating  # noqa: PLC0415 (Alembic; a service of its own database keeps what it loads)

                migrating.migrate(connection, say)
            ownership.settle(connection)
    except DBAPIError as error:
        raise SchemaError(_why_it_failed(error)) from error


def _why_it_failed(error: DBAPIError) -> str:
    to_do = TO_DO.get(getattr(error.orig, "pgcode", None) or "", "nothing is half done; report this, please")
    return f"The upgrade of the database stopped ({schema.first_line(error.orig)}): {to_do}."
