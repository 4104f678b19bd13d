"""Patterns of names: `*` stands for any run of characters, also none; everything else for itself, letter case included.

Python and PostgreSQL read them alike: `matches` decides about one name, `like` about the rows of a question.
"""

import functools

from sqlalchemy import ColumnElement, Text, cast, func, literal
from sqlalchemy.orm import InstrumentedAttribute

from registry.domain import names
from registry.errors import Invalid

EVERYTHING = "*"
STARS_MAX = 4
"""Most `*` in one pattern. With each one more, PostgreSQL tries more places in a name that does not match."""


def check(field: str, pattern: str) -> None:
    """:raises Invalid: blank, too long, not to be kept, or with more `*` than are supported."""
    if not pattern.strip():
        raise names.missing(field)
    names.check_text(field, pattern, names.NAME_MAX)
    names.check_storable(field, pattern)
    if pattern.count(EVERYTHING) > STARS_MAX:
        raise Invalid(f"'{field}' has more than {STARS_MAX} '*'.", field)


def is_exact(pattern: str) -> bool:
    """Whether it means one name only."""
    return EVERYTHING not in pattern


@functools.lru_cache(maxsize=4_096)
def matches(pattern: str, name: str) -> bool:
    """Whether a name is one that the pattern means. Takes the leftmost place for each part, and never goes back."""
    first, *parts = pattern.split(EVERYTHING)
    if not parts:
        return pattern == name
    *middle, last = parts
    end = len(name) - len(last)
    if not (name.startswith(first) and name.endswith(last)) or end < len(first):
        return False
    at = len(first)
    for part in middle:
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def like(name: InstrumentedAttribute[str], pattern: str) -> ColumnElement[bool]:
    """The condition that a name is one that the pattern means."""
    if is_exact(pattern):
        return name == pattern
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return name.like(escaped.replace(EVERYTHING, "%"))


def meaning(pattern: InstrumentedAttribute[str], name: str) -> ColumnElement[bool]:
    """The condition that a pattern, which stands in a row, means this name."""
    escaped: ColumnElement[str] = cast(pattern, Text(collation="C"))
    for character in ("\\", "%", "_"):
        escaped = func.replace(escaped, character, "\\" + character)
    return literal(name).like(func.replace(escaped, EVERYTHING, "%"))
