"""The database's schema: which revision it has, which one this code needs, and the way from one to the other."""

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from alembic import op
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from psycopg2 import errorcodes
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.pool import NullPool

from registry import ownership, side_by_side, silence

SCHEMA = "registry"
MINIMUM_SERVER = 14
CONNECT_TIMEOUT_SECONDS = 5

TO_DO = {
    errorcodes.LOCK_NOT_AVAILABLE: "another upgrade or a long transaction blocks it; nothing is half done: try again",
    errorcodes.QUERY_CANCELED: "it took too long; nothing is half done, try again at a quieter time",
    errorcodes.DEADLOCK_DETECTED: "it met a change under way; nothing is half done: try again",
    errorcodes.INSUFFICIENT_PRIVILEGE: "the upgrade needs a database user that may create schemas in this database, "
    "and a superuser where it changes the audit log of a database whose roles are separate",
    errorcodes.READ_ONLY_SQL_TRANSACTION: "this server takes no writes; name the primary in REGISTRY_DATABASE_URL",
}
"""What an operator can do about the errors of an upgrade that are not ours, by SQLSTATE."""


class SchemaError(Exception):
    """The database is unreachable, or has another schema than the code needs; one line that says what to do."""


def head() -> str:
    """Return the revision that this code needs."""
    revision = _scripts().get_current_head()
    if revision is None:
        raise SchemaError(f"There are no migrations in {migrations_dir()}: install the registry again.")
    return revision


def current(url: str, *, connect_timeout: int = CONNECT_TIMEOUT_SECONDS) -> str | None:
    """Return the revision of the database, or None if the registry was never installed in it.

    :raises SchemaError: the database is unreachable.
    """
    with _connected(url, connect_timeout) as connection:
        return _revision(connection)


def check(url: str, *, connect_timeout: int = CONNECT_TIMEOUT_SECONDS) -> list[str]:
    """Return what keeps this code from working on the database, one line each; nothing if all is well."""
    try:
        with _connected(url, connect_timeout, **silence.connect_args(connect_timeout)) as connection:
            return [*_server_problems(connection), *_revision_problems(connection, _revision(connection))]
    except SchemaError as error:
        return [str(error)]
    except DBAPIError as error:
        return [f"The database does not answer ({_first_line(error)}): see to it."]


def upgrade(
    url: str, *, connect_timeout: int = CONNECT_TIMEOUT_SECONDS, say: Callable[[str], object] = lambda _: None
) -> None:
    """Bring the database to the revision that this code needs, under a lock that lets one upgrade run at a time.

    Afterwards the roles are separated as far as the user may do that (registry/ownership.py). `say` is told of each
    migration before it runs.

    :raises SchemaError: the database is unreachable, unsuitable, or a migration failed; those before it are done.
    """
    with _connected(url, connect_timeout) as connection:
        revision = _revision(connection)
        for problem in [*_server_problems(connection), *_newer(connection, revision)]:
            raise SchemaError(problem)
        if _is_unknown(revision):
            return  # a newer release has upgraded it, and it serves this one too
        connection.rollback()
        try:
            _migrate(connection, say)
            ownership.settle(connection)
        except DBAPIError as error:
            raise SchemaError(_why_upgrade_failed(error)) from error


def migrations_dir() -> Path:
    """Return where the migrations are.

    In a checkout they are a top-level directory. In a wheel a top-level package of so common a name would clash with
    those of other projects, so it is installed inside ours (pyproject.toml, package-dir).
    """
    here = Path(__file__).parent
    return next((path for path in (here / "migrations", here.parent / "migrations") if path.is_dir()), here)


@functools.cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_dir()).replace("%", "%%"))
    return config


@contextmanager
def _connected(url: str, connect_timeout: int, **connect_args: Any) -> Iterator[Connection]:
    engine = create_engine(url, poolclass=NullPool, connect_args=connect_args | {"connect_timeout": connect_timeout})
    try:
        connection = engine.connect()
    except OperationalError as error:
        raise SchemaError(_why_unreachable(url, error)) from error
    with connection:
        yield connection


