"""Filters and orders in the whole search language: read, checked field by field, with values of the right kind.

The MLflow face has a dialect of its own and does not come by here.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from registry.domain import filtering
from registry.domain.conditions import pattern
from registry.domain.fields import MODELS, OPERATORS, OTHER_NAMES, VERSIONS, Field, Kind
from registry.domain.filtering import And, Comparison, IsNull, Node, Not, Or, OrderKey, Scalar
from registry.errors import Invalid
from registry.vocabulary import Stage

MODEL_TIES = ("name",)
VERSION_TIES = ("name", "version")
HIGHEST_INTEGER = 2**63 - 1
"""Beyond it PostgreSQL compares as numeric, without an index; no number here is as large."""
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def model_filter(text: str) -> Node:
    """Read a filter of registered models.

    :raises Invalid: it is none, or names a field, an operator or a value that does not fit; the text says which do.
    """
    return checked(filtering.parse(text), MODELS)


def version_filter(text: str) -> Node:
    """Read a filter of model versions.

    :raises Invalid: it is none, or names a field, an operator or a value that does not fit; the text says which do.
    """
    return checked(filtering.parse(text), VERSIONS)


def model_order(entries: Sequence[str]) -> list[OrderKey]:
    """Read an order of registered models; without one they come by name.

    :raises Invalid: an entry is none, names a field that does not sort, or one twice.
    """
    return complete(order_keys(entries, MODELS), MODEL_TIES)


def version_order(entries: Sequence[str]) -> list[OrderKey]:
    """Read an order of model versions; without one, the last that changed comes first.

    :raises Invalid: an entry is none, names a field that does not sort, or one twice.
    """
    return complete(order_keys(entries, VERSIONS) or [OrderKey("updated_at", descending=True)], VERSION_TIES)


def version_order_in_model(entries: Sequence[str]) -> list[OrderKey]:
    """Read an order of the versions of one model; without one, the newest comes first.

    :raises Invalid: an entry is none, names a field that does not sort, or one twice.
    """
    return complete(order_keys(entries, VERSIONS) or [OrderKey("version", descending=True)], ("version",))


def checked(node: Node, fields: dict[str, Field]) -> Node:
    """The same filter with fields by their own names and values of their kinds."""
    match node:
        case And(terms):
            return And(tuple(checked(term, fields) for term in terms))
        case Or(terms):
            return Or(tuple(checked(term, fields) for term in terms))
        case Not(term):
            return Not(checked(term, fields))
        case IsNull():
            return checked_null(node, fields)
        case Comparison():
            return checked_comparison(node, fields)


def checked_null(node: IsNull, fields: dict[str, Field]) -> IsNull:
    """:raises Invalid: the field always has a value."""
    name, field = known(node.field, node.key, fields)
    if not field.may_be_null:
        valid = listed(shown(each) for each, other in fields.items() if other.may_be_null)
        raise refusal(f"'{name}' always has a value. IS NULL and IS NOT NULL are for {valid}.")
    return replace(node, field=name)


def checked_comparison(node: Comparison, fields: dict[str, Field]) -> Comparison:
    """:raises Invalid: the operator or the value does not fit the field."""
    name, field = known(node.field, node.key, fields)
    if node.op not in OPERATORS[field.kind]:
        null = ["IS NULL"] if field.may_be_null else []
        valid = listed([*OPERATORS[field.kind], *null])
        raise refusal(f"'{shown(name)}' cannot be compared with {node.op}, but with {valid}.")
    value: Any = node.value
    if isinstance(value, tuple):
        value = tuple(read(shown(name), field, each) for each in value)
    else:
        value = read(shown(name), field, value)
    if node.op in {"LIKE", "ILIKE"}:
        pattern(value)
    return replace(node, field=name, value=value)


def known(name: str, key: str | None, fields: dict[str, Field]) -> tuple[str, Field]:
    """A field by its own name.

    :raises Invalid: no such field; a tag without a key is none.
    """
    own = OTHER_NAMES.get(name, name) if name == "creator" else name
    field = fields.get(own)
    if field is None or (field.key is not None) != (key is not None):
        raise refusal(f"There is no field '{name}'. A filter may name {listed(map(shown, fields))}.")
    return own, field


def read(name: str, field: Field, value: Scalar) -> Any:
    """A value as the column has it.

    :raises Invalid: it is of another kind.
    """
    match field.kind:
        case Kind.NUMBER:
            return whole(name, value)
        case Kind.TIME:
            return moment(name, value)
        case Kind.STAGE:
            return stage(name, value)
        case _:
            return quoted(name, value)


def whole(name: str, value: Scalar) -> int:
    """:raises Invalid: no whole number."""
    if not isinstance(value, int) or abs(value) > HIGHEST_INTEGER:
        raise refusal(f"'{name}' is a whole number, written without quotes; {value!r} is none.")
    return value


def moment(name: str, value: Scalar) -> datetime:
    """:raises Invalid: no RFC 3339 time in quotes."""
    if isinstance(value, str) and RFC_3339.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass  # a thirteenth month, or a time zone that leads out of the calendar
    example = "'2026-11-24T14:03:00Z'"
    raise refusal(f"'{name}' is a time in quotes, in RFC 3339 with its offset, such as {example}; {value!r} is none.")


def stage(name: str, value: Scalar) -> Stage:
    """:raises Invalid: no stage is called so."""
    if value not in set(Stage):
        raise refusal(f"'{name}' is one of {', '.join(map(repr, map(str, Stage)))}; {value!r} is none.")
    return Stage(value)


def quoted(name: str, value: Scalar) -> str:
    """:raises Invalid: no text."""
    if not isinstance(value, str):
        raise refusal(f"'{name}' is a text: write {value} in quotes.")
    return value


def order_keys(entries: Iterable[str], fields: dict[str, Field]) -> list[OrderKey]:
    """Read `field [asc|desc]`, several of them separated by commas, repeated, or both."""
    keys = [order_key(part, fields) for entry in entries for part in entry.split(",")]
    for number, key in enumerate(keys):
        if key.field in {earlier.field for earlier in keys[:number]}:
            raise Invalid(f"'order_by' names '{key.field}' twice.", "order_by")
    return keys


def order_key(part: str, fields: dict[str, Field]) -> OrderKey:
    """:raises Invalid: not a field with or without a direction, or one that does not sort."""
    name, *direction = part.split() or [""]
    if name not in fields or not fields[name].sortable:
        valid = listed(each for each, field in fields.items() if field.sortable)
        raise Invalid(f"'order_by' cannot name '{name}', but {valid}.", "order_by")
    if [word.lower() for word in direction] not in ([], ["asc"], ["desc"]):
        raise Invalid(
            f"After '{name}' in 'order_by' stands asc, desc or nothing, not '{' '.join(direction)}'.", "order_by"
        )
    return OrderKey(name, descending=[word.lower() for word in direction] == ["desc"])


def complete(keys: list[OrderKey], ties: Iterable[str]) -> list[OrderKey]:
    """Add what decides between equals, in the direction of the last key, so that one index can answer."""
    descending = keys[-1].descending if keys else False
    given = {key.field for key in keys}
    return keys + [OrderKey(tie, descending) for tie in ties if tie not in given]


def shown(name: str) -> str:
    """A field as a filter writes it."""
    return "tag.<key>" if name == "tag" else name


def listed(words: Iterable[str]) -> str:
    """Words as in a sentence."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def refusal(message: str) -> Invalid:
    """A refusal of the filter."""
    return Invalid(f"Invalid filter: {message}", "filter")
