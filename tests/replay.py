"""The audit log, folded by plain Python: what it says of any moment, without the tables and intervals of the service.

Brute force on purpose: every question folds all lines up to its moment again, in the order in which they stand.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from registry.vocabulary import Stage

Line = dict[str, Any]


@dataclass
class Spell:
    """From when until when something was shown as this: a model's name, a version's stage, an alias's version."""

    thing: str
    value: Any
    opened: Line
    closed: Line | None = None

    @property
    def since(self) -> int:
        """Microseconds since the epoch."""
        at: int = self.opened["at_us"]
        return at

    @property
    def number(self) -> int:
        """Of the version that it is about."""
        return int(self.thing.rpartition(":")[2])


@dataclass
class Model:
    """One stream, folded: the rows as they are then, and all spells so far."""

    rows: dict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    spells: list[Spell] = field(default_factory=list)

    def apply(self, line: Line) -> None:
        """Go on by one event."""
        thing = line["object"]
        before = self.shown(thing)
        for name, (_, after) in line["changes"].items():
            if after is None:
                self.rows[thing].pop(name, None)
            else:
                self.rows[thing][name] = after
        after = self.shown(thing)
        if before != after:
            self.turn(thing, after, line)

    def shown(self, thing: str) -> Any:
        """What is seen of a row that is there and not deleted."""
        row = self.rows[thing]
        if "deleted_at" in row:
            return None
        kind = thing.partition("/")[2].partition(":")[0]
        return row.get({"": "name", "version": "stage", "alias": "number"}.get(kind, ""))

    def turn(self, thing: str, value: Any, line: Line) -> None:
        """End the present spell of a thing and begin the next; one that lasted no time was never seen."""
        spell = self.present(thing)
        if spell is not None:
            spell.closed = line
            if spell.since == line["at_us"]:
                self.spells.remove(spell)
        if value is not None:
            self.spells.append(Spell(thing, value, line))

    def present(self, thing: str) -> Spell | None:
        """The spell of a thing that lasts."""
        return next((spell for spell in self.spells if spell.closed is None and spell.thing == thing), None)

    def standing(self) -> list[Spell]:
        """The spells of versions that last."""
        return [spell for spell in self.spells if spell.closed is None and "/version:" in spell.thing]


@dataclass(frozen=True)
class Found:
    """The version that a question leads to."""

    stream: str
    spell: Spell
    source: str | None
    """None: the version was purged."""


class Log:
    """Lines of the log, in any order, and the questions about the past that they answer."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.streams: dict[str, list[Line]] = defaultdict(list)
        for line in sorted({place(line): line for line in map(json.loads, lines)}.values(), key=place):
            self.streams[line["stream"]].append(line)
        self.folded: dict[tuple[str, int | None], Model] = {}

    def instants(self) -> list[int]:
        """The times of all events, and a microsecond before and after each."""
        times = {line["at_us"] for lines in self.streams.values() for line in lines}
        return sorted({time + shift for time in times for shift in (-1, 0, 1)})

    def model(self, stream: str, at: int | None) -> Model:
        """A model as it was at a moment; None: as it is now."""
        if (stream, at) not in self.folded:
            model = self.folded[stream, at] = Model()
            for line in self.streams[stream]:
                if at is None or line["at_us"] <= at:
                    model.apply(line)
        return self.folded[stream, at]

    def called(self, name: str, at: int | None) -> str | None:
        """The stream of the model that had a name at a moment; of several, the one that came last."""
        spells = [self.model(stream, at).present(stream) for stream in self.streams]
        holders = [spell for spell in spells if spell is not None and spell.value == name]
        return max(holders, key=lambda spell: spell.since).thing if holders else None

    def resolve(self, name: str, kind: str, value: Any, at: int | None) -> Found | None:
        """What `models:/name/…` led to: `kind` is number, stage, alias or latest."""
        stream = self.called(name, at)
        if stream is None:
            return None
        then = self.model(stream, at)
        standing = then.standing()
        if kind == "alias":
            pointed = then.present(f"{stream}/alias:{value}")
            value = pointed and pointed.value
        if kind in {"number", "alias"}:
            standing = [spell for spell in standing if spell.number == value]
        if kind == "stage":
            standing = [spell for spell in standing if spell.value == value]
        if not standing:
            return None
        spell = max(standing, key=lambda spell: spell.number)
        return Found(stream, spell, self.model(stream, None).rows[spell.thing].get("source"))

    def history(self, stream: str, stage: Stage) -> list[Spell]:
        """Who stood in a stage of a model, the latest first."""
        spells = self.model(stream, None).spells
        found = [spell for spell in spells if "/version:" in spell.thing and spell.value == stage]
        return sorted(found, key=lambda spell: (spell.since, spell.number), reverse=True)

    def holders(self, stream: str, stage: Stage, at: int | None) -> list[Spell]:
        """Who stood in a stage at a moment, the latest first."""
        return [spell for spell in self.history(stream, stage) if stood(spell, at)]


def place(line: Line) -> tuple[str, int]:
    """Where a line stands."""
    return line["stream"], line["seq"]


def stood(spell: Spell, at: int | None) -> bool:
    """Whether a spell holds a moment; None: whether it lasts."""
    if at is None:
        return spell.closed is None
    return spell.since <= at and (spell.closed is None or spell.closed["at_us"] > at)
