"""The replay: audit events, in their order, fold to what every captured table has to hold. Pure Python, no database.

An event says which row, and of each changed field what was there before and what is there now. So each event both
changes the state and is held against it: a row made twice, a change of a row that is not there, a value that was
another one before. A text that is kept apart from the log is known by its salted digest only.

The intervals (who stood in which stage, which version an alias named, what a model was called, from when until when)
are folded by the same rules as the triggers that write them.
"""

import hashlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from registry.verification.captured import BY_KIND, Captured

DIGEST = "salted_sha256"
SYSTEM = "system:"
"""How the streams of events begin that no row stands for."""

Key = tuple[Any, ...]
Row = dict[str, Any]
Salts = Mapping[tuple[str, str], bytes]
"""What is kept apart from an event, by field and side."""
NO_SALTS: Salts = {}


class Contradiction(Exception):
    """An event that cannot follow what the events before it say. `field` names the culprit if there is one."""

    def __init__(self, what: str, table: str | None = None, key: Row | None = None, field: str | None = None) -> None:
        super().__init__(what)
        self.table, self.key, self.field = table, key, field


@dataclass(frozen=True, slots=True)
class Text:
    """A text that the log has the digest of; without its salt (it was erased) nothing can be held against it."""

    digest: str
    salt: bytes | None

    def is_text(self, found: object) -> bool:
        """Whether this is the digest of that text."""
        if self.salt is None or not isinstance(found, str):
            return False
        return hashlib.sha256(self.salt + found.encode()).hexdigest() == self.digest


@dataclass(frozen=True, slots=True)
class Interval:
    """Half-open, `[since, until)` in microseconds since the epoch, by the events that opened and closed it."""

    value: Any
    since: int
    opened_seq: int
    until: int | None = None
    closed_seq: int | None = None


class Intervals:
    """Those of one table: for each key, one after the other, the last one open or not."""

    def __init__(self) -> None:
        self.of: dict[Key, list[Interval]] = {}

    def turn(self, key: Key, value: Any, at_us: int, seq: int) -> None:
        """Let `value` be so from this event on; None: nothing is. What would begin and end at one instant never was."""
        past = self.of.setdefault(key, [])
        if past and past[-1].until is None:
            last = past.pop()
            if last.since != at_us:
                past.append(Interval(last.value, last.since, last.opened_seq, at_us, seq))
        if value is not None:
            past.append(Interval(value, at_us, seq))
        if not past:
            del self.of[key]


