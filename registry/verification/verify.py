"""All checks on one database: the log by itself, its seals, its texts, and the tables against its replay."""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Engine

from registry.verification import database
from registry.verification.captured import CAPTURED
from registry.verification.compare import INTERVALS, compare_intervals, compare_rows
from registry.verification.database import Database
from registry.verification.events import Events
from registry.verification.findings import Divergence, Findings
from registry.verification.keys import Keys
from registry.verification.replay import Contradiction, State
from registry.verification.seals import Restore, Seals, Signed, in_order, restore_of
from registry.verification.texts import Texts

LATE_SECONDS = 60.0
MICROSECONDS = 1_000_000
PATIENCE_SECONDS = 5.0
"""For the sealer, where an event was late in the snapshot: a long transaction commits what has an early time."""
CHECKS = ("hash", "columns", "chain", "heads", "positions", "checkpoints", "late", "texts", "replay")


@dataclass
class Report:
    """What was looked at, and what does not hold."""

    verified: bool
    events: int
    streams: int
    sealed: int
    checkpoints: int
    origin: str | None
    size: int
    texts: int
    erased: int
    rows: dict[str, int]
    divergences: dict[str, int]
    first_divergence: Divergence | None
    first_divergences: list[Divergence]
    notes: list[str]
    checkpoint: str = field(repr=False)
    """The last checkpoint that the sealed events bear out, to be kept elsewhere."""

    def document(self) -> dict[str, Any]:
        """The report for programs."""
        return asdict(self)


class Verification:
    """One run over one snapshot."""

    def __init__(self, keys: Keys | None, kept: Iterable[Signed] = (), late_seconds: float = LATE_SECONDS) -> None:
        self._keys = keys
        self._kept = list(kept)
        self._late_seconds = late_seconds
        self.findings = Findings()
        self.state = State()
        self._texts = Texts(self.findings)
        self._restores: list[Restore] = []

    def run(self, engine: Engine) -> Report:
        """Check everything."""
        with database.snapshot(engine) as found:
            events = self._events(found)
            seals = self._seals(found, events)
            rows = self._tables(found)
        self._late(engine, events)
        return self._report(events, seals, rows)

    def _events(self, found: Database) -> Events:
        now, signed = found.number(database.NOW) or 0, found.number(database.SIGNED) or 0
        late_before = now - int(self._late_seconds * MICROSECONDS)
        events = Events(self.findings, signed=signed, late_before=late_before)
        for event, kept in found.events():
            line = events.take(event)
            if line is None:
                continue
            self._texts.take(event, line, kept)
            if event.action == "system.restore" and (restore := restore_of(line, event.position)):
                self._restores.append(restore)
            self._replay(line, {place: salt for place, (salt, _) in kept.items()}, event.position)
        self._texts.finish()
        if found.strangers:
            self.findings.add("texts", f"there are texts of {found.strangers} events that are not in the log")
        events.compare_heads(found.streams())
        return events

    def _replay(self, line: dict[str, Any], salts: dict[tuple[str, str], bytes], position: int | None) -> None:
        where = {"stream": line.get("stream"), "seq": line.get("seq"), "position": position}
        try:
            self.state.take(line, salts)
        except Contradiction as error:
            where |= {"table": error.table, "key": error.key, "field": error.field}
            self.findings.add("replay", str(error), **where)
        except (KeyError, TypeError, ValueError) as error:
            self.findings.add("replay", f"the event cannot be replayed: {error!r}", **where)

    def _seals(self, found: Database, events: Events) -> Seals:
        seals = Seals(self.findings, self._keys, self._restores)
        seals.take(found.leaves(), in_order(found.checkpoints(), self._kept))
        lost = found.number(database.WITHOUT_EVENT)
        if lost is not None:
            self.findings.add("positions", "a sealed event is gone", position=lost)
        if waiting := found.number(database.PENDING_WITHOUT_EVENT):
            self.findings.add("positions", f"{waiting} events wait for the sealer that are not in the log")
        return seals

    def _tables(self, found: Database) -> dict[str, int]:
        rows = {one.table: compare_rows(self.findings, self.state, one, found.rows(one)) for one in CAPTURED}
        for table in INTERVALS:
            rows[table] = compare_intervals(self.findings, self.state, table, found.intervals(table))
        return rows

    def _late(self, engine: Engine, events: Events) -> None:
        """Events have the time of their lock; one that was committed just now may be sealed in a moment."""
        if events.late is None:
            return
        number, where = events.late
        until = time.monotonic() + min(PATIENCE_SECONDS, self._late_seconds)
        while not database.sealed_by_now(engine, number):
            if time.monotonic() > until:
                what = (
                    f"the event is older than {self._late_seconds:g} s and not yet sealed and signed: see to the sealer"
                )
                self.findings.add("late", what, **where)
                return
            time.sleep(0.2)

    def _report(self, events: Events, seals: Seals, rows: dict[str, int]) -> Report:
        found = self.findings
        return Report(
            verified=not found.counts,
            events=events.count,
            streams=len(events.heads),
            sealed=seals.tree.size,
            checkpoints=seals.checkpoints,
            origin=seals.last.origin if seals.last else None,
            size=seals.last.size if seals.last else 0,
            texts=self._texts.count,
            erased=self._texts.erased,
            rows=rows,
            divergences=dict(found.counts),
            first_divergence=found.first_ones[0] if found.first_ones else None,
            first_divergences=found.first_ones,
            notes=seals.notes,
            checkpoint=seals.last_note,
        )
