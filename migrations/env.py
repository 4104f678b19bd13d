"""Runs migrations on one connection, one transaction each, one upgrade at a time.

`registry db upgrade` hands over its connection (registry/schema.py). Under the bare `alembic` command, for those who
write migrations, the database is the one of REGISTRY_DATABASE_URL. Like the migrations, this imports nothing from
`registry`: they must mean the same whatever becomes of the code.

Where the roles are separate, a migration runs as one of two. A login that is a member of `registry_owner` (such as
`registry_migrator`) acts as that role, so that what it makes belongs to it; it can change the registry's tables, but
neither the log nor the triggers that feed it, and not rewrite captured rows behind their back. A migration that does
one of these takes a superuser, who runs it as himself; `registry db upgrade` then hands over what it has made.
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

MEMBER_OF = (
    # The schema's owner, in whose name to act: not for a superuser, nor for who also acts for the owner of the log.
    "SELECT quote_ident(owner.rolname) FROM pg_namespace n JOIN pg_roles owner ON owner.oid = n.nspowner, pg_roles me "
    "WHERE n.nspname = :schema AND me.rolname = current_user AND me.oid <> owner.oid AND NOT me.rolsuper "
    "AND pg_has_role(me.oid, owner.oid, 'MEMBER') AND NOT EXISTS (SELECT FROM pg_namespace log "
    "WHERE log.nspname = 'audit' AND pg_has_role(me.oid, log.nspowner, 'MEMBER'))"
)


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
    connection.execute(text("RESET ROLE"))
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
    owner = connection.scalar(text(MEMBER_OF), {"schema": SCHEMA})
    if owner:
        connection.execute(text(f"SET ROLE {owner}"))
    connection.commit()


main()
