"""What a look at settings or database finds."""

from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How bad it is."""

    WRONG = "wrong"
    """Something does not work as it should."""
    WEAK = "weak"
    """It works; it could be safer, or will not last."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it could be, and what to do about it."""

    grade: Grade
    what: str
    to_do: str


def wrong(what: str, to_do: str) -> Finding:
    """Something that does not work."""
    return Finding(Grade.WRONG, what, to_do)


def weak(what: str, to_do: str) -> Finding:
    """Something that could be better."""
    return Finding(Grade.WEAK, what, to_do)
