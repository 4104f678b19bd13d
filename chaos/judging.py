"""Holds what clients were told against what the log says: pure functions, so that their own tests are short."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaos.journal import Change, Window

TRANSITION = "model_version.transition"
ARCHIVED = "Archived"


@dataclass(frozen=True, slots=True)
class Event:
    """What the log says of one changed row."""

    stream: str
    seq: int
    position: int | None
    request_id: str
    action: str
    object: str
    changes: Mapping[str, Sequence[Any]]


def by_request(events: Iterable[Event]) -> dict[str, list[Event]]:
    """The events of each request."""
    found: dict[str, list[Event]] = {}
    for event in events:
        found.setdefault(event.request_id, []).append(event)
    return found


def judge(change: Change, events: Mapping[str, list[Event]]) -> Iterator[str]:
    """What is wrong about one change; nothing if all is well."""
    effective = [attempt for attempt in change.attempts if attempt.request_id in events]
    if len(effective) > 1:
        yield f"done twice: {change.id} by {', '.join(attempt.request_id for attempt in effective)}"
    if change.acknowledged and not effective:
        yield f"acknowledged, and not there: {change.id} ({', '.join(change.expects)})"
    for attempt in effective:
        if attempt.denied:
            yield f"answered {attempt.status}, and done all the same: {attempt.request_id}"
        yield from incomplete(change, attempt.request_id, events[attempt.request_id])


def lost(changes: Iterable[Change], events: Mapping[str, list[Event]], rewound: Sequence[Window]) -> Iterator[Change]:
    """Changes that are not there, and were acknowledged to those alone who asked while a history went on that ended.

    Who asked then, and was answered by the new one, may have asked for what had become nothing to do there.
    """
    for change in changes:
        told = [attempt.ended for attempt in change.attempts if attempt.acknowledged]
        there = any(attempt.request_id in events for attempt in change.attempts)
        first = change.attempts[0].begun if change.attempts else 0.0
        if told and not there and any(first <= one.until and one.begun <= min(told) for one in rewound):
            yield change


def incomplete(change: Change, request_id: str, events: Sequence[Event]) -> Iterator[str]:
    """What a change has left in the log that is not the whole of it, or more than that."""
    found, wanted = Counter(event.action for event in events), Counter(change.expects)
    if change.may_archive:
        archived = sum(event.action == TRANSITION and event.changes["stage"][1] == ARCHIVED for event in events)
        found[TRANSITION] -= archived
    if +found != +wanted:
        yield f"half there, or more than asked: {request_id} left {dict(+found)}, not {dict(+wanted)}"


def unasked(changes: Iterable[Change], events: Mapping[str, list[Event]], known: str) -> Iterator[str]:
    """Changes of models that nobody in the journal asked for; `known` begins the request ids of preparations."""
    asked = {attempt.request_id for change in changes for attempt in change.attempts}
    for request_id, left in events.items():
        of_models = any(event.stream.startswith("model:") for event in left)
        if of_models and request_id not in asked and not request_id.startswith(known):
            yield f"in the log, and nobody asked for it: request {request_id}"


def gaps(events: Iterable[Event]) -> Iterator[str]:
    """Streams whose events are not numbered one after the other from 1, and positions that are not from 0."""
    streams: dict[str, list[int]] = {}
    positions = []
    for event in events:
        streams.setdefault(event.stream, []).append(event.seq)
        if event.position is not None:
            positions.append(event.position)
    for stream, numbers in streams.items():
        if sorted(numbers) != list(range(1, len(numbers) + 1)):
            yield f"stream {stream} has gaps or doubles"
    if sorted(positions) != list(range(len(positions))):
        yield "the positions have gaps or doubles"


def out_of_order(changes: Iterable[Change], events: Mapping[str, list[Event]]) -> Iterator[str]:
    """Changes that the log has before others which were acknowledged before they were even asked for."""
    done = []
    for change in changes:
        for attempt in change.attempts:
            places = [event.position for event in events.get(attempt.request_id, ()) if event.position is not None]
            if attempt.acknowledged and places:
                done.append((attempt.begun, attempt.ended, min(places), max(places), attempt.request_id))
    ends = sorted(done, key=lambda one: one[1])
    latest, who, next_end = -1, "", 0
    for begun, _, first, _, request_id in sorted(done):
        while next_end < len(ends) and ends[next_end][1] < begun:
            if ends[next_end][3] > latest:
                latest, who = ends[next_end][3], ends[next_end][4]
            next_end += 1
        if first < latest:
            yield f"{request_id} stands before {who}, which was acknowledged before it was asked for"


def not_once(changes: Iterable[Change], versions: Mapping[str, int]) -> Iterator[str]:
    """Versions that are not there exactly once; `versions` counts them by their sources."""
    for change in changes:
        if change.source is None:
            continue
        count = versions.get(change.source, 0)
        if count > 1 or (change.acknowledged and count == 0):
            yield f"version of {change.id}: there {count} times"


def overlaps(tenures: Iterable[tuple[int, int, int, int | None]]) -> Iterator[str]:
    """Models in whose stage two versions stood at once; tenures are (model, version, since, until) in microseconds."""
    before: dict[int, tuple[int, int | None]] = {}
    for model, number, since, until in sorted(tenures, key=lambda one: (one[0], one[2])):
        last = before.get(model)
        if last is not None and (last[1] is None or last[1] > since):
            yield f"model {model}: versions {last[0]} and {number} stood in Production at once"
        before[model] = (number, until)


def missed(seen: Sequence[int], end: int) -> Iterator[str]:
    """What a follower of the log did not see once, in order, up to the position `end`."""
    if list(seen) != list(range(len(seen))):
        yield "a follower of the log saw a position twice, or missed one"
    if len(seen) < end:
        yield f"a follower of the log saw {len(seen)} of {end} events"
