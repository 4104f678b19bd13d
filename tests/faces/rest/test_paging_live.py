"""Lists that change while somebody turns their pages: what is there all along comes once, and nothing comes twice."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest
from flask.testing import FlaskClient

from tests.factories import make_model, make_version, unique

pytestmark = pytest.mark.usefixtures("context")
PAGE = 4
API = "/api/v1"


class Shelf(Protocol):
    """A list over HTTP, and how things come to it and leave it. A thing is known by the key that orders the list."""

    path: str

    def key(self, item: dict[str, Any]) -> Any: ...
    def add(self) -> None: ...
    def remove(self, key: Any) -> None: ...


class Models:
    """Models of a family, by name; new ones come in at any place."""

    def __init__(self, client: FlaskClient, order: str) -> None:
        self.client, self.family = client, unique("family")
        self.path = f"{API}/models?filter=name LIKE '{self.family}-%25'&order_by=name {order}"
        self.places = iter([place * 37 % 100 for place in range(100)])
        for _ in range(20):
            self.add()

    def key(self, item: dict[str, Any]) -> str:
        return str(item["name"])

    def add(self) -> None:
        make_model(name=f"{self.family}-{next(self.places):03}")

    def remove(self, key: str) -> None:
        assert self.client.delete(f"{API}/models/{key}").status_code == 204


class Versions:
    """Versions of a model, by number; new ones come in at the highest end."""

    def __init__(self, client: FlaskClient, order: str) -> None:
        self.client, self.name = client, make_model()
        self.path = f"{API}/models/{self.name}/versions?order_by=version {order}"
        for _ in range(20):
            self.add()

    def key(self, item: dict[str, Any]) -> int:
        return int(item["version"])

    def add(self) -> None:
        make_version(self.name)

    def remove(self, key: int) -> None:
        assert self.client.delete(f"{API}/models/{self.name}/versions/{key}").status_code == 204


class Comments:
    """Comments on a version, by their ids."""

    def __init__(self, client: FlaskClient) -> None:
        self.client, name = client, make_model()
        self.path = f"{API}/models/{name}/versions/{make_version(name)}/comments"
        for _ in range(20):
            self.add()

    def key(self, item: dict[str, Any]) -> int:
        return int(item["id"])

    def add(self) -> None:
        assert self.client.post(self.path, json={"text": "words"}).status_code == 201

    def remove(self, key: int) -> None:
        assert self.client.delete(f"{self.path}/{key}").status_code == 204


class Events:
    """Audit events of a model, which never go away."""

    def __init__(self, client: FlaskClient, order: str) -> None:
        self.client, self.name = client, make_model()
        self.path = f"{API}/models/{self.name}/audit?order={order}"
        for _ in range(20):
            self.add()

    def key(self, item: dict[str, Any]) -> int:
        return int(item["seq"])

    def add(self) -> None:
        make_version(self.name)

    def remove(self, key: int) -> None:
        """Deleting what an event is about is one event more."""
        if key > 1:
            self.client.delete(f"{API}/models/{self.name}/versions/{key - 1}")


SHELVES: dict[str, Callable[[FlaskClient], Shelf]] = {
    "models": lambda client: Models(client, "asc"),
    "models, last first": lambda client: Models(client, "desc"),
    "versions": lambda client: Versions(client, "asc"),
    "versions, last first": lambda client: Versions(client, "desc"),
    "comments": Comments,
    "events": lambda client: Events(client, "oldest"),
    "events, newest first": lambda client: Events(client, "newest"),
}


def pages(client: FlaskClient, shelf: Shelf) -> Iterator[list[Any]]:
    """The keys on each page; the next one is asked for when the caller has done with this one."""
    path: str | None = shelf.path + ("&" if "?" in shelf.path else "?") + f"limit={PAGE}"
    while path is not None:
        answer = client.get(path).get_json()
        yield [shelf.key(item) for item in answer["items"]]
        path = answer["next"]


@pytest.mark.parametrize("kind", SHELVES)
def test_pages_stay_exact_while_the_list_changes(client: FlaskClient, kind: str) -> None:
    shelf = SHELVES[kind](client)
    at_first = [key for page in pages(client, shelf) for key in page]
    seen: list[Any] = []
    removed: set[Any] = set()
    removed_unseen: set[Any] = set()
    assert len(at_first) >= 20

    for count, page in enumerate(pages(client, shelf)):
        seen += page
        ahead = [key for key in at_first if key not in seen][1:2]  # of the next page the second
        behind = [page[0], page[-1]] if count % 2 else [page[0]]  # also the one that the token names
        for key in {*behind, *ahead} - removed:
            shelf.remove(key)
        removed |= {*behind, *ahead}
        removed_unseen |= {*ahead}
        if len(seen) < 40:
            shelf.add()
            shelf.add()

    assert len(seen) == len(set(seen)), "twice"
    assert set(at_first) - removed <= set(seen), "passed over"
    assert seen == sorted(seen, reverse="last" in kind or "newest" in kind), "out of order"
    if "events" not in kind:
        assert not removed_unseen & set(seen), "shown after it was gone"
