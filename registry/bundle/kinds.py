"""What a value in a line may be: exactly what the database can have written for a column of its type."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Column, DateTime, Integer, LargeBinary, SmallInteger, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger

HEX = re.compile(r"\\x(?:[0-9a-f]{2})*")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?\+00:00")
BITS = {"bigint": 63, "integer": 31, "smallint": 15}


def kind_of(column: Column[Any]) -> str:
    """The kind of a column's values: one of KINDS."""
    for types, kind in KIND_OF:
        if isinstance(column.type, types):
            return kind
    raise TypeError(f"no kind of value is known for {column.type}")


def rule_of(column: Column[Any]) -> Callable[[Any], bool]:
    """What says whether a column can hold a value, as JSON has it."""
    rule = KINDS[kind_of(column)]
    return (lambda value: value is None or rule(value)) if column.nullable else rule


def is_text(value: Any) -> bool:
    """Text as PostgreSQL has it: no NUL, and nothing that UTF-8 cannot say."""
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_time(value: Any) -> bool:
    """A moment in UTC as PostgreSQL writes it, at most to the microsecond."""
    if not isinstance(value, str) or not TIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def whole(kind: str) -> Callable[[Any], bool]:
    """A whole number that fits into so many bits."""
    limit = 1 << BITS[kind]
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and -limit <= value < limit


KIND_OF = (  # the narrower types first: SmallInteger and BigInteger are kinds of Integer
    (SmallInteger, "smallint"),
    (BigInteger, "bigint"),
    (Integer, "integer"),
    (Text, "text"),
    (DateTime, "time"),
    (LargeBinary, "bytes"),
    (Boolean, "boolean"),
    (ARRAY, "texts"),
)
KINDS: dict[str, Callable[[Any], bool]] = {
    **{kind: whole(kind) for kind in BITS},
    "text": is_text,
    "time": is_time,
    "bytes": lambda value: isinstance(value, str) and HEX.fullmatch(value) is not None,
    "boolean": lambda value: isinstance(value, bool),
    "texts": lambda value: isinstance(value, list) and all(map(is_text, value)),
}
