"""Says in the service's log how well the audit log is kept: at the start, and every hour after that."""

import fcntl
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable

from registry import posture
from registry.posture import Level, Posture

SECONDS_BETWEEN_TRIES = 30
SECONDS_BETWEEN_LINES = 3600
LOG = logging.getLogger("registry.posture")


class Watch:
    """One for all workers, made by their parent: the worker that holds its lock says it, another one after its end."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock, name = tempfile.mkstemp(prefix="registry-watch-")
        os.unlink(name)

    def begin(self) -> None:
        """Watch in a thread of this worker's."""
        threading.Thread(target=self.run, name="posture", daemon=True).start()

    def run(self, pause: Callable[[float], object] = time.sleep) -> None:
        """Wait for one's turn, then say it for ever; `pause` returns something true to end it."""
        while not self._ours():
            if pause(SECONDS_BETWEEN_TRIES):
                return
        while True:
            say(posture.at(self._url))
            if pause(SECONDS_BETWEEN_LINES):
                return

    def _ours(self) -> bool:
        """Whether this process says it: what lockf locks is one process's, though all have the file from the fork."""
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def say(found: Posture) -> None:
    """Write the lines: one, or one for each weakness."""
    if found.level is Level.ENFORCED:
        LOG.info("audit log: %s", found.level)
    for weakness in found.weaknesses:
        LOG.warning("audit log: %s, because %s; %s", found.level, weakness.what, weakness.to_do)
