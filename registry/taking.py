"""How a worker's threads take requests: each waits itself for the next connection that brings one.

Gunicorn's main thread waits for all connections, and has a thread deal with each that brings something. So each request
wakes two threads one after the other, and the one that waits takes the interpreter from those that have something to
answer. But the kernel lets any number of threads wait for the same connections, wakes one of them for each that brings
something, and lets nobody else have it until that one says so (EPOLLONESHOT). A thread that has answered finds the next
request there without any other having been woken.

The main thread lets callers in and closes connections, as before: it counts them. But where gunicorn has it wait until
a caller who was answered hangs up too, or two seconds are over, and nobody else is let in meanwhile, such a connection
is one of those that are waited for.

Where the kernel has no epoll, all is as gunicorn has it.
"""

import os
import select
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from math import inf
from socket import SHUT_WR
from types import SimpleNamespace
from typing import Any

from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

KNOWN_HERE = hasattr(select, "epoll") and hasattr(os, "eventfd")
SECONDS_BETWEEN_LOOKS = 1.0
"""How often a thread that nothing comes to looks whether it is over."""
SECONDS_TO_LEAVE = 2.0
"""How long a caller who was answered is waited for. Closed before, the connection could take the answer along with what
he has sent and nobody has read (RFC 9112, section 9.6)."""
MOST_UNREAD = 65_536
"""Bytes that he may still send."""
PIECE = 4_096
NOBODY = SimpleNamespace(timeout=inf)


class Resting(deque[Any]):
    """Connections that something is waited for from, in the order of their time-outs. Whoever removes one has it.

    Threads remove them while gunicorn looks at the first one, if there is one.
    """

    def __getitem__(self, index: Any) -> Any:
        try:
            return super().__getitem__(index)
        except IndexError:
            return NOBODY

    def take(self, conn: Any) -> bool:
        """Remove a connection; false if another thread has done so, which has it then."""
        try:
            self.remove(conn)
        except ValueError:
            return False
        return True


NOTHING: tuple[Any, Resting, Callable[[Any], None]] = (NOBODY, Resting(), print)
"""What is known of a file that nothing is waited for from, as that of the bell."""


