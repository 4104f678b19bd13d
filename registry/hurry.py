"""A connection whose caller has so long to send a request, and no longer: each one that is sent slowly holds a thread.

The time runs from the moment a thread takes the request up until all of it is there. Sending the answer has none: who
takes away a large export may be as slow as he likes.

To wait for a time takes the kernel several calls, and to send a head and a body one each. So what has arrived already
is read without waiting, and the head of an answer is sent along with the beginning of its body, or before anything more
is waited for.
"""

import time
from contextlib import suppress
from socket import MSG_DONTWAIT
from typing import Any

from gunicorn.http.errors import NoMoreData

HEAD = b"HTTP/1.1 "
LONGEST_TOGETHER = 65_536
"""Bytes; a longer piece is not copied to go along with a head."""


class Hurried:
    """A socket that stops reading when the time is over."""

    def __init__(self, connection: Any) -> None:
        connection.setblocking(True)  # as it always is but while something is waited for
        self._connection = connection
        self._patience: float | None = None
        self._until: float | None = None
        self._head = b""
        self._encrypted = hasattr(connection, "context")  # what has arrived has to be taken apart first
        self.late = False
        self.answered = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def begin(self, seconds: float) -> None:
        """From now on a request has so long to arrive."""
        self._until = time.monotonic() + seconds
        self.late = self.answered = False

    def end(self) -> None:
        """The request has been dealt with: from now on there is time.

        :raises OSError: the caller, who was still to get the head of an answer, has gone.
        """
        self._until = None
        self._send_head()

    def gettimeout(self) -> float | None:
        """How many seconds are waited for what is read; None: without end."""
        return self._patience

    def settimeout(self, seconds: float | None) -> None:
        """Wait so many seconds for what is read. The kernel is told only where something is waited for."""
        self._patience = seconds

    def setblocking(self, flag: bool) -> None:
        """Wait for what is read without end, or not at all."""
        self._patience = None if flag else 0.0

    def recv(self, *wanted: int) -> Any:
        """Read what there is, and wait for it until the time is over.

        :raises NoMoreData: it is over; for gunicorn the caller is gone then.
        """
        if self._until is None or self._patience == 0:
            return self._received(self._patience, wanted)
        if not self._encrypted:
            with suppress(BlockingIOError):
                return self._connection.recv(*wanted, MSG_DONTWAIT)
        self._send_head()  # what is waited for may come only then
        left = max(self._until - time.monotonic(), 0.001)
        try:
            return self._received(left if self._patience is None else min(self._patience, left), wanted)
        except TimeoutError:
            if time.monotonic() < self._until:
                raise
            self.late = True
            raise NoMoreData from None

    def _received(self, seconds: float | None, wanted: tuple[int, ...]) -> Any:
        if seconds is None:
            return self._connection.recv(*wanted)
        try:
            self._connection.settimeout(seconds)
            return self._connection.recv(*wanted)
        finally:
            self._connection.settimeout(None)

    def sendall(self, piece: bytes) -> None:
        """Send a piece of an answer; of a head it is enough that it is sent with what follows, or at the end."""
        self.answered = True
        if self._until is not None and not self._head and piece.startswith(HEAD):
            self._head = piece
        elif self._head and len(piece) <= LONGEST_TOGETHER:
            head, self._head = self._head, b""
            self._connection.sendall(head + piece)
        else:
            self._send_head()
            self._connection.sendall(piece)

    def sendfile(self, *given: Any, **named: Any) -> Any:
        """Send a file, behind the head of its answer."""
        self._send_head()
        return self._connection.sendfile(*given, **named)

    def shutdown(self, how: int) -> None:
        """Say that nothing more is sent, once all is."""
        with suppress(OSError):
            self._send_head()
        self._connection.shutdown(how)

    def close(self) -> None:
        """Close the connection, once all is sent."""
        with suppress(OSError):
            self._send_head()
        self._connection.close()

    def _send_head(self) -> None:
        head, self._head = self._head, b""
        if head:
            self._connection.sendall(head)