def _revision(connection: Connection) -> str | None:
    """Return the revision of the database.

    :raises SchemaError: the user may not read it.
    """
    context = MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA})
    try:
        return context.get_current_revision()
    except ProgrammingError as error:
        if getattr(error.orig, "pgcode", None) != errorcodes.INSUFFICIENT_PRIVILEGE:
            raise
        user = connection.engine.url.username
        raise SchemaError(
            f"The database user {user} may not read the registry: run `registry db upgrade` as the user that owns it "
            f"or as a superuser, and make {user} a member of {ownership.APP}."
        ) from error


def _server_problems(connection: Connection) -> Iterator[str]:
    number = int(connection.scalar(text("SHOW server_version_num")) or 0)
    if number // 10_000 < MINIMUM_SERVER:
        version = connection.scalar(text("SHOW server_version"))
        yield f"The database is PostgreSQL {version}; the registry needs {MINIMUM_SERVER} or newer: upgrade the server."
    encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        yield f"The database stores text as {encoding}: make another with ENCODING 'UTF8' TEMPLATE template0."
    if connection.scalar(text("SELECT pg_is_in_recovery()")):
        yield "The database is a standby and takes no writes: name the primary in REGISTRY_DATABASE_URL."


def _revision_problems(connection: Connection, revision: str | None) -> Iterator[str]:
    yield from _newer(connection, revision)
    if revision is None:
        yield "The registry is not installed in this database yet: run `registry db upgrade`."
    elif revision != head() and not _is_unknown(revision):
        yield f"The database is at revision {revision}, the code needs {head()}: run `registry db upgrade`."


def _newer(connection: Connection, revision: str | None) -> Iterator[str]:
    if revision is None or not _is_unknown(revision):
        return
    served = side_by_side.oldest_served(connection, revision)
    if served is None or head() < served:
        yield (
            f"The database is at revision {revision}, which this version of the registry does not know: "
            "install the newer version that upgraded it."
        )


def _is_unknown(revision: str | None) -> bool:
    if revision is None:
        return False
    try:
        return _scripts().revision_map.get_revision(revision) is None
    except ResolutionError:
        return True


def _migrate(connection: Connection, say: Callable[[str], object]) -> None:
    """Run migrations/env.py, as `alembic upgrade head` does, with each step announced to us and to the audit log."""
    scripts, config = _scripts(), _config()
    config.attributes["connection"] = connection

    def steps(revision: str, _: MigrationContext) -> list[RevisionStep]:
        return [_announced(step, say) for step in scripts._upgrade_revs("head", revision)]

    with EnvironmentContext(config, scripts, fn=steps):
        scripts.run_env()


def _announced(step: RevisionStep, say: Callable[[str], object]) -> RevisionStep:
    """Have a step tell the database who acts: what it does to audited tables is then on record like any change."""
    migrate, revision = step.migration_fn, step.revision.revision

    def run(**options: Any) -> None:
        say(f"{revision} {step.doc}".rstrip(" ."))
        for name, value in {"app.actor": f"migration:{revision}", "app.request_id": uuid4().hex}.items():
            op.get_bind().execute(text("SELECT set_config(:name, :value, true)"), {"name": name, "value": value})
        migrate(**options)
        side_by_side.note(op.get_bind(), revision, getattr(step.revision.module, "serves", revision))

    step.migration_fn = run
    return step


def _why_unreachable(url: str, error: OperationalError) -> str:
    parsed = make_url(url)
    hosts = parsed.query.get("host", parsed.host or "the local socket")
    where = hosts if isinstance(hosts, str) else ", ".join(hosts)
    port = f":{parsed.port}" if parsed.port else ""
    return (
        f"The database {parsed.database} on {where}{port} cannot be reached ({_first_line(error)}): "
        "start it, or correct REGISTRY_DATABASE_URL."
    )


def _why_upgrade_failed(error: DBAPIError) -> str:
    to_do = TO_DO.get(getattr(error.orig, "pgcode", None) or "", "nothing is half done; report this, please")
    return f"The upgrade of the database stopped ({_first_line(error)}): {to_do}."


def _first_line(error: DBAPIError) -> str:
    """Return what the server or the driver says, without the SQL and the hints that follow."""
    line = next((line.strip() for line in str(error.orig).splitlines() if line.strip()), "no reason given")
    return re.sub(r"^(.*? failed: )?(FATAL:\s+)?", "", line).rstrip(".")
