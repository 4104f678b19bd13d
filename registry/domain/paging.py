"""Pages by key, not by offset: the token of the next page says where the last one ended, and for which question.

Page 900 costs what page 1 costs, and rows that come or go in between neither repeat nor hide others.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, and_, or_, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from registry.domain.names import check_storable
from registry.errors import Invalid

T = TypeVar("T")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items, and the token that continues after the last of them (None: there are no more).

    `total`: how many there are on all pages together, where that was asked for.
    """

    items: list[T]
    next_token: str | None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """One column of an order."""

    column: InstrumentedAttribute[Any]
    descending: bool = False

    @property
    def clause(self) -> ColumnElement[Any]:
        """The column as a part of ORDER BY."""
        return self.column.desc() if self.descending else self.column.asc()


def fingerprint(*question: object) -> str:
    """A short digest that binds a token to the filter and order it was made for."""
    return hashlib.sha256(repr(question).encode()).hexdigest()[:16]


def after(keys: Sequence[Key], values: Sequence[Any]) -> ColumnElement[bool]:
    """The condition for rows that come after the row with these values.

    It says first what is true of the first column, although the rest implies it: there an index can begin, also where
    the other columns run the other way or are of another table.
    """
    first, value = keys[0], values[0]
    begun = first.column <= value if first.descending else first.column >= value
    return and_(begun, beyond(keys, values))


def beyond(keys: Sequence[Key], values: Sequence[Any]) -> ColumnElement[bool]:
    """The columns, in their order and directions, are past these values."""
    if len({key.descending for key in keys}) == 1 and len(keys) > 1:
        # One row comparison, which an index can answer.
        here, there = tuple_(*(key.column for key in keys)), tuple_(*values)
        return here < there if keys[0].descending else here > there
    branches = []
    for index, key in enumerate(keys):
        same = [earlier.column == value for earlier, value in zip(keys, values[:index], strict=False)]
        past = key.column < values[index] if key.descending else key.column > values[index]
        branches.append(and_(*same, past))
    return or_(*branches)


def encode(question: str, values: Sequence[Any]) -> str:
    """Make a token from the values of the last row's order columns."""
    plain = [(value - EPOCH) // MICROSECOND if isinstance(value, datetime) else value for value in values]
    text = json.dumps([question, plain], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode()


def decode(token: str, question: str, keys: Sequence[Key]) -> list[Any]:
    """The values that a token was made from.

    :raises Invalid: not a token, or the token of another question.
    """
    try:
        asked, plain = json.loads(base64.b64decode(token.encode(), altchars=b"-_", validate=True))
    except (ValueError, TypeError, RecursionError):
        raise Invalid("Invalid page token, could not base64-decode", "page_token") from None
    if asked != question or not isinstance(plain, list) or len(plain) != len(keys):
        raise Invalid(
            "Invalid page token: it belongs to another filter or order. Start again without it.", "page_token"
        )
    return [restore(value, key) for value, key in zip(plain, keys, strict=True)]


def restore(value: object, key: Key) -> Any:
    """One value of a token, as its column has it."""
    wanted = key.column.type.python_type
    if wanted is datetime and type(value) is int and 0 <= value < 10**17:
        return EPOCH + value * MICROSECOND
    if wanted is int and type(value) is int and abs(value) < 2**63:
        return value
    if wanted is str and isinstance(value, str):
        check_storable("page_token", value)
        return value
    raise Invalid("Invalid page token: it was changed. Start again without it.", "page_token")


def cut(rows: list[T], size: int, question: str, values: Callable[[T], Sequence[Any]]) -> Page[T]:
    """Make a page of `size` out of rows that were asked for with one more."""
    if len(rows) <= size:
        return Page(rows, None)
    return Page(rows[:size], encode(question, values(rows[size - 1])))
