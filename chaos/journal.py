"""What clients know: what they asked for, how often, what they were told. It lives outside of all that is broken."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

GRACE_SECONDS = 5.0
"""After the database is back: so long the service may take to be ready again."""
DONE, REFUSED, FAULT, UNAVAILABLE = range(200, 300), range(400, 500), range(500, 600), 503


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request, and what came of it."""

    request_id: str
    begun: float
    ended: float
    status: int | None
    """None: no answer came."""
    uncertain: bool = False
    """The answer says that it is not known whether the change was made."""
    text: str = ""

    @property
    def acknowledged(self) -> bool:
        """Whether the client was told that it is done."""
        return self.status in DONE

    @property
    def denied(self) -> bool:
        """Whether the client was told that nothing was done."""
        return self.status is not None and not self.acknowledged and not self.uncertain


@dataclass(slots=True)
class Change:
    """One thing that a client wants done, in as many attempts as it takes."""

    id: str
    expects: Mapping[str, int]
    """How many events of each action it leaves, if it is done."""
    may_archive: bool = False
    """Whether others make way, so that there may be more transitions than expected."""
    source: str | None = None
    """Where the version that it makes comes from; no other has the same."""
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def acknowledged(self) -> bool:
        """Whether any attempt was."""
        return any(attempt.acknowledged for attempt in self.attempts)


@dataclass(slots=True)
class Window:
    """A time in which something may be that must not be otherwise."""

    begun: float
    until: float = float("inf")


class Journal:
    """All changes, when the database was away, and what was seen that must not be."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.faults: list[str] = []
        self.statuses: Counter[str] = Counter()
        self.waits: list[float] = []
        """Seconds that acknowledged attempts took."""
        self.longest_wait = 15.0
        """Seconds after which an answer is a fault, whatever it says."""
        self.rewound: list[Window] = []
        """When things were acknowledged that a history which took the place of this one may lack."""
        self.outdated = False
        """Whether clients know of things that such a history lacks, so that they may be refused."""
        self._away: list[Window] = []
        self._losing: list[Window] = []
        self._lock = threading.Lock()

    @contextmanager
    def away(self) -> Iterator[None]:
        """While the database cannot do its work, and a little longer, 503 is an honest answer."""
        with self._during(self._away):
            yield

    @contextmanager
    def losing_answers(self) -> Iterator[None]:
        """While processes are killed that may be about to answer, no answer is to be expected."""
        with self._during(self._losing):
            yield

    @contextmanager
    def _during(self, windows: list["Window"]) -> Iterator[None]:
        window = Window(time.monotonic())
        with self._lock:
            windows.append(window)
        try:
            yield
        finally:
            window.until = time.monotonic() + GRACE_SECONDS

    def add(self, change: Change) -> None:
        """Take a change in, before its first attempt."""
        with self._lock:
            self.changes.append(change)

    def note(self, change: Change, attempt: Attempt) -> None:
        """Take an attempt in, and look whether its answer may be."""
        change.attempts.append(attempt)
        self.look_at(attempt)
        if attempt.acknowledged:
            self.waits.append(attempt.ended - attempt.begun)

    def look_at(self, attempt: Attempt) -> None:
        """See whether an answer may be what it is."""
        with self._lock:
            self.statuses[str(attempt.status or "no answer")] += 1
        if (what := self.wrong_with(attempt)) is not None:
            self.fault(f"{what}: {attempt.request_id} got {attempt.status} {attempt.text[:200]}")

    def wrong_with(self, attempt: Attempt) -> str | None:
        """What is not right about an answer, whatever was asked."""
        if attempt.ended - attempt.begun > self.longest_wait:
            return f"took {attempt.ended - attempt.begun:.1f} s"
        if attempt.status is None:
            return None if self._within(self._losing, attempt) else "no answer"
        if attempt.status == UNAVAILABLE:
            return None if self._within(self._away, attempt) else "503 though the database is there"
        if attempt.status in FAULT:
            return "a fault"
        return None

    def _within(self, windows: list["Window"], attempt: Attempt) -> bool:
        with self._lock:
            return any(window.begun <= attempt.ended and attempt.begun <= window.until for window in windows)

    def fault(self, what: str) -> None:
        """Write down what must not be."""
        with self._lock:
            self.faults.append(what)

    @property
    def acknowledged(self) -> int:
        """How many changes were."""
        return sum(change.acknowledged for change in list(self.changes))
