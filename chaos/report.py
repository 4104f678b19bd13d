"""What came of it: for the terminal, and as the table of RESULTS.md."""

import os
import platform
from dataclasses import dataclass, field
from typing import Self

from chaos.box import Box

SHOWN = 15
"""Faults of one box that are printed."""
HEAD = """# The last run of `make chaos`

What is done is described in `chaos/scenarios/`, and what is asserted afterwards in `chaos/judging.py` and
`chaos/checking.py`: every acknowledged change is in the log and in the tables, once; no change is half there; what was
answered with "nothing was changed" is not there; events have no gaps and stand in the order of what was acknowledged;
never do two versions stand in Production; a follower of the log misses nothing; `registry audit verify --db` verifies
the log and replays it to the tables; there is no 5xx but 503, and that only while the database is away; the service is
ready again by itself within 5 s of the database. Where something is spoilt on purpose, the programme has to see it.

Clients are few and the machine is small: the numbers say how often something was tried, not how fast the service is.
"""
COLUMNS = "| scenario | done | changes: asked, acknowledged | 503 | no answer | ready again | slowest | faults |"


@dataclass(frozen=True)
class Outcome:
    """Of one box."""

    name: str
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    asked: int = 0
    acknowledged: int = 0
    ready: float = 0.0
    waits: tuple[float, float] = (0.0, 0.0)
    """Median and longest, of acknowledged attempts."""
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """Paragraphs of its own, for the report."""
    must_be_seen: str = ""
    why_not: str | None = None

    @classmethod
    def of(cls, name: str, box: Box, seconds: float, *, must_be_seen: str) -> Self:
        """What a box shows in the end."""
        journal, waits = box.journal, sorted(box.journal.waits) or [0.0]
        return cls(
            name,
            seconds,
            dict(box.counts),
            dict(sorted(journal.statuses.items())),
            len(journal.changes),
            journal.acknowledged,
            box.slowest_ready,
            (waits[len(waits) // 2], waits[-1]),
            tuple(journal.faults),
            tuple(box.notes),
            must_be_seen,
        )

    @classmethod
    def of_nothing(cls, name: str, why: str) -> Self:
        """A scenario that cannot be played here."""
        return cls(name, why_not=why)

    @property
    def good(self) -> bool:
        """Whether all is as it has to be."""
        if self.must_be_seen:
            return self.why_not is not None or self.seen > 0
        return self.why_not is not None or not self.faults

    @property
    def seen(self) -> int:
        """How many faults there are of the kind that was made on purpose."""
        return sum(self.must_be_seen in fault for fault in self.faults)

    @property
    def verdict(self) -> str:
        """In a word or two."""
        if self.why_not is not None:
            return f"not played: {self.why_not}"
        if self.must_be_seen:
            return f"seen ({self.seen})" if self.seen else "NOT SEEN"
        return str(len(self.faults))

    def __str__(self) -> str:
        lines = [f"{self.name} ({self.seconds:.0f} s): faults: {self.verdict}"]
        if self.why_not is None:
            lines += [f"  {count:>8}  {what}" for what, count in self.counts.items()]
            lines.append(f"  {self.asked:>8}  changes asked for\n  {self.acknowledged:>8}  of them acknowledged")
            lines.append(f"  answers: {', '.join(f'{status}: {count}' for status, count in self.statuses.items())}")
            lines.append(f"  acknowledged within: median {self.waits[0]:.2f} s, longest {self.waits[1]:.2f} s")
        if self.ready:
            lines.append(f"  ready again within {self.ready:.2f} s")
        return "\n".join([*lines, *(f"  ! {fault}" for fault in self.faults[:SHOWN]), *self.notes])

    def row(self) -> str:
        """A line of the table."""
        if self.why_not is not None:
            return f"| {self.name} | {self.verdict} | | | | | | |"
        done = ", ".join(f"{what}: {count:,}" for what, count in self.counts.items())
        lost = (self.statuses.get(status, 0) for status in ("503", "no answer"))
        ready = f"{self.ready:.2f} s" if self.ready else ""
        cells = [self.name, done, f"{self.asked:,}, {self.acknowledged:,}", *map(str, lost), ready]
        return f"| {' | '.join(cells)} | {self.waits[1]:.1f} s | {self.verdict} |"


def told(outcome: Outcome) -> str:
    """What one scenario has to say beside its line of the table."""
    return "".join(f"\n\n{part}" for part in (f"## {outcome.name}", *outcome.notes)) if outcome.notes else ""


def table(outcomes: list[Outcome], seconds: float, noise: str) -> str:
    """The whole report."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    rows = "\n".join(outcome.row() for outcome in outcomes)
    notes = "".join(map(told, outcomes))
    total = sum(outcome.acknowledged for outcome in outcomes if not outcome.must_be_seen)
    return (
        f"{HEAD}\nMachine: {machine}. {noise}\nTime: {seconds:.0f} s. Acknowledged in all, without what was spoilt: "
        f"{total:,}.\n\n{COLUMNS}\n|---|---|---|---|---|---|---|---|\n{rows}{notes}\n"
    )
