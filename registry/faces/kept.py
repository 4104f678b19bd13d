"""Answers that are kept: who asks the same again gets the same, once the database has said that it still holds.

A kept answer rests on the streams of the audit log that its view named (`inbound.rests_on`): of each its head is kept
with it, the hash of the last event and the stream's clock. Nothing about a model changes without setting that on, also
where it is no event, so as long as the heads are the same, the view would answer the same. Whether they are, and
whether the token is good for as much as it was, is one question to the database, asked each time and outside any
transaction: nothing is true here because it was a moment ago.

What an answer is kept with was read before what it answers, or in the same snapshot: whatever changed meanwhile shows
in the next look.
"""

import functools
import hashlib
import io
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Flask, Response, g, request
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from registry.db import db
from registry.domain import tokens
from registry.domain.heads import noted
from registry.domain.tokens import Standing
from registry.faces import measuring
from registry.faces.inbound import RESTS_ON, STANDING, WAITED, given_secret, introduce, reading

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

KEY, MADE = "registry.key", "registry.made"
READ_BY_POST = "/registered-models/get-latest-versions"
LONGEST_BODY = 4_096
PARTS = ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE", "HTTP_IF_NONE_MATCH")
"""What makes a request the same as another one, with its body and its credential."""
UNCOMMON = (
    "HTTP_EXPECT", "HTTP_IDEMPOTENCY_KEY", "HTTP_IF_MATCH", "HTTP_ORIGIN", "HTTP_TRANSFER_ENCODING",
    "HTTP_X_MLFLOW_WORKSPACE",
)  # fmt: skip
"""Who sends one of these is answered anew."""
NEW_EACH_TIME = "X-Request-ID"
KEPT_STATUSES = frozenset({200, 304})
OVERHEAD = 2_048
"""Bytes that an answer takes besides its body and what was asked, about."""

Environ = dict[str, Any]
Key = tuple[str | bytes, ...]
Same = TypeVar("Same")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, what it rests on, and what is counted and logged when it is given.

    `heads`: None where only the streams are known yet. `token`: the digest of the token that it was given to.
    """

    token: bytes
    streams: tuple[str, ...]
    authority: tuple[Any, ...]
    heads: dict[str, bytes | None] | None
    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    labels: tuple[str, str, str, int]
    logged: dict[str, str | None]

    def holds(self, standing: Standing) -> bool:
        """Whether it is what the view would answer now."""
        return self.heads == standing.heads and self.authority == standing.authority and not standing.note_use


@functools.lru_cache(maxsize=1_024)
def shared(value: Same) -> Same:
    """The value, or one that is equal to it: what many answers have alike is in memory once."""
    return value


class Shelf:
    """Answers by what was asked; those that nobody has asked for the longest make room for others."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._left = room
        self._answers: OrderedDict[Key, Answer] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: Key) -> Answer | None:
        """The answer, which is then the last that will make room."""
        with self._lock:
            found = self._answers.get(key)
            if found is not None:
                self._answers.move_to_end(key)
            return found

    def put(self, key: Key, answer: Answer) -> None:
        """Keep an answer in the place of the one that was there, if it is not too large altogether."""
        with self._lock:
            self._remove(key)
            size = size_of(key, answer)
            if size > self._room // 8:
                return
            self._answers[key] = answer
            self._left -= size
            while self._left < 0:
                self._remove(next(iter(self._answers)))

    def _remove(self, key: Key) -> None:
        gone = self._answers.pop(key, None)
        if gone is not None:
            self._left += size_of(key, gone)


def size_of(key: Key, answer: Answer) -> int:
    """Bytes that an answer takes with what was asked, about. Whoever asks decides how long that is."""
    return sum(map(len, key)) + len(answer.body) + OVERHEAD


