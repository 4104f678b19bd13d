"""What each operator of a filter means, in plain Python: what the answers of the database are compared with."""

import re
from collections.abc import Callable
from typing import Any


def bytewise(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


def like(value: str, pattern: str) -> bool:
    """LIKE in plain Python: `%` any text, `_` any character, a backslash takes the next character as it is."""
    parts, rest = [], iter(pattern)
    for character in rest:
        if character == "\\":
            parts.append(re.escape(next(rest)))
        else:
            parts.append({"%": ".*", "_": "."}.get(character, re.escape(character)))
    return re.fullmatch("".join(parts), value, re.DOTALL) is not None


ORACLE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda value, wanted: value == wanted,
    "!=": lambda value, wanted: value != wanted,
    "<": lambda value, wanted: bytewise(value) < bytewise(wanted),
    "<=": lambda value, wanted: bytewise(value) <= bytewise(wanted),
    ">": lambda value, wanted: bytewise(value) > bytewise(wanted),
    ">=": lambda value, wanted: bytewise(value) >= bytewise(wanted),
    "LIKE": like,
    "ILIKE": lambda value, wanted: like(value.lower(), wanted.lower()),
    "IN": lambda value, wanted: value in wanted,
    "NOT IN": lambda value, wanted: value not in wanted,
}
