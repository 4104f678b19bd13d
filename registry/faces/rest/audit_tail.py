"""Following the audit log: an answer waits until there are new events, and holds nothing but its thread meanwhile."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import current_app, g

from registry.domain import audit_tail
from registry.domain.audit import Question
from registry.domain.audit_tail import Tail
from registry.faces.inbound import reading, step_back

SECONDS_BETWEEN_LOOKS = 0.2


class Bell:
    """Those who wait in this process: so many at most, and one look at the log for all of them."""

    def __init__(self, places: int) -> None:
        self._places = threading.Semaphore(places)
        self._looking = threading.Lock()
        self._head = audit_tail.BEFORE_THE_FIRST
        self._looked = 0.0

    @contextmanager
    def place(self) -> Iterator[bool]:
        """Take a place among those who wait; yield whether there was one."""
        ours = self._places.acquire(blocking=False)
        try:
            yield ours
        finally:
            if ours:
                self._places.release()

    def head(self) -> int:
        """The highest position, as somebody who waits has seen it a moment ago."""
        with self._looking:
            if time.monotonic() >= self._looked + SECONDS_BETWEEN_LOOKS:
                self._head = audit_tail.head(reading())
                step_back()
                self._looked = time.monotonic()
            return self._head


def follow(question: Question, after: int, limit: int, wait: float) -> Tail:
    """The events behind a position; if there are none, those of up to `wait` seconds later."""
    until = time.monotonic() + wait
    found = audit_tail.read(reading(), g.principal, question, after=after, limit=limit)
    if found.items or not wait:
        return found
    step_back()
    with bell().place() as ours:
        while ours and not found.items and rest(until):
            if bell().head() > found.after:
                found = audit_tail.read(reading(), g.principal, question, after=found.after, limit=limit)
            if not found.items:
                step_back()
    return found


def rest(until: float) -> bool:
    """Let a moment pass; say whether there is time left, and the service goes on."""
    left = until - time.monotonic()
    stopping: Callable[[], bool] = current_app.extensions.get("stopping", lambda: False)
    if left <= 0 or stopping():
        return False
    time.sleep(min(left, SECONDS_BETWEEN_LOOKS))
    return True


def bell() -> Bell:
    """The one of this process. Half of the threads may wait; the others go on working."""
    places = current_app.config["REGISTRY"].threads // 2
    found: Bell = current_app.extensions.setdefault("audit_bell", Bell(places))
    return found