class Lane:
    """Stands before the application, and lets through to it what there is no answer to."""

    def __init__(self, app: Flask, room: int) -> None:
        self.shelf = Shelf(room)
        self._inner: WSGIApplication = app.wsgi_app
        self._meters = app.extensions["meters"]
        self._trusted = app.config["REGISTRY"].trusted_proxies
        with app.app_context():
            self._engine = db.engine

    def __call__(self, environ: Environ, start: "StartResponse") -> Iterable[bytes]:
        """Answer a request."""
        began = time.monotonic()
        key = key_of(environ)
        answer = None if key is None else self.shelf.find(key)
        standing = None if answer is None else self.ask(answer, environ)
        if answer is None or standing is None or not answer.holds(standing):
            if answer is not None and answer.heads is not None:
                self._meters.kept("outdated")
            environ[STANDING] = standing
            if key is None:
                return self._inner(environ, start)
            environ[KEY] = key
            return self._inner(environ, self.keeping(key, environ, start))
        return self.give(answer, environ, start, began)

    def keeping(self, key: Key, environ: Environ, start: "StartResponse") -> "StartResponse":
        """What begins an answer, and keeps it if the application has made one to keep."""

        def begin(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            answer: Answer | None = environ.get(MADE)
            if answer is not None:
                given = () if answer.heads is None else (pair for pair in headers if pair[0] != NEW_EACH_TIME)
                kept = tuple(pair if pair[0] == "ETag" else shared(pair) for pair in given)
                self.shelf.put(of_few(key), replace(answer, status=shared(status), headers=kept))
            return start(status, headers, *error)

        return begin

    def ask(self, answer: Answer, environ: Environ) -> Standing | None:
        """What the database says of all that an answer rests on; None where it has nothing to say, for any reason."""
        board = self._meters.board
        clock = board.start_clock(time.monotonic())
        try:
            return tokens.standing(self._engine, answer.token, answer.streams)
        except PoolTimeoutError as error:
            environ[WAITED] = error  # nobody is to wait for a connection twice
            return None
        except DBAPIError:
            return None
        finally:
            if clock is not None:
                board.stop_clock(clock)

    def give(self, answer: Answer, environ: Environ, start: "StartResponse", began: float) -> Iterable[bytes]:
        """Answer again: with another id, and noted down like any other request."""
        introduce(environ, self._trusted)
        environ |= answer.logged
        self._meters.answered(*answer.labels, time.monotonic() - began)
        self._meters.kept("given")
        start(answer.status, [*answer.headers, (NEW_EACH_TIME, environ["registry.request_id"])])
        return [answer.body] if answer.body else []


def key_of(environ: Environ) -> Key | None:
    """What is asked, by whom; None if the answer is none to keep. The body, where there is one, stays there."""
    method, credential = environ["REQUEST_METHOD"], environ.get("HTTP_AUTHORIZATION")
    reads = method == "GET" or (method == "POST" and environ["PATH_INFO"].endswith(READ_BY_POST))
    if not reads or not credential or any(name in environ for name in UNCOMMON):
        return None
    body = body_of(environ)
    if body is None:
        return None
    parts = [environ.get(name, "") for name in PARTS]
    return (*parts, body, hashlib.sha256(credential.encode("latin-1", "replace")).digest())


def body_of(environ: Environ) -> bytes | None:
    """The body of a request, left there for who comes next; None if it is too long, or does not arrive."""
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length) > LONGEST_BODY:
        return None
    if int(length) == 0:
        return b""
    stream = environ["wsgi.input"]
    try:
        body: bytes = stream.read(int(length))
    except Exception as error:  # whoever reads it next has to deal with it
        environ["wsgi.input"] = Broken(error)
        return None
    environ["wsgi.input"] = io.BytesIO(body)
    return body if len(body) == int(length) else None


class Broken(io.RawIOBase):
    """A body that cannot be read, for a reason that was found out already."""

    def __init__(self, reason: Exception) -> None:
        super().__init__()
        self._reason = reason

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, _: Any) -> int:
        """Say why that is not possible."""
        raise self._reason


def keep(response: Response) -> Response:
    """Have the answer kept, where its view has said what it rests on and nothing else decided that it is given."""
    environ = request.environ
    key, streams, standing = environ.get(KEY), environ.get(RESTS_ON), environ.get(STANDING)
    if key is None or streams is None or standing is None or response.is_streamed:
        return response
    secret = given_secret()
    # Whether somebody owns a model is asked of a table that the look at the token leaves out.
    if response.status_code in KEPT_STATUSES and secret and not g.principal.owned:
        environ[MADE] = made(response, streams, standing, tokens.digest(secret))
    return response


def of_few(key: Key) -> Key:
    """The same key, of whose parts those are shared that are the same in many requests."""
    method, path, query, kind, condition, body, credential = key
    return (shared(method), path, query, shared(kind), condition, body, shared(credential))


def made(response: Response, streams: tuple[str, ...], standing: Standing, token: bytes) -> Answer:
    """An answer to keep; where its streams were not looked at before it was made, what it rests on alone.

    How it begins is known once the web server is told.
    """
    environ = request.environ
    heads = noted(reading()) | standing.heads
    known = heads.keys() >= set(streams)
    route = request.url_rule.rule if request.url_rule else measuring.UNMATCHED
    return Answer(
        token=shared(token),
        streams=streams,
        authority=shared(standing.authority),
        heads={stream: heads[stream] for stream in streams} if known else None,
        status="",
        headers=(),
        body=response.get_data() if known else b"",
        labels=shared((measuring.face_of(request.path), request.method, route, response.status_code)),
        logged={name: environ.get(name) for name in ("registry.actor", "registry.credential", "registry.model")},
    )


def install(app: Flask, megabytes: int) -> None:
    """Keep answers of this application in so much memory of each process; none where there is no room."""
    if megabytes:
        app.wsgi_app = Lane(app, megabytes * 1024 * 1024)  # type: ignore[method-assign, assignment]
