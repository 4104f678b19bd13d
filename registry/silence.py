"""Gives up a database that says nothing any more.

`statement_timeout` is the server's, and works as long as the server does. Where it stands still, or where something
between us swallows its answer, the driver would wait for ever: TCP holds a connection to be well as long as some kernel
on the way acknowledges what is sent. So every wait for an answer is noted, and a thread of the process ends those that
last too long, by shutting the connection; the driver then reports that it was lost.
"""

import os
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from typing import Any, TypeVar

from psycopg2.extensions import STATUS_READY
from psycopg2.extensions import connection as PlainConnection  # noqa: N812 (the driver's classes have small names)
from psycopg2.extensions import cursor as PlainCursor  # noqa: N812

from registry import telling

SECONDS_BETWEEN_LOOKS = 0.5
BEGIN = b"BEGIN"
Answer = TypeVar("Answer")


class Watched(PlainConnection):
    """A connection that knows since when it waits for an answer."""

    limit = 0.0
    """Seconds."""
    longer = 0.0
    """Seconds that take the place of `limit` until the transaction ends."""
    since: float | None = None

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.prepared: set[str] | None = None
        """See registry/prepared.py; None where nothing is prepared."""
        self.told: dict[str, str] | None = None
        self.ahead: list[bytes] = []
        """See registry/telling.py."""
        self.begun = False
        """Whether a transaction began, or is to begin, along with a statement."""
        self.observed: Callable[[str], AbstractContextManager[None]] | None = None
        """What is put around each settled statement, see registry/settled.py, with its text."""

    def begin(self) -> None:
        """Begin a transaction with the next statement; until it ends, the driver begins none itself."""
        self.autocommit = self.begun = True
        self.ahead = [BEGIN]

    def commit(self) -> None:
        """Commit."""
        self.told = None
        if self._is_ours():
            self._end(b"COMMIT")
            return
        if self.ahead:
            telling.send(self)
        self.since = time.monotonic()
        try:
            super().commit()
        finally:
            self.since, self.longer = None, 0.0
        self.begun = False

    def rollback(self) -> None:
        """Roll back."""
        self.ahead = self.ahead[:1] if self._is_due() else []  # what is to be undone need not be done first
        self.told, self.longer = None, 0.0
        if self._is_ours():
            self._end(b"ROLLBACK")
            return
        self.since = time.monotonic()
        try:
            super().rollback()
        finally:
            self.since = None
        self.begun = False

    def cursor(self, *given: Any, **named: Any) -> Any:
        """A new cursor. The driver makes none on the server but in a transaction that it has begun itself."""
        if self.begun and self.autocommit and (given or named.get("name")):
            telling.send(self)
            self.autocommit = False  # it begins once more, which changes nothing
        return super().cursor(*given, **named)

    def _is_ours(self) -> bool:
        """Whether there is a transaction, or is to be one, that the driver has not begun too: it would not end it."""
        return self.begun and self.status == STATUS_READY

    def _is_due(self) -> bool:
        """Whether a transaction is still to begin."""
        return self.begun and self.ahead[:1] == [BEGIN]

    def _end(self, word: bytes) -> None:
        """End a transaction that began along with a statement, if there was one."""
        last, due = self.ahead, self._is_due()
        self.ahead, self.since = [], time.monotonic()
        try:
            self.autocommit = True  # or the driver would begin one more to end this one in
            if not due or len(last) > 1:
                with super().cursor(cursor_factory=PlainCursor) as cursor:
                    cursor.execute(telling.BETWEEN.join([*last, word]))
        finally:
            self.since, self.longer = None, 0.0
        self.autocommit = self.begun = False

    def silent(self, now: float) -> float | None:
        """Since when it has been waiting, if that is too long ago."""
        since = self.since
        return since if since is not None and now - since > max(self.limit, self.longer) else None

    def give_up(self, since: float) -> None:
        """Shut it, if it still waits for the same answer; another thread, which waits in the driver, is told of it."""
        with suppress(OSError, ValueError, TypeError), socket.socket(fileno=os.dup(self.fileno())) as ours:
            if self.since == since:  # so the number was that of this connection when it was copied
                ours.shutdown(socket.SHUT_RDWR)


class WatchedCursor(PlainCursor):
    """A cursor of such a connection. One on the server is asked only when rows are fetched, so that is watched too."""

    def execute(self, statement: Any, values: Any = None) -> None:
        """Execute a statement, with what is to go along before it."""
        watched: Watched = self.connection  # type: ignore[assignment]
        if watched.ahead or watched.told is not None:
            statement, values = telling.along(self, statement, values)
        return self._watched(super().execute, statement, values)

    def executemany(self, statement: Any, rows: Any) -> None:
        """Execute a statement once for each row of values."""
        telling.send(self.connection)
        return self._watched(super().executemany, statement, rows)

    def fetchone(self) -> tuple[Any, ...] | None:
        """Fetch a row."""
        return self._watched(super().fetchone)

    def fetchmany(self, *args: Any) -> list[tuple[Any, ...]]:
        """Fetch rows."""
        return self._watched(super().fetchmany, *args)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Fetch all rows that are left."""
        return self._watched(super().fetchall)

    def _watched(self, ask: Callable[..., Answer], *args: Any) -> Answer:
        watched: Watched = self.connection  # type: ignore[assignment]
        watched.since = time.monotonic()
        try:
            return ask(*args)
        finally:
            watched.since = None


def connect_args(limit: float, *, prepares: bool = False) -> dict[str, Any]:
    """What the driver is to be told so that no answer is waited for longer than so many seconds.

    With `prepares`, frequent statements are prepared on the connection: see registry/prepared.py.
    """

    def connect(dsn: str) -> Watched:
        connection = Watched(dsn)
        connection.limit = limit
        connection.prepared = set() if prepares else None
        watch(connection)
        return connection

    return {"connection_factory": connect, "cursor_factory": WatchedCursor}


def wait_longer(connection: object, seconds: float) -> None:
    """Wait so many seconds longer for the answers of this connection, until its transaction ends."""
    if isinstance(connection, Watched):
        connection.longer = connection.limit + seconds


class Watch:
    """Those connections of one process, and the thread that looks at them."""

    def __init__(self) -> None:
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """Begin anew: a forked process has none of these threads, and its copy of the lock may be held for ever."""
        self._lock = threading.Lock()
        self._all: weakref.WeakSet[Watched] = weakref.WeakSet()
        self._runs = False

    def add(self, connection: Watched) -> None:
        """Look at this one too."""
        with self._lock:
            if not self._runs:
                self._runs = True
                threading.Thread(target=self.run, name="silence", daemon=True).start()
            self._all.add(connection)

    def run(self, pause: Callable[[float], object] = time.sleep) -> None:
        """Look, again and again; `pause` returns something true to end it."""
        while not pause(SECONDS_BETWEEN_LOOKS):
            with self._lock:
                found = list(self._all)
            end_silence(found, time.monotonic())


def end_silence(connections: Iterable[Watched], now: float) -> None:
    """Give up those that have waited for too long."""
    for connection in connections:
        since = connection.silent(now)
        if since is not None:
            connection.give_up(since)


watch = Watch().add
