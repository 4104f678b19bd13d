"""When a call is made again, and after how long: a bounded number of times, within a bounded time."""

import secrets
import time
from collections.abc import Mapping

from urllib3 import Retry
from urllib3.exceptions import InvalidHeader

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
CHANCE = secrets.SystemRandom()


class Patience:
    """Counts the attempts of one call and the time that is left for more."""

    def __init__(self, retries: int, seconds: float) -> None:
        self._left = retries
        self._deadline = time.monotonic() + seconds
        self._pause = FIRST_PAUSE_SECONDS

    def wait(self, asked: float | None = None) -> bool:
        """Pause before another attempt, as long as was asked for or a growing time; False: there is to be none."""
        if self._left <= 0:
            return False
        self._left -= 1
        return self.linger(asked)

    def linger(self, asked: float | None = None) -> bool:
        """Pause as `wait` does, without counting: for what is under way and only has to end."""
        # Jitter, so that many clients who were refused together do not come back together.
        pause = (asked or 0) + self._pause * CHANCE.uniform(0.5, 1)
        if time.monotonic() + pause > self._deadline:
            return False
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        time.sleep(pause)
        return True


def asked_pause(headers: Mapping[str, str]) -> float | None:
    """The seconds that a Retry-After asks for, written as seconds or as a date."""
    header = headers.get("Retry-After")
    try:
        return Retry().parse_retry_after(header) if header else None
    except InvalidHeader:
        return None
