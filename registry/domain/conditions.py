"""A parsed filter as SQL: a tree of comparisons becomes one condition, with every value a bound parameter.

Every leaf is true or false and never NULL, so that NOT is the complement: a thing without a description is found
neither by `description = 'x'` nor by `description != 'x'`, but by `NOT description = 'x'`.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, cast, exists, func, not_, or_, select

from registry.domain import principals
from registry.domain.fields import Column, Field, Kind, field_of
from registry.domain.filtering import And, Comparison, IsNull, Node, Not, Or
from registry.errors import Invalid
from registry.tables import Principal

INDEXED = 128  # characters of a tag's value that its index holds

Compared = ColumnElement[bool]
OPERATORS: dict[str, Callable[[Any, Any], Compared]] = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
    "LIKE": lambda column, value: column.like(pattern(value)),
    "ILIKE": lambda column, value: column.collate("default").ilike(pattern(value)),  # "C" knows only the case of ASCII
    "IN": lambda column, value: column.in_(value),
    "NOT IN": lambda column, value: column.not_in(value),
}
OPPOSITES = {"!=": "=", "NOT IN": "IN"}


def condition(node: Node, fields: dict[str, Field]) -> Compared:
    """A filter as a condition on the things that have these fields.

    :raises Invalid: a pattern that is none.
    """
    match node:
        case And(terms):
            return and_(*(condition(term, fields) for term in terms))
        case Or(terms):
            return or_(*(condition(term, fields) for term in terms))
        case Not(term):
            return not_(condition(term, fields))
        case IsNull(name, key):
            return not_(present(field_of(fields, name), key))
        case Comparison(name, key, op, value):
            return compared(field_of(fields, name), key, op, value)


def present(field: Field, key: str | None) -> Compared:
    """The thing has a value of this field."""
    if field.among:
        return exists().where(*rows(field, key))
    return field.column.is_not(None)


def compared(field: Field, key: str | None, op: str, value: Any) -> Compared:
    """The field has a value, and it compares; of several values, one does."""
    if field.among:
        return exists().where(*rows(field, key), *on_column(field, op, value))
    found = and_(*on_column(field, op, value))
    return and_(field.column.is_not(None), found) if field.nullable else found


def rows(field: Field, key: str | None) -> list[Compared]:
    """The rows that belong to the thing; of tags, those of one key."""
    return [*field.among] if field.key is None else [*field.among, field.key == key]


def on_column(field: Field, op: str, value: Any) -> list[Compared]:
    """The comparison itself; of a tag's value also as far as the index of tags can answer it."""
    if field.kind is Kind.PRINCIPAL:
        return [by_principal(field.column, op, value)]
    found = [OPERATORS[op](field.column, value)]
    if field.key is not None and op in {"=", "IN"}:
        values = [value] if op == "=" else value
        found.append(func.left(field.column, INDEXED).in_([each[:INDEXED] for each in values]))
    return found


def by_principal(column: Column, op: str, value: Any) -> Compared:
    """Who is known by two things, an id and a name, is meant by either and excluded by either."""
    if op in OPPOSITES:
        return not_(by_principal(column, OPPOSITES[op], value))
    compare = OPERATORS[op]
    called = select(principals.PREFIX + cast(Principal.id, Text)).where(compare(Principal.name, value))
    return or_(compare(column, value), column.in_(called))


def pattern(text: str) -> str:
    """:raises Invalid: a LIKE pattern that ends in the middle of an escape, which PostgreSQL refuses."""
    if (len(text) - len(text.rstrip("\\"))) % 2:
        message = f"The pattern '{text}' must not end with a single backslash: it escapes the next character."
        raise Invalid(message, "filter")
    return text
