"""The database's schema: which revision it has, and which one this code needs. registry/upgrading.py leads there.

All of this is asked without SQLAlchemy and Alembic: workers ask it as long as they live, and so does the sealer.
"""

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from psycopg2 import Error, OperationalError, errorcodes

from registry import embedded, postgres, side_by_side, silence
from registry.database_url import DatabaseUrl
from registry.postgres import Connection

MINIMUM_SERVER = 14
CONNECT_TIMEOUT_SECONDS = 5

SERVER = (
    "SELECT current_setting('server_version_num')::int, current_setting('server_version'), "
    "current_setting('server_encoding'), pg_is_in_recovery()"
)
INSTALLED = "SELECT to_regclass('registry.alembic_version') IS NOT NULL"
REVISION = "SELECT version_num FROM registry.alembic_version"
MADE = re.compile(r"^revision = [\"'](\w+)[\"']$", re.MULTILINE)
MADE_FROM = re.compile(r"^down_revision = [\"'](\w+)[\"']$", re.MULTILINE)


class SchemaError(Exception):
    """The database is unreachable, or has another schema than the code needs; one line that says what to do."""


def head() -> str:
    """Return the revision that this code needs.

    :raises SchemaError: the migrations are not there.
    """
    known = revisions()
    last = [revision for revision in known if revision not in known.values()]
    if len(last) != 1:
        raise SchemaError(f"There is no last migration in {migrations_dir()}: install the registry again.")
    return last[0]


@functools.cache
def revisions() -> dict[str, str | None]:
    """Return all revisions that this code knows, each with the one before it."""
    written = [path.read_text(encoding="utf-8") for path in (migrations_dir() / "versions").glob("*.py")]
    found = [(MADE.search(text), MADE_FROM.search(text)) for text in written]
    return {made[1]: before[1] if before else None for made, before in found if made}


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
    except Error as error:
        return [f"The database does not answer ({first_line(error)}): see to it."]


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
    from registry import upgrading  # noqa: PLC0415 (SQLAlchemy, which the sealer has no use for)

    upgrading.upgrade(url, connect_timeout, say, migrations=revision != head())


def migrations_dir() -> Path:
    """Return where the migrations are.

    In a checkout they are a top-level directory. In a wheel a top-level package of so common a name would clash with
    those of other projects, so it is installed inside ours (pyproject.toml, package-dir).
    """
    here = Path(__file__).parent
    return next((path for path in (here / "migrations", here.parent / "migrations") if path.is_dir()), here)


@contextmanager
def _connected(url: str, connect_timeout: int, **options: Any) -> Iterator[Connection]:
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(postgres.connected(url, connect_timeout=connect_timeout, **options))
        except OperationalError as error:
            raise SchemaError(_why_unreachable(url, error)) from error
        yield connection


def _revision(connection: Connection) -> str | None:
    """Return the revision of the database.

    :raises SchemaError: the user may not read it.
    """
    try:
        found: str | None = postgres.value(connection, REVISION) if postgres.value(connection, INSTALLED) else None
    except Error as error:
        if error.pgcode != errorcodes.INSUFFICIENT_PRIVILEGE:
            raise
        user = connection.info.user
        raise SchemaError(
            f"The database user {user} may not read the registry: run `registry db upgrade` as the user that owns it "
            f"or as a superuser, and make {user} a member of {embedded.SERVICE}."
        ) from error
    return found


def _server_problems(connection: Connection) -> Iterator[str]:
    [(number, version, encoding, is_standby)] = postgres.rows(connection, SERVER)
    if number // 10_000 < MINIMUM_SERVER:
        yield f"The database is PostgreSQL {version}; the registry needs {MINIMUM_SERVER} or newer: upgrade the server."
    if encoding != "UTF8":
        yield f"The database stores text as {encoding}: make another with ENCODING 'UTF8' TEMPLATE template0."
    if is_standby:
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
    served = side_by_side.oldest_served(postgres.value(connection, side_by_side.NOTE), revision)
    if served is None or head() < served:
        yield (
            f"The database is at revision {revision}, which this version of the registry does not know: "
            "install the newer version that upgraded it."
        )


def _is_unknown(revision: str | None) -> bool:
    return revision is not None and revision not in revisions()


def _why_unreachable(url: str, error: Error) -> str:
    parsed = DatabaseUrl.parse(url)
    hosts = parsed.query.get("host", parsed.host or "the local socket")
    where = hosts if isinstance(hosts, str) else ", ".join(hosts)
    port = f":{parsed.port}" if parsed.port else ""
    return (
        f"The database {parsed.database} on {where}{port} cannot be reached ({first_line(error)}): "
        "start it, or correct REGISTRY_DATABASE_URL."
    )


def first_line(error: BaseException | None) -> str:
    """Return what the server or the driver says, without the hints that follow, and without what is said of any."""
    return re.sub(r"^(.*? failed: )?(FATAL:\s+)?", "", postgres.first_line(error)).rstrip(".")
