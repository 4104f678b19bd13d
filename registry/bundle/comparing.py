"""Holds a bundle against a registry that is not empty: whether all of it is there already, or what differs first.

A registry into which a bundle was brought goes on: events come, and change rows. So every event, text, position and
checkpoint of the bundle has to be there, and more may be. The rows of the other tables have to be the same as long as
no change of a row has come since; after that it is the log that says what they have to be, and `registry audit verify
--db` that compares them with it.
"""

import json
from collections.abc import Iterator
from typing import BinaryIO

from sqlalchemy import Connection, Engine, text

from registry.bundle import database
from registry.bundle.database import Stored
from registry.bundle.errors import Differs
from registry.bundle.log import SYSTEM
from registry.bundle.reading import MAY_BE_LEFT_OUT, Line, Whole, read
from registry.bundle.sections import SECTIONS, STAGE_OF, STAGES, Rank, Row, Section

GROWING = ("event", "private", "seal", "checkpoint")
MOVES = {("tokens", "last_used_at")}
"""What changes with use and is no change of anything."""
CHANGES = text("SELECT count(*) FROM audit.event WHERE NOT starts_with(stream, :system)")
ERASURES = text("SELECT count(*) FROM audit.event WHERE action = 'audit.erase'")
EVENTS = text("SELECT count(*) FROM audit.event")


class Comparison:
    """What may differ, between this registry and this bundle."""

    def __init__(self, connection: Connection, whole: Whole) -> None:
        self.went_on = connection.scalar(CHANGES, {"system": SYSTEM}) != whole.changes
        self.erased = connection.scalar(ERASURES) != whole.erasures
        self.since = int(connection.scalar(EVENTS) or 0) - whole.header.counts["event"]

    def take(self, ours: Stored | None, given: Line | None) -> None:
        """Compare what both have in one place, or what one of them has there alone.

        :raises Differs: they should have the same.
        """
        if given is None:
            self._alone(ours)
        elif self.went_on and given.section.name not in GROWING:
            return
        elif ours is not None:
            self._both(ours, given)
        elif given.section.name != "private" or not self.erased:
            where = named(given.section, given.row)
            raise Differs(f"the registry lacks {where}, line {given.number} of the bundle.")

    def _alone(self, ours: Stored | None) -> None:
        if ours is not None and not self.went_on and ours.section.name not in GROWING:
            raise Differs(f"the registry has {named(ours.section, json.loads(ours.text))}, which the bundle lacks.")

    def _both(self, ours: Stored, given: Line) -> None:
        section = given.section
        has = given.row if ours.text == given.text else json.loads(ours.text)
        for name, value in given.row.items():
            left_out = (section.name, name) == MAY_BE_LEFT_OUT and value is None
            if has[name] != value and not left_out and (section.name, name) not in MOVES:
                where = named(section, given.row)
                raise Differs(f"{where} has another {name} in the registry than in line {given.number} of the bundle.")


def compare(engine: Engine, file: BinaryIO, whole: Whole) -> int:
    """See that the registry has all of the bundle that is read from `file`; return how many events it has beyond.

    :raises Differs: it has not.
    """
    with database.in_words(), database.snapshot(engine) as connection:
        comparison = Comparison(connection, whole)
        stored = (row for stage in STAGES for row in database.rows(connection, stage, tokens=True))
        for ours, given in pairs(stored, read(file, whole)):
            comparison.take(ours, given)
        for name, last in whole.header.sequences.items():
            if (database.highest(connection, SECTIONS[name]) or 0) < (last or 0):
                raise Differs(f"the registry would give ids of {name} again that the bundle says were given.")
    return comparison.since


def pairs(ours: Iterator[Stored], given: Iterator[Line]) -> Iterator[tuple[Stored | None, Line | None]]:
    """Yield what stands in the same place on both sides, or on one of them alone, in the order of a bundle."""
    one, other = next(ours, None), next(given, None)
    while one is not None or other is not None:
        here = place(one) if other is None or (one is not None and place(one) <= place(other)) else place(other)
        first = one if one is not None and place(one) == here else None
        second = other if other is not None and place(other) == here else None
        yield first, second
        one = next(ours, None) if first else one
        other = next(given, None) if second else other


def place(row: Stored | Line | None) -> tuple[int, Rank]:
    """Where a row stands in a bundle."""
    if row is None:
        raise ValueError("nothing stands nowhere")
    return STAGE_OF[row.section.name], row.rank


def named(section: Section, row: Row) -> str:
    """A row in words."""
    return f"{section.name} ({', '.join(f'{name}={row[name]}' for name in section.key)})"
