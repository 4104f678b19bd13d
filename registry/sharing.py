"""How workers share those who connect.

All workers listen at one door, and all are woken when somebody knocks. Gunicorn's let in whom they can get: of many who
come at once one worker gets nearly all, because the others have requests to answer meanwhile, and keeps them for as
long as they stay connected. Then one processor works and the others look on.

So each worker shows the others how many are connected to it, and one that has more than another waits for a moment
before it opens: the other one lets them in. Where that does not come, because it hangs for instance, nobody waits for
longer. One whose threads are all at work counts as one with more than anybody else: slow callers may hold them for
long, and whoever it let in would wait for those.
"""

import threading
import time
from collections.abc import Callable
from math import inf
from selectors import EVENT_READ
from typing import Any

from registry.taking import worker_class

MOMENT = 0.02
"""Seconds; a worker whose threads are all at work can take that long to look at the door."""
LOOK = 0.001
"""Seconds between two looks, while a worker waits, whether it has as few as the others by now."""
SOON = 0.1
"""Seconds within which somebody who was let in is expected to ask something."""


class SharingWorker(worker_class()):  # type: ignore[misc] # gunicorn has no types
    """A worker with threads that leaves those who come to others who have fewer.

    `show` tells the others how many this one has; `fewest` says how many that of them has that has the fewest.
    """

    show: Callable[[float], None] | None = None
    fewest: Callable[[], float] = staticmethod(lambda: inf)

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._shown = 0.0
        self._showing = threading.Lock()
        self._knocked: dict[Any, float] = {}
        """When to open to whom waits at which door."""
        self._expected: dict[Any, float] = {}
        """Who was let in and has no thread yet, and until when he is as good as served."""

    def accept(self, listener: Any) -> None:
        """Let somebody in, unless another worker does so in the next moment."""
        if self.alive and self._load() > self.fewest():
            self.poller.unregister(listener)  # it would be told of without end
            self._knocked[listener] = time.monotonic() + MOMENT
        else:
            self._let_in(listener)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Do what there is to do, and open the door to those who still wait."""
        self._show_load()
        if self._expected:
            timeout = min(timeout, SOON)
        if self._knocked:
            timeout = min(timeout, LOOK)
        super().wait_for_and_dispatch_events(timeout)
        now = time.monotonic()
        for conn, due in list(self._expected.items()):
            if due <= now:
                self._expected.pop(conn, None)
        for listener, due in list(self._knocked.items()):
            if due <= now:
                self._look_again(listener)
                self._let_in(listener)
            elif self._load() <= self.fewest():  # by now it is for this one to open
                self._look_again(listener)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin or cease to let callers in."""
        for listener in list(self._knocked):
            self._look_again(listener)
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            with self._showing:
                self._show(inf)  # nobody waits for one who stops

    def enqueue_req(self, conn: Any) -> None:
        """Have a thread deal with what a new connection brings, which will be soon."""
        if not conn.initialized:  # gunicorn's own worker has those dealt with here too that stay
            self._expected[conn] = time.monotonic() + SOON
        super().enqueue_req(conn)

    def _load(self) -> int:
        """How many are connected, and more than anybody can have where no thread is left for one more."""
        served = self.nr_conns - len(self.keepalived_conns) - len(self.pending_conns) + len(self._expected)
        return int(self.nr_conns + (self.worker_connections if served >= self.cfg.threads else 0))

    def _deal_with(self, conn: Any) -> None:
        self._expected.pop(conn, None)
        self._show_load()
        super()._deal_with(conn)

    def _rest(self, *given: Any) -> None:
        super()._rest(*given)
        if self._shown >= self.worker_connections:  # the main thread, which would say so, is not told of it
            self._show_load()

    def _let_in(self, listener: Any) -> None:
        super().accept(listener)
        self._show_load()

    def _look_again(self, listener: Any) -> None:
        del self._knocked[listener]
        self.poller.register(listener, EVENT_READ, self.accept)

    def _show_load(self) -> None:
        with self._showing:  # or one that has counted before the last change would show that after it
            self._show(self._load())

    def _show(self, count: float) -> None:
        if self.show is not None and self._shown not in {count, inf}:
            self._shown = count
            self.show(count)