class State:
    """What the events so far add up to: rows by table and key, and the intervals."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[Key, Row]] = {one.table: {} for one in BY_KIND.values()}
        self.intervals = {name: Intervals() for name in ("stage_intervals", "alias_intervals", "name_intervals")}
        self.numbers: dict[int, int] = {}
        """The highest version number that each model ever gave."""

    def take(self, line: Mapping[str, Any], salts: Salts = NO_SALTS) -> None:
        """Take the next event in.

        :raises Contradiction: it does not follow; it is taken in all the same, as far as it can be.
        """
        if str(line["stream"]).startswith(SYSTEM):
            return
        kind = str(line["action"]).partition(".")[0]
        captured = BY_KIND.get(kind)
        if captured is None:
            raise Contradiction(f"no table has rows of the kind {kind!r}")
        self._change(captured, line, salts)

    def _change(self, captured: Captured, line: Mapping[str, Any], salts: Salts) -> None:
        changes: Mapping[str, list[Any]] = line["changes"]
        key = key_of(captured, line)
        named = dict(zip(captured.key, key, strict=True))
        made = any(changes[name][0] is None for name in captured.key if name in changes)
        gone = any(changes[name][1] is None for name in captured.key if name in changes)
        rows = self.rows[captured.table]
        was = rows.pop(key if made or gone else key_before(captured, key, changes), None)
        becomes = None if gone else changed(named if made or was is None else was, changes, salts)
        if becomes is not None:
            rows[key] = becomes
        self._track(captured, was, becomes, line)
        if fault := contradicted(was, changes, made=made):
            raise Contradiction(fault[0], captured.table, named, fault[1])

    def _track(self, captured: Captured, was: Row | None, becomes: Row | None, line: Mapping[str, Any]) -> None:
        row = becomes or was
        if captured.kind not in TRACKED or row is None:
            return
        name, key_names, held = TRACKED[captured.kind]
        if held(was) != held(becomes):
            key = tuple(row[one] for one in key_names)
            self.intervals[name].turn(key, held(becomes), line["at_us"], line["seq"])
        if captured.kind == "model_version" and was is None:
            model = row["model_id"]
            self.numbers[model] = max(self.numbers.get(model, 0), row["number"])


def stage_of(row: Row | None) -> Any:
    """Which stage a version stands in: none while it is deleted."""
    return None if row is None or "deleted_at" in row else row.get("stage")


def number_of(row: Row | None) -> Any:
    """Which version an alias names."""
    return None if row is None else row.get("number")


def name_of(row: Row | None) -> Any:
    """What a model is called: nothing while it is deleted."""
    return None if row is None or "deleted_at" in row else row.get("name")


TRACKED: dict[str, tuple[str, tuple[str, ...], Callable[[Row | None], Any]]] = {
    "model_version": ("stage_intervals", ("model_id", "number"), stage_of),
    "alias": ("alias_intervals", ("model_id", "alias"), number_of),
    "registered_model": ("name_intervals", ("id",), name_of),
}
"""By kind: the table of its intervals, the columns that name what they are of, and what lasts."""


def key_of(captured: Captured, line: Mapping[str, Any]) -> Key:
    """The key of the row that an event is about, read from its object, such as `model:7/version:3/tag:owner`."""
    given, model, number = str(line["object"]), line.get("model_id"), line.get("version")
    last = {"registered_model_tag": "tag", "model_version_tag": "tag"}.get(captured.kind, captured.kind)
    under = f"model:{model}/version:{number}/" if number is not None else f"model:{model}/"
    if captured.kind == "registered_model":
        found: Key | None = (model,) if given == f"model:{model}" else None
    elif captured.kind == "model_version":
        found = (model, number) if given == under[:-1] else None
    elif captured.kind == "alias":
        found = rest_of(given, f"model:{model}/alias:", (model,))
    elif last == "tag":
        found = rest_of(given, f"{under}tag:", (model, number) if "number" in captured.key else (model,))
    else:
        prefix = f"{under}{last}:" if last == "comment" else f"{last}:"
        found = rest_of(given, prefix, (), number=True)
    if found is None:
        raise Contradiction(f"the object {given!r} names no row of {captured.table}", captured.table)
    return found


def rest_of(given: str, prefix: str, before: Key, *, number: bool = False) -> Key | None:
    """The key that an object's name ends in, behind what comes before it."""
    rest = given.removeprefix(prefix)
    if rest == given or (number and not rest.isdecimal()):
        return None
    return (*before, int(rest) if number else rest)


def key_before(captured: Captured, key: Key, changes: Mapping[str, list[Any]]) -> Key:
    """The key of a row before the event, which may have changed it."""
    return tuple(changes.get(name, [now])[0] for name, now in zip(captured.key, key, strict=True))


def changed(row: Row, changes: Mapping[str, list[Any]], salts: Salts) -> Row:
    """A row with the changes in it; what is NULL is left out."""
    now = dict(row)
    for given, (_, after) in changes.items():
        name = sys.intern(given)  # each line brings its own copy of the name, and each row would keep them
        if after is None:
            now.pop(name, None)
        else:
            now[name] = Text(after[DIGEST], salts.get((name, "after"))) if isinstance(after, dict) else after
    return now


def contradicted(was: Row | None, changes: Mapping[str, list[Any]], *, made: bool) -> tuple[str, str | None] | None:
    """Say in what an event contradicts the row as it was, and in which field; nothing where it does not."""
    if made:
        return None if was is None else ("the event makes a row that is there already", None)
    if was is None:
        return "the event changes a row that no event has made, or that is gone", None
    for name, (before, _) in changes.items():
        known = was.get(name)
        if isinstance(known, Text) or isinstance(before, dict):
            continue  # each side has a salt of its own
        if known != before:
            return f"the event says it was {before!r}, the events before it say {known!r}", name
    return None
