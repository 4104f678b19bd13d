"""How the sealer is, as it last said in the database: for those who operate the service.

It proves nothing: whoever has the database can write that row as well. For those who doubt there are checkpoints.
"""

import functools
import time
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from psycopg2 import Error

from registry import postgres, silence

CONNECT_TIMEOUT_SECONDS = 5
SECONDS_OF_SILENCE = 60
"""A sealer at work gives a sign of life every ten seconds."""
SECONDS_BETWEEN_LOOKS = 10

LAST = (
    "SELECT state, why, seen_at, clock_timestamp() - seen_at > make_interval(secs => %(silence)s) AS silent "
    "FROM audit.sealer"
)


class State(StrEnum):
    """What becomes of new events."""

    SEALING = "sealing"
    """They get their positions, and checkpoints are signed."""
    REFUSING = "refusing"
    """The database does not hold what was signed: somebody has to decide (docs/audit.md, After a restore)."""
    SILENT = "silent"
    """Nobody has sealed for a minute, or ever: their proof is outstanding, and they wait."""


@dataclass(frozen=True, slots=True)
class Sealing:
    """The state, why it is not `sealing`, and the last sign of life, if there ever was one."""

    state: State
    why: str | None
    seen_at: datetime | None


def at(url: str, *, connect_timeout: int = CONNECT_TIMEOUT_SECONDS) -> Sealing:
    """Return how the sealer of a database is, seen by the user of this URL."""
    patience = silence.connect_args(connect_timeout)
    try:
        with postgres.connected(url, connect_timeout=connect_timeout, **patience) as connection:
            found = postgres.rows(connection, LAST, silence=SECONDS_OF_SILENCE)
    except Error as error:
        return Sealing(State.SILENT, f"the database cannot be looked at ({postgres.first_line(error)})", None)
    if not found:
        return Sealing(State.SILENT, "the log was never sealed: run `registry sealer`", None)
    [(state, why, seen_at, silent)] = found
    if state == State.SEALING and silent:
        return Sealing(State.SILENT, "no sealer is at work: run `registry sealer`, or see its log", seen_at)
    return Sealing(State(state), why, seen_at)


@functools.lru_cache(maxsize=8)
def _looked_at(url: str, _period: int) -> Sealing:
    return at(url)


def lately(url: str) -> Sealing:
    """Return how the sealer was a few seconds ago: cheap enough to be asked for at any rate."""
    return _looked_at(url, int(time.monotonic() // SECONDS_BETWEEN_LOOKS))
