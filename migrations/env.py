"""Runs migrations on one connection, one transaction each, one upgrade at a time.

`registry db upgrade` hands over its connection (registry/schema.py). Under the bare `alembic` command, for those who
write migrations, the database is the one of REGISTRY_DATABASE_URL. Like the migrations, this imports nothing from
`registry`: they must mean the same whatever becomes of the code.
"""

import os

from alembic import context
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

SCHEMA = "registry"
UPGRADE_LOCK = 0x7265676973747279
"""The advisory lock of an upgrade: "registry" in ASCII, an arbitrary number of our own."""
WAIT_FOR_UPGRADE = "60s"
"""For another upgrade to finish; several instances may start at once."""
LOCK_TIMEOUT = "5s"
"""For a table: requests queue behind a migration that waits for one, so it gives up rather than stop the service."""
STATEMENT_TIMEOUT = "30min"
"""An index on a large table takes its time; a statement that takes longer belongs into several."""


def main() -> None:
    """Migrate the connection that was handed over, or one of our own."""
    if context.is_offline_mode():
        message = "migrations run on a database only: --sql is not supported"
        raise RuntimeError(message)
    given: Connection | None = context.config.attributes.get("connection")
    if given is not None:
        migrate(given)
        return
    url = make_url(os.environ["REGISTRY_DATABASE_URL"]).set(drivername="postgresql+psycopg2")
    with create_engine(url, poolclass=NullPool).connect() as connection:
        migrate(connection)


def migrate(connection: Connection) -> None:
    """Run the migrations asked for, alone."""
    prepare(connection)
    context.configure(
        connection=connection, target_metadata=None, version_table_schema=SCHEMA, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": UPGRADE_LOCK})
    connection.commit()


def prepare(connection: Connection) -> None:
    """Take the upgrade's lock, which lasts as long as the session, and make the schema of the version table."""
    connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
    connection.execute(text(f"SET lock_timeout = '{WAIT_FOR_UPGRADE}'"))
    connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": UPGRADE_LOCK})
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    if connection.scalar(text("SELECT to_regnamespace(:schema) IS NULL"), {"schema": SCHEMA}):
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))  # IF NOT EXISTS asks for the right even when it exists
    connection.commit()


main()
