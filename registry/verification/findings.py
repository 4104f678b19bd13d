"""What a verification finds: each divergence as exactly as it is known, the first one above all."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

SHOWN = 50
"""Divergences that are kept; one broken thing can show in every line after it, and all are counted."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """Something that does not hold. `key` names a row of `table` by its key columns."""

    check: str
    what: str
    stream: str | None = None
    seq: int | None = None
    position: int | None = None
    table: str | None = None
    key: dict[str, Any] | None = None
    field: str | None = None

    @property
    def where(self) -> str:
        """The place, in words."""
        row = ", ".join(f"{name}={value}" for name, value in (self.key or {}).items())
        parts = [
            f"position {self.position}" if self.position is not None else "",
            f"{self.stream} seq {self.seq}" if self.seq is not None else self.stream or "",
            f"{self.table} ({row})" if row else self.table or "",
            f"field {self.field}" if self.field else "",
        ]
        return ", ".join(part for part in parts if part) or "the log"


@dataclass
class Findings:
    """All divergences so far, in the order in which they were met."""

    first_ones: list[Divergence] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, check: str, what: str, **where: Any) -> None:
        """Note something that does not hold."""
        self.counts[check] += 1
        if len(self.first_ones) < SHOWN:
            self.first_ones.append(Divergence(check, what, **where))
