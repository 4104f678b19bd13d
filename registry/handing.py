"""How a worker's threads hand a connection back to wait for its next request.

Gunicorn's tell the main thread, through a pipe, to watch the connection again. So each request wakes that thread twice,
and it takes the interpreter from those that have requests to answer. But the kernel lets any thread have a connection
watched, and what the main thread then finds is the same.
"""

import time
from concurrent.futures import Future
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker


class HandingWorker(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """A worker whose threads have the connections watched themselves that stay open; all else is told as before."""

    def enqueue_req(self, conn: Any) -> None:
        """Have a thread deal with what a connection brings."""
        self.tpool.submit(self._deal_with, conn)

    def _deal_with(self, conn: Any) -> None:
        dealt: Future[Any] = Future()
        try:
            kept = self.handle(conn)
            if kept is True and not conn.parser.unreader.buf.getvalue():  # what was read ahead makes nobody look
                self._watch(conn)
                return
            dealt.set_result(kept)
        except Exception as error:
            dealt.set_exception(error)
        self.method_queue.defer(self.finish_request, conn, dealt)

    def _watch(self, conn: Any) -> None:
        """Let the main thread look for the next request. It is told of nothing, so it has to find all in place."""
        conn.sock.setblocking(False)
        conn.set_timeout()
        self.keepalived_conns.append(conn)
        if not self.alive:  # whoever stops does so before it looks at all those that wait
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_client_socket_readable, conn))

    def _cap_keepalive(self, deadline: float) -> None:
        """See that all who wait do so no longer than this; meanwhile threads may hand more of them back."""
        for conn in list(self.keepalived_conns):
            conn.timeout = min(conn.timeout, deadline)
