"""What the commands share that run something of the service: faults in words, and a database found or started.

The sealer uses no more than this: neither the application nor SQLAlchemy.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Any

import click

from registry import config, embedded, limits, schema
from registry.cli.faults import Failure
from registry.config import ConfigError, Settings
from registry.embedded import EmbeddedError
from registry.schema import SchemaError
from registry.sealer.errors import SealerError

TERMINATED = 128 + signal.SIGTERM
"""The exit code that a shell gives a process ended by SIGTERM."""


FAULTS = (ConfigError, EmbeddedError, SchemaError, SealerError)


@contextmanager
def faults_in_words() -> Iterator[None]:
    """Let what goes wrong in running a service (a setting, the database, the port) end the command in one line."""
    try:
        yield
    except FAULTS as fault:
        raise Failure(str(fault)) from fault


class InWords(click.Command):
    """A command whose operational faults are one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        with faults_in_words():
            return super().invoke(ctx)


class GroupInWords(InWords, click.Group):
    """A group of such commands."""


@contextmanager
def with_database(settings: Settings, role: str = embedded.SERVICE, *, direct: bool = False) -> Iterator[Settings]:
    """Yield the settings with the URL of a running database: the one they name, or the embedded one.

    The embedded one is started if it does not run, and stopped at the end if nobody else uses it; it is connected to
    as `role`. Where the settings name a database, they say as whom. `direct` is for what needs a session of its own:
    the URL then leads around a pooler.

    :raises ConfigError: what leads around it is not set.
    :raises EmbeddedError: the embedded database cannot run here.
    """
    if settings.database_url is not None:
        yield config.direct(settings) if direct else settings
        return
    with _ending_on_sigterm(), embedded.start(settings.data_dir) as running:
        yield replace(settings, database_url=embedded.as_role(running.url, role))


def require_schema(settings: Settings) -> None:
    """Go on only if the database is as the code needs it, and our limits are in force there.

    :raises SchemaError: it is not.
    """
    url = config.database_url(settings)
    problems = schema.check(url, connect_timeout=settings.connect_timeout_seconds) or limits.check(settings)
    if problems:
        raise SchemaError("\n".join(problems))


def require_own_session(settings: Settings) -> None:
    """Go on only if what is said for a session holds: the lock of an upgrade would stay behind in a pooler.

    :raises SchemaError: it does not.
    """
    problems = limits.check(settings)
    if problems:
        raise SchemaError("\n".join(problems))


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """Let SIGTERM end the program as an exception does, so that the database we started is stopped on the way out."""

    def end(_number: int, _frame: FrameType | None) -> None:
        sys.exit(TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
