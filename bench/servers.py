"""The PostgreSQL that everything is measured on, and the databases on it."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from sqlalchemy import make_url

from registry import embedded


def connect(url: str) -> Any:
    """A psycopg2 connection to a URL with a driver in it."""
    return psycopg2.connect(plain(url))


def plain(url: str) -> str:
    """A URL as libpq takes it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@contextmanager
def server(directory: Path, given: str | None = None) -> Iterator[str]:
    """The URL of a superuser on the server that is given, or on an embedded one as `registry serve` starts it."""
    if given is not None:
        yield make_url(given).set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)
        return
    directory.mkdir(parents=True, exist_ok=True)
    if os.getuid() == 0:
        directory.chmod(0o755)  # PostgreSQL runs as another user where we are root
    with embedded.start(directory / "data") as running:
        yield running.admin_url


def database(server_url: str, name: str) -> str:
    """The URL of one of its databases."""
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)


def exists(server_url: str, name: str) -> bool:
    """Whether there is such a database."""
    with closing(connect(database(server_url, "postgres"))) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        return cursor.fetchone() is not None


def command(server_url: str, statement: str) -> None:
    """Run a statement that takes no transaction."""
    with closing(connect(database(server_url, "postgres"))) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(statement)


def create(server_url: str, name: str, template: str = "template0") -> str:
    """Make a database anew and return its URL."""
    drop(server_url, name)
    command(server_url, f"CREATE DATABASE {name} TEMPLATE {template} ENCODING 'UTF8'")
    return database(server_url, name)


def drop(server_url: str, name: str) -> None:
    """Remove a database."""
    command(server_url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def ask(url: str, question: str, *given: object) -> Any:
    """The first value of the first row."""
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(question, given)
        return cursor.fetchone()[0]
