"""A connection whose caller has so long to send a request, and no longer: each one that is sent slowly holds a thread.

The time runs from the moment a thread takes the request up until all of it is there. Sending the answer has none: who
takes away a large export may be as slow as he likes.
"""

import time
from typing import Any

from gunicorn.http.errors import NoMoreData


class Hurried:
    """A socket that stops reading when the time is over."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._until: float | None = None
        self.late = False
        self.answered = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def begin(self, seconds: float) -> None:
        """From now on a request has so long to arrive."""
        self._until = time.monotonic() + seconds
        self.late = self.answered = False

    def end(self) -> None:
        """The request has been dealt with: from now on there is time."""
        self._until = None

    def recv(self, *wanted: int) -> Any:
        """Read what there is, and wait for it until the time is over.

        :raises NoMoreData: it is over; for gunicorn the caller is gone then.
        """
        before = self._connection.gettimeout()
        if before == 0 or self._until is None:
            return self._connection.recv(*wanted)
        left = max(self._until - time.monotonic(), 0.001)
        try:
            self._connection.settimeout(left if before is None else min(before, left))
            return self._connection.recv(*wanted)
        except TimeoutError:
            if time.monotonic() < self._until:
                raise
            self.late = True
            raise NoMoreData from None
        finally:
            self._connection.settimeout(before)

    def sendall(self, *data: Any) -> Any:
        """Send a piece of an answer."""
        self.answered = True
        return self._connection.sendall(*data)
