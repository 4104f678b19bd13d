"""Text for terminals: what names and remarks of others may do there, how wide it is, times in few characters."""

import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime

REPLACEMENT = "\ufffd"
ZERO_WIDTH = frozenset({"Mn", "Me", "Cf"})
WIDE = frozenset("WF")
NONE = "-"


def plain(text: str) -> str:
    """Return text on one line, without the control characters by which it could steer a terminal."""
    return "".join(one if one.isprintable() else REPLACEMENT for one in " ".join(text.split()))


def width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(map(columns, text))


def columns(one: str) -> int:
    """How many columns a character takes."""
    if unicodedata.category(one) in ZERO_WIDTH:
        return 0
    return 2 if unicodedata.east_asian_width(one) in WIDE else 1


def fitted(text: str, room: int) -> str:
    """Return text of exactly this width: filled up with spaces, or cut, which shows."""
    if width(text) > room:
        kept = ""
        for one in text:
            if width(kept) + columns(one) > room - 1:
                break
            kept += one
        text = kept + "…"
    return text + " " * (room - width(text))


def when(moment: datetime | None) -> str:
    """A time in UTC, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}" if moment else NONE


def stamp(moment: datetime | None) -> str:
    """The same for a column whose header says that it is in UTC."""
    return when(moment).removesuffix("Z")


def pairs(values: Mapping[str, object]) -> str:
    """Keys with their values."""
    return ", ".join(f"{key}={value}" for key, value in values.items())
