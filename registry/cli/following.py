"""`registry audit --follow`: events as they come, each once."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from registry.cli.output import say
from registry.client import Client, Event, Unavailable, Unreachable

OVERLAP = timedelta(seconds=60)
"""How far back each question reaches: an event bears the time when its change took the model's lock, and can be seen
only when that change is committed. No transaction takes that long."""


class Following:
    """Asks for events again and again, and yields each once."""

    def __init__(self, client: Client, asked: dict[str, Any], every: float) -> None:
        """Take the filters of `Client.events`, without `since` and `order`, and the seconds between two questions."""
        self._client, self._asked, self._every = client, asked, every
        self._seen: dict[tuple[str, int], datetime] = {}
        self._latest: datetime | None = None
        self._floor: datetime | None = None

    def begin(self, since: datetime | None, limit: int) -> list[Event]:
        """What to show first: all events since a moment, or else the last few."""
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
            try:
                yield from self._new()
                away = False
            except (Unavailable, Unreachable) as error:
                if not away:
                    say(f"{error.detail} Waiting for it.")
                away = True
            time.sleep(self._every)

    def _new(self) -> Iterator[Event]:
        since = self._since()
        self._seen = {key: at for key, at in self._seen.items() if since is None or at >= since}
        for event in self._client.events(**self._asked, since=since, order="oldest", page_size=1000):
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
