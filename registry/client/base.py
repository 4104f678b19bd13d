"""What the groups of calls share: asking for one thing, for pages, for nothing."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final
from urllib.parse import quote

from registry.client.pages import Pages, Query
from registry.client.reading import Read, as_object, read
from registry.client.transport import Call, Transport


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET
"""Not said at all, where None says something."""


class Calls:
    """Base of the groups of calls."""

    _transport: Transport

    def _one(self, kind: type[Read], call: Call) -> Read:
        document, headers = self._transport.json(call)
        return read(kind, document, headers.get("ETag"))

    def _object(self, call: Call) -> dict[str, Any]:
        return as_object(self._transport.json(call)[0])

    def _do(self, call: Call) -> None:
        self._transport.json(call)

    def _pages(self, kind: type[Read], path: str, query: Query) -> Pages[Read]:
        return Pages(lambda query: self._transport.json(Call("GET", path, query))[0], query, kind)


def under(*parts: str | int) -> str:
    """A path of these parts."""
    return "".join(f"/{quote(str(part), safe='')}" for part in parts)


def subject(name: str, version: int | None, *parts: str | int) -> str:
    """The path of something that models and versions both have."""
    return under("models", name, *parts) if version is None else under("models", name, "versions", version, *parts)


def query(**values: Any) -> Query:
    """A query of what is given; of a list each."""
    return [(name, word(one)) for name, value in values.items() for one in listed(value) if one is not None]


def listed(value: Any) -> list[Any]:
    """A list as it is, anything else as the only one of its list."""
    return list(value) if isinstance(value, list | tuple) else [value]


def word(value: Any) -> str:
    """A value as it stands in a query."""
    if isinstance(value, bool):
        return str(value).lower()
    return moment(value) if isinstance(value, datetime) else str(value)


def moment(value: datetime) -> str:
    """A time in RFC 3339.

    :raises ValueError: it has no offset, so nobody knows when it is.
    """
    if value.tzinfo is None:
        raise ValueError(f"{value} has no time zone: use datetime.now(UTC) or .replace(tzinfo=...).")
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def body(**values: Any) -> Mapping[str, Any]:
    """A body of what was said."""
    return {name: jsonable(value) for name, value in values.items() if value is not UNSET}


def jsonable(value: Any) -> Any:
    """A value as JSON has it."""
    return moment(value) if isinstance(value, datetime) else value


def given(**values: Any) -> Mapping[str, Any]:
    """A body of what is not None."""
    return body(**{name: UNSET if value is None else value for name, value in values.items()})


def told(reason: str | None = None, if_match: str | None = None) -> Mapping[str, str]:
    """Headers: why, for the requests whose body has no place for it; and the ETag that the thing must still have."""
    headers = {"X-Registry-Reason": quote(reason, safe=" ")} if reason else {}
    return headers | ({"If-Match": if_match} if if_match else {})
