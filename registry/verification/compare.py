"""The state that the log adds up to, held against the tables, row by row."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, zip_longest
from typing import Any, NamedTuple

from registry.verification.captured import Captured
from registry.verification.findings import Findings
from registry.verification.replay import Interval, Key, Row, State, Text

REPLAY = "replay"


class IntervalTable(NamedTuple):
    """A table of intervals: the columns that name what they are of, and the one with what lasts."""

    key: tuple[str, ...]
    value: str


INTERVALS = {
    "stage_intervals": IntervalTable(("model_id", "number"), "stage"),
    "alias_intervals": IntervalTable(("model_id", "alias"), "number"),
    "name_intervals": IntervalTable(("model_id",), "name"),
}


def compare_rows(findings: Findings, state: State, captured: Captured, found: Iterable[Row]) -> int:
    """Hold the rows of a table against those of the log; return how many there are."""
    logged = dict(state.rows[captured.table])
    count = 0
    for row in found:
        count += 1
        key = tuple(row[name] for name in captured.key)
        known = logged.pop(key, None)
        named = dict(zip(captured.key, key, strict=True))
        if known is None:
            findings.add(REPLAY, "the row is in no event", table=captured.table, key=named)
            continue
        for name, what in differences(captured, known, row):
            findings.add(REPLAY, what, table=captured.table, key=named, field=name)
        if captured.kind == "registered_model" and row["last_number"] < state.numbers.get(row["id"], 0):
            what = f"the table has {row['last_number']}, the log has version {state.numbers[row['id']]}"
            findings.add(REPLAY, what, table=captured.table, key=named, field="last_number")
    for key in logged:
        named = dict(zip(captured.key, key, strict=True))
        findings.add(REPLAY, "the row is in the log, but not in the table", table=captured.table, key=named)
    return count


def differences(captured: Captured, known: Row, row: Row) -> Iterator[tuple[str, str]]:
    """Yield the fields in which a row is not what the log says, and how."""
    for name in captured.columns:
        logged, found = known.get(name), row.get(name)
        if isinstance(logged, Text):
            if logged.salt is None:
                yield name, "the text was erased from the log, but the table still has one"
            elif not logged.is_text(found):
                yield name, "the text is not the one that was logged"
        elif logged != found:
            yield name, f"the table has {shown(found)}, the log has {shown(logged)}"


def shown(value: object) -> str:
    """A value as a report shows it: a text that may have to be erased some day does not get into one by accident."""
    written = repr(value)
    return written if len(written) <= 80 else written[:80] + "…"  # noqa: PLR2004 (a line)


def compare_intervals(findings: Findings, state: State, table: str, found: Iterable[Mapping[str, Any]]) -> int:
    """Hold the intervals of a table, ordered by key and time, against those of the log; return how many there are."""
    shape, logged, count = INTERVALS[table], dict(state.intervals[table].of), 0
    for key, rows in groupby(found, key=lambda row: tuple(row[name] for name in shape.key)):
        stored = [interval(row, shape.value) for row in rows]
        count += len(stored)
        compare_past(findings, table, named(shape, key), logged.pop(key, []), stored)
    for key, past in logged.items():
        compare_past(findings, table, named(shape, key), past, [])
    return count


def compare_past(findings: Findings, table: str, key: Row, logged: list[Interval], stored: list[Interval]) -> None:
    """Note the first interval that is not as it should be."""
    for should, has in zip_longest(logged, stored):
        if should != has:
            at = has or should
            what = f"the table has {told(has)}, the log has {told(should)}"
            findings.add(REPLAY, what, table=table, key=key | {"since": at.since if at else None})
            return


def told(one: Interval | None) -> str:
    """An interval in words."""
    if one is None:
        return "no such interval"
    return f"{one.value} from {one.since} (seq {one.opened_seq}) until {one.until} (seq {one.closed_seq})"


def interval(row: Mapping[str, Any], value: str) -> Interval:
    """An interval of a table."""
    return Interval(row[value], row["since_us"], row["opened_seq"], row["until_us"], row["closed_seq"])


def named(shape: IntervalTable, key: Key) -> Row:
    """A key with the names of its columns."""
    return dict(zip(shape.key, key, strict=True))
