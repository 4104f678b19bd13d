"""Long answers, page after page."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic
from urllib.parse import parse_qsl, urlsplit

from registry.client.reading import Read, as_object, checked, read

Query = Sequence[tuple[str, str]]


class Pages(Generic[Read], Iterator[Read]):
    """Iterates over all items; a page is asked for when its first item is wanted, so errors show then."""

    def __init__(self, ask: Callable[[Query], Any], query: Query, kind: type[Read]) -> None:
        self._ask = ask
        self._next: Query | None = query
        self._kind = kind
        self._items: Iterator[Any] = iter(())
        self._total: int | None = None

    def __iter__(self) -> "Pages[Read]":
        return self

    def __next__(self) -> Read:
        while True:
            for item in self._items:
                return read(self._kind, item)
            if self._next is None:
                raise StopIteration
            self._turn(self._next)

    @property
    def total(self) -> int | None:
        """How many there are in all, if that was asked for; known when the first item is."""
        return self._total

    def _turn(self, query: Query) -> None:
        page = as_object(self._ask(query))
        self._items = iter(checked(list, page.get("items")))
        self._total = page.get("total", self._total)
        self._next = query_in(page.get("next"))


def query_in(link: str | None) -> Query | None:
    """The query of the next page. Its path is that of this one: behind a proxy the service may not know it in full."""
    return parse_qsl(urlsplit(link).query, keep_blank_values=True) if link else None
