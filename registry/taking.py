"""How a worker's threads take requests: each waits itself for the next connection that brings one.

Gunicorn's main thread waits for all connections, and has a thread deal with each that brings something. So each request
wakes two threads one after the other, and the one that waits takes the interpreter from those that have something to
answer. But the kernel lets any number of threads wait for the same connections, wakes one of them for each that brings
something, and lets nobody else have it until that one says so (EPOLLONESHOT). A thread that has answered finds the next
request there without any other having been woken.

The main thread lets callers in and closes connections, as before: it counts them. Where the kernel has no epoll, all is
as gunicorn has it.
"""

import os
import select
import time
from collections import deque
from concurrent.futures import Future
from math import inf
from types import SimpleNamespace
from typing import Any

from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

THERE = hasattr(select, "epoll") and hasattr(os, "eventfd")
SECONDS_BETWEEN_LOOKS = 1.0
"""How often a thread that nothing comes to looks whether it is over."""
NOBODY = SimpleNamespace(timeout=inf)


class Resting(deque[Any]):
    """Connections that wait for a request, in the order of their time-outs. Whoever removes one has it.

    Threads remove them while gunicorn looks at the first one, if there is one.
    """

    def __getitem__(self, index: Any) -> Any:
        try:
            return super().__getitem__(index)
        except IndexError:
            return NOBODY


class TakingWorker(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """A worker whose threads wait for requests themselves."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.keepalived_conns = Resting()
        self._by_file: dict[int, Any] = {}
        self._over = False

    def run(self) -> None:
        """Serve until told to stop."""
        if not THERE:
            super().run()
            return
        self._ready, bell = select.epoll(), os.eventfd(0)
        self._ready.register(bell, select.EPOLLIN)  # once it is rung, it wakes them all
        for _ in range(self.cfg.threads):
            self.tpool.submit(self._take)
        try:
            super().run()
        finally:
            self._over = True  # or the interpreter would wait for them at its end
            os.eventfd_write(bell, 1)

    def enqueue_req(self, conn: Any) -> None:
        """Have a thread deal with what a new connection brings."""
        if not THERE:
            super().enqueue_req(conn)
            return
        conn.data_ready = True  # it is, once a thread takes it
        self._wait(conn)

    def murder_keepalived(self, force: bool = False) -> None:
        """Close connections whose time is over, or all of them."""
        now = time.monotonic()
        while (first := self.keepalived_conns[0]) is not NOBODY and (force or first.timeout <= now):
            if self._is_mine(first):
                self._by_file.pop(first.sock.fileno(), None)
                self.nr_conns -= 1
                first.close()

    def _take(self) -> None:
        """Deal with one request after the other."""
        while not self._over:
            for file, _ in self._ready.poll(SECONDS_BETWEEN_LOOKS, 1):
                conn = self._by_file.pop(file, None)
                if conn is not None and self._is_mine(conn):
                    self._deal_with(conn)

    def _is_mine(self, conn: Any) -> bool:
        """Take a connection that waits; false if another thread has it, which answers it or closes it."""
        try:
            self.keepalived_conns.remove(conn)
        except ValueError:
            return False
        return True

    def _deal_with(self, conn: Any) -> None:
        dealt: Future[Any] = Future()
        try:
            kept = self.handle(conn)
            if kept is True:
                self._wait(conn)
                return
            dealt.set_result(kept)
        except BaseException as error:
            dealt.set_exception(error)
        self.method_queue.defer(self.finish_request, conn, dealt)

    def _wait(self, conn: Any) -> None:
        """Wait for the next request of a connection. Any thread can have it by the end of this.

        :raises OSError, ValueError: it cannot be waited for, and does not wait.
        """
        conn.set_timeout()
        if not self.alive:  # whoever stops does so before it looks at all those that wait
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)
        file = conn.sock.fileno()
        self._by_file[file] = conn
        self.keepalived_conns.append(conn)
        try:
            self._look(file, reading_of(conn))
        except (OSError, ValueError):
            if self._is_mine(conn):
                raise

    def _look(self, file: int, what: int) -> None:
        try:
            self._ready.modify(file, what | select.EPOLLONESHOT)
        except FileNotFoundError:
            self._ready.register(file, what | select.EPOLLONESHOT)

    def _cap_keepalive(self, deadline: float) -> None:
        """See that all who wait do so no longer than this; meanwhile threads may take some, and bring others."""
        for conn in list(self.keepalived_conns):
            conn.timeout = min(conn.timeout, deadline)


def reading_of(conn: Any) -> int:
    """What shows that a connection has a request to read.

    What was read ahead of shows nowhere. But there is room to write; so it is taken up at once, behind all others.
    """
    ahead = conn.parser is not None and conn.parser.unreader.buf.getvalue()
    return select.EPOLLOUT if ahead else select.EPOLLIN
