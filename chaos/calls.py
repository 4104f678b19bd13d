"""One request, and the same again until it is answered.

Each has a connection of its own, so that any worker may get it, unless callers are told to keep theirs.
"""

import json
import random
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any

from chaos.journal import UNAVAILABLE, Attempt, Change, Journal
from chaos.service import TOKEN

TIMEOUT_SECONDS = 30.0
UNCERTAIN = "not known"
IN_FLIGHT = 409


@dataclass(frozen=True)
class Request:
    """What is asked for. With a key it may be sent again; `repeatable` says that it may without one."""

    method: str
    path: str
    body: Any = None
    key: str | None = None
    repeatable: bool = False


@dataclass(frozen=True)
class Answer:
    """What came: the status, None where nothing came, and what was wrong then."""

    status: int | None
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class Line:
    """A connection that is kept from one request to the next, as long as the service does so too."""

    def __init__(self) -> None:
        self._port = 0
        self._connection: HTTPConnection | None = None
        self.used_again = 0
        """How many requests went over one that had carried others."""

    def to(self, port: int) -> HTTPConnection:
        """Return it, or a new one where it leads elsewhere or has been ended, as clients look before they send."""
        kept = self._connection
        if kept is None or self._port != port or (kept.sock is not None and has_news(kept.sock)):
            self.hang_up()
            kept, self._port = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS), port
        self.used_again += kept.sock is not None
        self._connection = kept
        return kept

    def hang_up(self) -> None:
        """End it."""
        if self._connection is not None:
            self._connection.close()


def has_news(sock: socket.socket) -> bool:
    """Whether there is something to read, be it the end, though nothing was asked."""
    return bool(select.select([sock], [], [], 0)[0])


def send(port: int, request: Request, request_id: str, line: Line | None = None) -> Answer:
    """Send a request once."""
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Request-ID": request_id}
    if line is None:
        headers["Connection"] = "close"
    if request.key is not None:
        headers["Idempotency-Key"] = request.key
    body = None
    if request.body is not None:
        headers["Content-Type"], body = "application/json", json.dumps(request.body)
    used = Line() if line is None else line
    try:
        connection = used.to(port)
        connection.request(request.method, request.path, body, headers)
        answer = connection.getresponse()
        return Answer(answer.status, answer.read(), dict(answer.headers))
    except (OSError, HTTPException) as error:
        used.hang_up()
        return Answer(None, text=repr(error))
    finally:
        if line is None:
            used.hang_up()


class Caller:
    """A client: sends, and sends again where that is safe, and writes everything down."""

    def __init__(self, port: Callable[[], int], journal: Journal, stopping: threading.Event, seed: str) -> None:
        self.chance = random.Random(seed)
        self.journal = journal
        self._port = port
        self._stopping = stopping
        self.line = Line()
        self.keeps = False
        """Whether it keeps its connection."""

    def do(self, change: Change, request: Request, patience: float = 90.0) -> Answer:
        """Have a change made; return the last answer. Without leave to repeat there is one attempt."""
        if not change.attempts:
            self.journal.add(change)
        deadline = time.monotonic() + patience
        while True:
            answer = self._attempt(change, request)
            if final(answer) or not (request.key or request.repeatable):
                return answer
            if time.monotonic() > deadline:
                self.journal.fault(f"no definite answer in {patience:.0f} s: {change.id}")
                return answer
            time.sleep(self.chance.uniform(0.02, 0.2))

    def _attempt(self, change: Change, request: Request) -> Answer:
        request_id = f"{change.id}.{len(change.attempts)}"
        begun = time.monotonic()
        answer = self._send(request, request_id)
        text = answer.text or (answer.body.decode(errors="replace") if not ok(answer) else "")
        uncertain = answer.status == UNAVAILABLE and UNCERTAIN in text
        self.journal.note(change, Attempt(request_id, begun, time.monotonic(), answer.status, uncertain, text))
        self._check(request, request_id, answer)
        return answer

    def _check(self, request: Request, request_id: str, answer: Answer) -> None:
        """What every answer must have or must not."""
        if answer.status == UNAVAILABLE and "Retry-After" not in answer.headers:
            self.journal.fault(f"503 without Retry-After: {request_id}")
        if answer.status in range(400, 500) and answer.status != IN_FLIGHT and not self.journal.outdated:
            self.journal.fault(f"refused: {request_id} {request.method} {request.path}: {answer.body[:300]!r}")

    def _send(self, request: Request, request_id: str) -> Answer:
        return send(self._port(), request, request_id, self.line if self.keeps else None)

    def ask(self, path: str) -> Answer:
        """Ask a question."""
        begun = time.monotonic()
        answer = self._send(Request("GET", path), "look")
        self.journal.look_at(Attempt(f"GET {path}", begun, time.monotonic(), answer.status, text=answer.text))
        return answer


def ok(answer: Answer) -> bool:
    """Whether it says that it is done."""
    return answer.status in range(200, 300)


def final(answer: Answer) -> bool:
    """Whether sending it again would change nothing: it is done, or refused for good."""
    return answer.status is not None and answer.status not in {UNAVAILABLE, IN_FLIGHT}
