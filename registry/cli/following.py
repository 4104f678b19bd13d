"""`registry audit --follow`: events as they come, each once."""

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from registry.cli.output import say
from registry.client import Client, Conflict, Event, NotFound, Unavailable, Unreachable

OVERLAP = timedelta(seconds=60)
"""How far back each question reaches: an event bears the time when its change took the model's lock, and can be seen
only when that change is committed. No transaction takes that long."""
WAIT_SECONDS = 20
"""How long the service may let us wait for an event."""
SECONDS_UNSEALED = 30
"""After how long an event without a position shows that nobody seals the log."""


class Following:
    """Asks for events again and again, and yields each once.

    Where the service seals its log, by position: then nothing is asked twice, and the service says when there is
    something new. Otherwise by time.
    """

    def __init__(self, client: Client, asked: dict[str, Any], every: float) -> None:
        """Take the filters of `Client.events`, without `since` and `order`, and the seconds between two questions."""
        self._client, self._asked, self._every = client, asked, every
        self._seen: dict[tuple[str, int], datetime] = {}
        self._latest: datetime | None = None
        self._floor: datetime | None = None
        self._after: int | None = None
        self._unsealed: tuple[str, int] | None = None
        self._unsealed_since = 0.0

    def begin(self, since: datetime | None, limit: int) -> list[Event]:
        """What to show first: all events since a moment, or else the last few."""
        self._after = self._sealed()
        if since is not None:
            self._floor = since
            return list(self._new())
        shown: list[Event] = []
        for event in self._client.events(**self._asked, page_size=1000):
            self._latest = self._latest or event.at
            if event.at < reach(self._latest) and len(shown) >= limit:
                break
            self._seen[event.stream, event.seq] = event.at
            shown += [event] if len(shown) < limit else []
        return shown[::-1]

    def __iter__(self) -> Iterator[Event]:
        """Yield new events for ever; while the service cannot be asked, wait for it."""
        away = False
        while True:
            asked = time.monotonic()
            try:
                yield from self._new() if self._after is None else self._behind(self._after)
                away = False
            except (Unavailable, Unreachable) as error:
                if not away:
                    say(f"{error.detail} Waiting for it.")
                away = True
            time.sleep(max(0.0, self._every - (time.monotonic() - asked)))

    def _sealed(self) -> int | None:
        """The last position under a checkpoint; None where the service signs none."""
        try:
            return int(self._client.checkpoint().splitlines()[1]) - 1
        except (NotFound, Unavailable, Unreachable, ValueError, IndexError):
            return None

    def _behind(self, after: int) -> Iterator[Event]:
        """Yield what was sealed since; go on by time where the log has changed or is not sealed any more."""
        events: list[Event] = []
        try:
            events, self._after = self._client.follow(after, **self._asked, since=self._floor, wait=WAIT_SECONDS)
        except Conflict as error:
            say(error.detail)
            self._after = None
        yield from self._unseen(events)
        if not events and self._after is not None and not self._is_sealed():
            say("Nobody seals the log at the moment: going on by time.")
            self._after = None

    def _is_sealed(self) -> bool:
        """Whether the latest event has a position, or may still get one soon."""
        latest = next(iter(self._client.events(page_size=1)), None)
        waiting = (latest.stream, latest.seq) if latest and latest.position is None else None
        if waiting is None or waiting != self._unsealed:
            self._unsealed, self._unsealed_since = waiting, time.monotonic()
        return waiting is None or time.monotonic() - self._unsealed_since < SECONDS_UNSEALED

    def _new(self) -> Iterator[Event]:
        asked = self._client.events(**self._asked, since=self._since(), order="oldest", page_size=1000)
        yield from self._unseen(asked)

    def _unseen(self, events: Iterable[Event]) -> Iterator[Event]:
        """Yield those events that were not shown yet."""
        since = self._since()
        self._seen = {key: at for key, at in self._seen.items() if since is None or at >= since}
        for event in events:
            key = (event.stream, event.seq)
            if key not in self._seen:
                self._seen[key] = event.at
                self._latest = max(self._latest or event.at, event.at)
                yield event

    def _since(self) -> datetime | None:
        back_to = reach(self._latest) if self._latest else None
        return max(filter(None, (back_to, self._floor)), default=None)


def reach(latest: datetime) -> datetime:
    """How far back to ask when the latest event bears this time.

    Where the clock of the database was put back, a model's events go on from their last time: the latest one may lie
    in the future, and those of other models before it.
    """
    return min(latest, datetime.now(UTC)) - OVERLAP
