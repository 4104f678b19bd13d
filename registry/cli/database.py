"""`registry db`: the schema of the database."""

import os

import click

from registry import config, embedded, schema
from registry.cli.output import say
from registry.cli.running import GroupInWords, require_own_session, require_schema, with_database


@click.group("db", cls=GroupInWords)
def database() -> None:
    """Upgrade or look at the database's schema."""


@database.command()
def upgrade() -> None:
    """Bring the schema to what this version of the registry needs. Safe to run again, and from several places.

    Run by a superuser it also separates the roles, so that the service does not own its audit log; the service then
    has to connect as registry_app or as a member of it. `registry doctor` says how a database stands.
    """
    with with_database(config.from_env(os.environ), embedded.SUPERUSER, direct=True) as settings:
        require_own_session(settings)
        url = config.database_url(settings)
        schema.upgrade(url, connect_timeout=settings.connect_timeout_seconds, say=say)
        say(f"The database is at revision {schema.current(url)}.")


@database.command()
def current() -> None:
    """Print the database's revision and the one that this version of the registry needs."""
    with with_database(config.from_env(os.environ), embedded.SUPERUSER) as settings:
        found = schema.current(config.database_url(settings), connect_timeout=settings.connect_timeout_seconds)
        click.echo(f"database: {found or 'none'}\ncode: {schema.head()}")


@database.command()
def check() -> None:
    """Say whether this version of the registry can work on the database; exit code 1 if not."""
    with with_database(config.from_env(os.environ), embedded.SUPERUSER) as settings:
        require_schema(settings)
        click.echo(f"The database answers and is at revision {schema.head()}.")