class TakingWorker(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """A worker whose threads wait for requests themselves."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.keepalived_conns = Resting()
        self.pending_conns = Resting()
        """Those that have been answered for the last time."""
        self._by_file: dict[int, tuple[Any, Resting, Callable[[Any], None]]] = {}
        """A connection, where it rests, and what is done once it brings something."""
        self._over = False

    def run(self) -> None:
        """Serve until told to stop."""
        self._ready, bell = select.epoll(), os.eventfd(0)
        self._ready.register(bell, select.EPOLLIN)  # once it is rung, it wakes them all
        try:
            for _ in range(self.cfg.threads):
                self.tpool.submit(self._take)
            super().run()
        finally:
            self._over = True  # or the interpreter would wait for them at its end
            os.eventfd_write(bell, 1)

    def enqueue_req(self, conn: Any) -> None:
        """Have a thread deal with what a new connection brings."""
        conn.data_ready = True  # it is, once a thread takes it
        if not self._can_wait(conn):
            self._part(conn)

    def murder_keepalived(self, force: bool = False) -> None:
        """Close connections that nobody uses any more, or all of them.

        Who has asked something uses his, however long all threads have been busy: it is waited for a thread anew.
        """
        if force:
            self._close_overdue(self.keepalived_conns, inf)
        else:
            self._close_overdue(self.keepalived_conns, time.monotonic(), has_asked)

    def murder_pending(self) -> None:
        """Close connections whose callers do not hang up."""
        self._close_overdue(self.pending_conns, time.monotonic())

    def _close_overdue(self, resting: Resting, now: float, is_used: Callable[[Any], bool] = lambda _: False) -> None:
        while (first := resting[0]) is not NOBODY and first.timeout <= now:
            if resting.take(first):
                self._by_file.pop(first.sock.fileno(), None)
                if not (is_used(first) and self._can_wait(first)):
                    self._part(first)

    def _can_wait(self, conn: Any) -> bool:
        """Wait for a connection, if that is possible: the main thread, which asks, has to go on."""
        try:
            self._wait(conn)
        except (OSError, ValueError):
            return False
        return True

    def _take(self) -> None:
        """Deal with what connections bring, one after the other."""
        while not self._over:
            for file, _ in self._ready.poll(SECONDS_BETWEEN_LOOKS, 1):
                conn, resting, then = self._by_file.pop(file, NOTHING)
                if resting.take(conn):
                    then(conn)

    def _deal_with(self, conn: Any) -> None:
        """Answer a request."""
        dealt: Future[Any] = Future()
        try:
            if self.handle(conn) is True:
                self._wait(conn)
            else:
                self._leave(conn)
        except BaseException as error:
            dealt.set_exception(error)
            self.method_queue.defer(self.finish_request, conn, dealt)

    def _wait(self, conn: Any) -> None:
        """Wait for the next request of a connection. Any thread can have it by the end of this.

        :raises OSError, ValueError: it cannot be waited for, and does not wait.
        """
        conn.set_timeout()
        # What was read ahead shows nowhere. But there is room to write: so it is taken up at once, behind all others.
        look = select.EPOLLOUT if has_read_ahead(conn) else select.EPOLLIN
        self._rest(conn, self.keepalived_conns, self._deal_with, look)
        # Whoever stops says so and then looks at all who wait. If he looked before this one did, he has said so by now.
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)

    def _leave(self, conn: Any) -> None:
        """Say that no more answers come, and wait until the caller hangs up.

        :raises OSError, ValueError: he has, or cannot be waited for.
        """
        conn.sock.shutdown(SHUT_WR)
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + SECONDS_TO_LEAVE
        self._rest(conn, self.pending_conns, self._drain, select.EPOLLIN)

    def _drain(self, conn: Any, most: int = MOST_UNREAD) -> None:
        """Drop what a caller still sends who has been answered."""
        try:
            said = len(conn.sock.recv(PIECE))
            if 0 < said < most:
                self._rest(conn, self.pending_conns, partial(self._drain, most=most - said), select.EPOLLIN)
                return
        except (OSError, ValueError):
            pass  # he has gone
        self.method_queue.defer(self._part, conn)

    def _part(self, conn: Any) -> None:
        """Close a connection."""
        self.nr_conns -= 1
        conn.close()

    def _rest(self, conn: Any, resting: Resting, then: Callable[[Any], None], look: int) -> None:
        """Have the next thread do something with a connection once it can be read, or written.

        :raises OSError, ValueError: that cannot be waited for, and is not.
        """
        file = conn.sock.fileno()
        self._by_file[file] = (conn, resting, then)
        resting.append(conn)
        try:
            self._look(file, look | select.EPOLLONESHOT)
        except (OSError, ValueError):
            if resting.take(conn):
                raise

    def _look(self, file: int, look: int) -> None:
        try:
            self._ready.modify(file, look)
        except FileNotFoundError:
            self._ready.register(file, look)

    def _cap_keepalive(self, deadline: float) -> None:
        """See that all who wait do so no longer than this; meanwhile threads may take some, and bring others."""
        for conn in list(self.keepalived_conns):
            conn.timeout = min(conn.timeout, deadline)


def has_read_ahead(conn: Any) -> bool:
    """Whether some of the next request was read along with the last one."""
    return conn.parser is not None and bool(conn.parser.unreader.buf.getvalue())


def has_asked(conn: Any) -> bool:
    """Whether there is something to read of a connection that no thread has read yet."""
    look = select.poll()
    look.register(conn.sock.fileno(), select.POLLIN)
    return has_read_ahead(conn) or any(found & select.POLLIN for _, found in look.poll(0))


def worker_class(*, known_here: bool = KNOWN_HERE) -> Any:
    """Gunicorn's worker with threads, or this one where the system knows what that needs."""
    return TakingWorker if known_here else ThreadWorker
