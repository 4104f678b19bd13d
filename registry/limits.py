"""How long the database may take over a statement, or wait for a lock or for us, and how it is told.

On a connection of its own that is said once, when it is opened. A pooler in transaction mode, such as PgBouncer, gives
each transaction whatever connection is free: nothing holds there that is said for a session, and what a connection is
opened with is refused, or dropped without a word. So the limits then go along with the first statement of each
transaction, in one message with it.
"""

import functools
import time
from typing import Any

from psycopg2 import Error
from psycopg2.extensions import STATUS_READY

from registry import postgres, silence
from registry.config import Settings, database_url

REFUSED = "unsupported startup parameter"
"""What PgBouncer has against whatever a connection is opened with."""
TO_DO = (
    "name a way around it in REGISTRY_DIRECT_DATABASE_URL for what needs a session of its own, and set "
    "REGISTRY_DATABASE_POOLER=transaction"
)
SECONDS_BETWEEN_LOOKS = 60
IN_FORCE = "SELECT lower(name), setting FROM pg_settings WHERE lower(name) = ANY (%(names)s)"
PLANS = "plan_cache_mode=force_generic_plan"
"""The setting of a connection with which PostgreSQL plans a prepared statement once: see registry/prepared.py."""


def of(settings: Settings) -> dict[str, str]:
    """The limits, and the time zone of answers, as PostgreSQL calls them; times are in milliseconds."""
    return {
        "statement_timeout": str(settings.statement_timeout_ms),
        "lock_timeout": str(settings.lock_timeout_ms),
        "idle_in_transaction_session_timeout": str(settings.statement_timeout_ms * 2),
        "timezone": "UTC",
    }


def longest_silence(settings: Settings) -> float:
    """Seconds after which a server that has not answered is given up: more than any statement of a request may take."""
    return settings.statement_timeout_ms / 1000 + settings.connect_timeout_seconds


def connect_args(settings: Settings) -> dict[str, Any]:
    """What the driver is to be told so that the limits are in force on its connections, whatever lies between."""
    pooled = settings.database_pooler == "transaction"
    watched = silence.connect_args(longest_silence(settings), prepares=not pooled)
    if pooled:
        return watched | {"cursor_factory": telling(of(settings))}
    told = [f"{name}={value}" for name, value in of(settings).items()]
    return watched | {"options": " ".join(f"-c {one}" for one in (*told, PLANS))}


def options(settings: Settings) -> dict[str, Any]:
    """All that a connection of the service is opened with: its patience, a network that dies, and the limits."""
    return {
        "connect_timeout": settings.connect_timeout_seconds,
        "application_name": "model-registry",
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        **connect_args(settings),
    }


def telling(limits: dict[str, str]) -> type[silence.WatchedCursor]:
    """A kind of cursor that sets these limits for the transaction when it begins one, without another round trip."""
    first = "".join(f"SET LOCAL {name} = '{value}'; " for name, value in limits.items())

    class Telling(silence.WatchedCursor):
        """The driver says BEGIN by itself, before the first statement; an answer is that to the last part of it."""

        def execute(self, statement: Any, *values: Any) -> None:
            """Execute a statement, behind the limits where it is the first one."""
            if not self._is_first():
                return super().execute(statement, *values)
            if self.name is None:  # what one message holds is one transaction, where the driver begins none
                before: Any = first.encode() if isinstance(statement, bytes) else first
                return super().execute(before + statement, *values)
            self._begin()
            return super().execute(statement, *values)

        def executemany(self, statement: Any, rows: Any) -> None:
            """Execute a statement once for each row of values."""
            if self._is_first():
                self._begin()
            super().executemany(statement, rows)

        def _is_first(self) -> bool:
            watched: Any = self.connection
            if watched.begun and watched.autocommit:  # its BEGIN goes along with the first one
                return silence.BEGIN in watched.ahead
            return bool(watched.status == STATUS_READY)

        def _begin(self) -> None:
            with self.connection.cursor() as plain:
                plain.execute("SELECT 1")

    return Telling


def check(settings: Settings) -> list[str]:
    """What keeps the limits from being in force, one line; nothing where they are, or where nobody answers."""
    given = connect_args(settings) | {"connect_timeout": settings.connect_timeout_seconds}
    try:
        with postgres.connected(database_url(settings), **given) as connection:
            found: dict[str, str] = dict(postgres.rows(connection, IN_FORCE, names=list(of(settings))))
    except Error as error:
        return [f"A pooler before the database refuses our limits: {TO_DO}."] if REFUSED in str(error) else []
    other = [f"{name} is {found.get(name)}" for name, wanted in of(settings).items() if found.get(name) != wanted]
    return [f"A pooler before the database drops our limits ({', '.join(other)}): {TO_DO}."] if other else []


@functools.lru_cache(maxsize=8)
def _looked_at(settings: Settings, _period: int) -> list[str]:
    return check(settings)


def lately(settings: Settings) -> list[str]:
    """The same as it was at most a minute ago: cheap enough to be asked for at any rate."""
    return _looked_at(settings, int(time.monotonic() // SECONDS_BETWEEN_LOOKS))
