"""The database: its release, its durability, its indexes, its clock, the way to it, and room for connections."""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateIndex

from registry.checkup.findings import Finding, weak, wrong
from registry.config import Settings, database_url
from registry.tables import Base

END_OF_FIXES = {14: "2026-11-12", 15: "2027-11-11", 16: "2028-11-09", 17: "2029-11-08", 18: "2030-11-14"}
"""When the last release of each comes. Source: PostgreSQL's versioning policy."""
SECONDS_APART = 5.0
SPARE_CONNECTIONS = 12
"""For the sealer, commands, probes, and the superuser's own."""

LEVELS = text("SELECT name, setting FROM pg_settings WHERE name = ANY (:names)")
INDEXES = text(
    "SELECT n.nspname || '.' || c.relname AS name, i.indisvalid AND i.indisready AS usable FROM pg_index i "
    "JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname IN ('registry', 'audit')"
)
CLOCK = text("SELECT extract(epoch FROM clock_timestamp())::float")
LINK = text(
    "SELECT inet_client_addr() IS NOT NULL AND NOT inet_client_addr() <<= ANY (ARRAY['127.0.0.0/8', '::1']::inet[]) "
    "AND NOT coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)"
)

Look = Callable[[Connection, Settings], Iterable[Finding]]


def look(settings: Settings) -> list[Finding]:
    """Whatever is wrong or weak in the database that these settings name, seen by the service's own user."""
    timeout = {"connect_timeout": settings.connect_timeout_seconds}
    engine = create_engine(database_url(settings), poolclass=NullPool, connect_args=timeout)
    with engine.connect() as connection:
        return [finding for each in LOOKS for finding in each(connection, settings)]


def _release(connection: Connection, _: Settings) -> Iterator[Finding]:
    number = int(connection.scalar(text("SHOW server_version_num")) or 0)
    ends = END_OF_FIXES.get(number // 10_000)
    if ends is not None and datetime.now(UTC).date().isoformat() > ends:
        yield weak(
            f"PostgreSQL {number // 10_000} gets no more fixes since {ends}",
            "upgrade the server",
        )


def _levels(connection: Connection, settings: Settings) -> Iterator[Finding]:
    names = [*DURABLE, "max_connections", "password_encryption"]
    found = {name: value for name, value in connection.execute(LEVELS, {"names": names})}  # noqa: C416
    for name, (bad, what, to_do) in DURABLE.items():
        if found.get(name) in bad:
            yield weak(f"{name} = {found[name]}: {what}", to_do)
    if found.get("password_encryption") == "md5":
        yield weak("the database keeps passwords as MD5", "set password_encryption = 'scram-sha-256', and them anew")
    if settings.database_pooler != "none":
        return  # how many connections there are is the pooler's to say
    looking = 0 if settings.replica_url is None else 1
    needed = settings.workers * (settings.pool_size + looking) + SPARE_CONNECTIONS
    room = int(found.get("max_connections", needed))
    if room < needed:
        yield wrong(
            f"max_connections = {room}, and one instance with the rest needs {needed}",
            "raise it, or lower REGISTRY_WORKERS or REGISTRY_POOL_SIZE",
        )


DURABLE = {
    "fsync": (("off",), "a crash of the machine can destroy the whole database", "set fsync = on"),
    "full_page_writes": (("off",), "a crash of the machine can destroy tables", "set full_page_writes = on"),
    "synchronous_commit": (("off",), "a crash loses changes that were acknowledged", "set synchronous_commit = on"),
    "data_checksums": (("off",), "a disk that returns wrong data is not noticed", "run pg_checksums --enable"),
    "archive_mode": (
        ("off",),
        "no point-in-time recovery from an archive",
        "see docs/operations.md, or your provider",
    ),
    "autovacuum": (("off",), "tables and indexes grow without end", "set autovacuum = on"),
}
"""For each setting of the server: the values that are weak, what follows from them, and what to do."""


def _indexes(connection: Connection, _: Settings) -> Iterator[Finding]:
    """Whether those are there and usable that the code counts on, keys and unique ones included."""
    found = {row.name: row.usable for row in connection.execute(INDEXES)}
    for name, made in wanted().items():
        if name not in found:
            yield wrong(f"the index {name} is missing", f"make it again: {made}")
        elif not found[name]:
            yield wrong(f"the index {name} is not valid and not used", f"REINDEX INDEX CONCURRENTLY {name}")


def wanted() -> dict[str, str]:
    """The indexes that the tables declare, each with the SQL that makes it."""
    declared = {}
    for table in Base.metadata.sorted_tables:
        for index in table.indexes:
            made = " ".join(str(CreateIndex(index)).split())
            declared[f"{table.schema}.{index.name}"] = made
        key = str(table.primary_key.name)
        columns = ", ".join(column.name for column in table.primary_key.columns)
        declared[f"{table.schema}.{key}"] = f"ALTER TABLE {table.fullname} ADD CONSTRAINT {key} PRIMARY KEY ({columns})"
    return declared


def _clock(connection: Connection, _: Settings) -> Iterator[Finding]:
    """Whether this machine and the database agree on the time, as far as the way between them lets us see."""
    before = time.time()
    theirs = float(connection.scalar(CLOCK) or 0)
    ahead = (before + time.time()) / 2 - theirs
    if abs(ahead) > SECONDS_APART:
        order = "ahead of" if ahead > 0 else "behind"
        yield weak(
            f"this machine's clock is {abs(ahead):.0f} s {order} the database's",
            "let both follow a time server; the times of changes are the database's",
        )


def _link(connection: Connection, _: Settings) -> Iterator[Finding]:
    if connection.scalar(LINK):
        yield weak("the connection to the database is not encrypted", "add sslmode=verify-full to its URL")


LOOKS: tuple[Look, ...] = (_release, _levels, _indexes, _clock, _link)
