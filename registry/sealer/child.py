"""The sealer beside the service: a process of its own, which stops with the service and is started again if it dies."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from registry.config import Settings, database_url, direct

SHORTEST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1, 60
"""Before it is started again; doubled while it keeps dying soon, as one that refuses does until a person decides."""
SECONDS_TO_STOP = 10
NOT_ITS_BUSINESS = (
    "REGISTRY_DATABASE_URL_FILE",
    "REGISTRY_REPLICA_URL",
    "REGISTRY_REPLICA_URL_FILE",
    "REGISTRY_ADMIN_TOKEN",
    "REGISTRY_ADMIN_TOKEN_FILE",
)


@contextmanager
def beside(settings: Settings) -> Iterator[Callable[[], None]]:
    """Yield what keeps a sealer running when it is called every now and then; afterwards there is none any more.

    :raises ConfigError: the sealer needs a way around a pooler, and none is set.
    """
    if not settings.sealer:
        yield lambda: None
        return
    direct(settings)  # it would die of that again and again
    child, owner = Child(lambda: start(settings)), os.getpid()
    try:
        yield child.keep
    finally:
        if os.getpid() == owner:  # workers, which are forked in here, leave this block too
            child.stop()


class Child:
    """One process, by way of what starts it."""

    def __init__(self, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self._start = start
        self._process: subprocess.Popen[bytes] | None = None
        self._started = self._due = 0.0
        self._wait = 0

    def keep(self) -> None:
        """Start it, unless it runs or has died a moment ago."""
        now = time.monotonic()
        if self._process is not None and self._process.poll() is not None:
            self._process = None
            lived_long = now - self._started > LONGEST_WAIT_SECONDS
            longer = 0 if lived_long else 2 * self._wait
            self._wait = max(SHORTEST_WAIT_SECONDS, min(longer, LONGEST_WAIT_SECONDS))
            self._due = now + self._wait
        if self._process is None and now >= self._due:
            self._started = now
            self._process = self._start()

    def stop(self) -> None:
        """Let it seal what is there, and end."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def start(settings: Settings) -> subprocess.Popen[bytes]:
    """Start a sealer in a session of its own: the terminal's Ctrl-C is the service's to handle."""
    command = [sys.executable, "-m", "registry", "sealer", "--parent", str(os.getpid())]
    environ = environment(settings, os.environ)
    return subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603


def environment(settings: Settings, ours: Mapping[str, str]) -> dict[str, str]:
    """Return our environment with the database that runs, and without secrets that a sealer has no use for."""
    kept = {name: value for name, value in ours.items() if name not in NOT_ITS_BUSINESS}
    return kept | {"REGISTRY_DATABASE_URL": database_url(settings)}
