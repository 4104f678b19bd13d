"""From JSON to answers, by the types of their fields; what a class does not name stays in `document`."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from registry.client.answers import Answer
from registry.client.errors import UnexpectedAnswer

Read = TypeVar("Read", bound=Answer)
Fields = list[tuple[str, str, Any]]
KNOWN: dict[type[Answer], Fields] = {}


def read(kind: type[Read], document: Any, etag: str | None = None) -> Read:
    """Make an answer of its JSON.

    :raises UnexpectedAnswer: it has not the shape of such an answer.
    """
    try:
        given = {
            name: value_of(hint, document[key]) for name, key, hint in described(kind) if key in as_object(document)
        }
        return kind(**given, document=document, etag=etag)
    except (TypeError, ValueError) as error:
        what = f"The service gave an answer that this client does not understand as {kind.__name__}: {error}"
        raise UnexpectedAnswer(what) from error


def described(kind: type[Answer]) -> Fields:
    """Name, JSON key and type of each field of an answer."""
    if kind not in KNOWN:
        KNOWN[kind] = look_at(kind)
    return KNOWN[kind]


def look_at(kind: type[Answer]) -> Fields:
    """Work out the fields of an answer."""
    hints = get_type_hints(kind)
    own = [part for part in fields(kind) if part.name not in {"document", "etag"}]
    return [(part.name, part.metadata.get("key", part.name), hints[part.name]) for part in own]


def value_of(hint: Any, value: Any) -> Any:
    """A value as the type that a field has."""
    if hint is Any:
        return value
    origin, inner = get_origin(hint), get_args(hint)
    if origin is UnionType:
        [present] = [one for one in inner if one is not NoneType]
        return None if value is None else value_of(present, value)
    if origin is tuple:
        return tuple(value_of(inner[0], one) for one in checked(list, value))
    if origin is Mapping:
        return {key: value_of(inner[1], one) for key, one in as_object(value).items()}
    if issubclass(hint, Answer):
        return read(hint, value)
    return moment(value) if hint is datetime else checked(hint, value)


def checked(kind: type, value: Any) -> Any:
    """A value that must be of a type; True is no number."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{kind.__name__} expected, not {type(value).__name__}")
    return value


def as_object(value: Any) -> dict[str, Any]:
    """A value that must be a JSON object."""
    found: dict[str, Any] = checked(dict, value)
    return found


def moment(value: Any) -> datetime:
    """A time with its offset."""
    found = datetime.fromisoformat(checked(str, value))
    if found.tzinfo is None:
        raise ValueError(f"{value} has no offset")
    return found
