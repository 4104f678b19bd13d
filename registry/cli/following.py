"""`registry audit --follow`: events as they come, each once."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
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

    def begin(self, since: datetime | None, limit: int) -> list[Event]:
        """What to show first: all events since then, or the last few."""
        if since is not None:
            self._latest = since + OVERLAP
            return list(self._new())
        last = list(islice(self._client.events(**self._asked, page_size=limit or 1), limit or 1))[::-1]
        self._latest = last[-1].at if last else None
        before = list(self._new())  # what lies in the overlap has been there before us
        return [event for event in before if event in last[-limit:]] if limit else []

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
        since = self._latest - OVERLAP if self._latest else None
        self._seen = {key: at for key, at in self._seen.items() if since is None or at >= since}
        for event in self._client.events(**self._asked, since=since, order="oldest", page_size=1000):
            key = (event.stream, event.seq)
            if key not in self._seen:
                self._seen[key] = event.at
                self._latest = max(self._latest or event.at, event.at)
                yield event
