"""Gunicorn's worker, with four differences: a request has a time to arrive in, what never reaches the application is
refused in JSON too, and not by a page, who stops lets nobody stand before a closed door, and those who connect are
shared among the workers (registry/sharing.py).

What never reaches the application is what gunicorn itself cannot read as a request: a malformed line or header, or one
that is too long or too slow. It belongs to no face, so the answer has the members of both: those of a problem document
and those that MLflow clients read.

A worker that stops serves everybody who is connected, and then nobody can connect any more. Gunicorn's own keeps the
door open without looking until its last answer is given: whoever came meanwhile was connected, and then cut off, where
a load balancer would have gone on to the next instance if it had been refused.
"""

import json
import re
import time
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector
from typing import Any

from registry.door import SHAKEN_SECONDS
from registry.hurry import Hurried
from registry.sharing import SharingWorker
from registry.vocabulary import SAFE_HEADERS, http_problem

STATUS_LINE = re.compile(rb"HTTP/1\.1 (\d{3}) ([^\r]*)\r\n")
DETAILS = {
    400: "This is no well-formed HTTP request.",
    403: "This request is not allowed here.",
    408: "The request took too long to arrive.",
    414: "The address is too long. Ask for less at once, or send it in a body where the route takes one.",
    417: "The registry cannot do what the header 'Expect' asks for.",
    431: "There are too many headers, or one of them is too long.",
    501: "The registry does not know this transfer coding.",
}
FAULT = 500


class Worker(SharingWorker):
    """A worker with threads; `request_seconds` is how long a request may take to arrive."""

    request_seconds = 30.0

    def handle(self, conn: Any) -> Any:
        """Handle a request, if it comes in time."""
        if not isinstance(conn.sock, Hurried):
            conn.sock = Hurried(conn.sock)
        connection = conn.sock
        connection.begin(self.request_seconds)
        handled = super().handle(conn)
        if connection.late and not connection.answered:
            with suppress(OSError):  # it may have hung up by now
                connection.sendall(refusal(408, "Request Timeout"))
        try:
            connection.end()
        except OSError:  # it has hung up
            return False
        return handled

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Refuse what is no request."""
        super().handle_error(req, InJson(client), addr, exc)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin or cease to let callers in; at a stop for good."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            self.leave()

    def leave(self) -> None:
        """Let in who waits at the door or is half connected, and close it. Other workers may still have it open.

        Where all of it stops, nobody else is connected by now (registry/door.py).
        """
        for listener in self.sockets:
            listener.setblocking(False)  # a worker that was told to stop before it had begun
            until = time.monotonic() + SHAKEN_SECONDS
            while is_waited_for(listener, max(0.0, until - time.monotonic())):
                self.accept(listener)
            listener.close()


def is_waited_for(listener: Any, seconds: float) -> bool:
    """Whether somebody is connected whom nobody has let in yet, or is so within that time."""
    with DefaultSelector() as look:
        look.register(listener, EVENT_READ)
        return bool(look.select(seconds))


class InJson:
    """A connection on which gunicorn's page about an error becomes a problem document."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def sendall(self, page: bytes) -> None:
        """Send a document with the status of the page, and with nothing of what the page repeats of the request."""
        line = STATUS_LINE.match(page)
        self._connection.sendall(refusal(int(line[1]), line[2].decode()) if line else page)


def refusal(status: int, reason: str) -> bytes:
    """A whole answer."""
    detail = DETAILS.get(status, "The service failed.")
    problem = {
        "type": "urn:model-registry:problem:" + http_problem(status),
        "title": reason,
        "status": status,
        "detail": detail,
        "error_code": "BAD_REQUEST" if status < FAULT else "INTERNAL_ERROR",
        "message": detail,
    }
    body = json.dumps(problem).encode()
    headers = {"Connection": "close", **SAFE_HEADERS, "Content-Type": "application/problem+json"}
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join((*lines, f"Content-Length: {len(body)}", "", "")).encode() + body
