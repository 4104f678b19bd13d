"""What each event has to hold by itself, in its stream, and against its seal."""

import hashlib
import json
from collections.abc import Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from registry.verification.findings import Findings

FROM_BODY = itemgetter("stream", "seq", "at_us", "actor", "action", "object")

BEFORE_AND_AFTER = 2


class Event(NamedTuple):
    """A row of the log with its place in the whole, if it has one."""

    id: int
    body: str
    hash: bytes
    stream: str
    seq: int
    at_us: int
    actor: str
    action: str
    object: str
    model_id: int | None
    number: int | None
    request_id: str
    position: int | None
    leaf: bytes | None
    pending: bool


FIRST_COLUMN, LAST_COLUMN = Event._fields.index("stream"), Event._fields.index("request_id") + 1
"""The columns that repeat what the body says."""
NEEDED = {
    "stream": str,
    "seq": int,
    "at_us": int,
    "actor": str,
    "action": str,
    "object": str,
    "request_id": str,
    "prev": str,
    "changes": dict,
}


class Head(NamedTuple):
    """The last event of a stream so far."""

    seq: int
    hash: str
    at_us: int
    position: int | None


FIRST = Head(0, "", 0, None)


def read(body: str) -> dict[str, Any]:
    """The line of an event, with all that the other checks take for granted.

    :raises ValueError: it is none.
    """
    try:
        line = json.loads(body)
        if not all(isinstance(line[name], kind) for name, kind in NEEDED.items()):
            raise ValueError("something in it is of the wrong kind")
        if not all(isinstance(sides, list) and len(sides) == BEFORE_AND_AFTER for sides in line["changes"].values()):
            raise ValueError("its changes are not pairs of before and after")
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"it lacks {error}") from None
    found: dict[str, Any] = line
    return found


def from_body(line: Mapping[str, Any]) -> tuple[Any, ...]:
    """What the columns that repeat it have to be."""
    return (*FROM_BODY(line), line.get("model_id"), line.get("version"), line["request_id"])


class Events:
    """Takes the events in the order of their ids, in which each stream is in its own."""

    def __init__(self, findings: Findings, *, signed: int, late_before: int) -> None:
        self._findings = findings
        self._signed = signed
        self._late_before = late_before
        self.heads: dict[str, Head] = {}
        self.count = self.sealed = 0
        self.late: tuple[int, dict[str, Any]] | None = None
        """The first event that should have been sealed and signed by now: its id, and where it is."""

    def take(self, event: Event) -> dict[str, Any] | None:
        """Check one event; return its line, or nothing where that cannot be read."""
        self.count += 1
        where = {"stream": event.stream, "seq": event.seq, "position": event.position}
        digest = hashlib.sha256(b"\x00" + event.body.encode()).digest()
        if digest != bytes(event.hash):
            self._findings.add("hash", "the stored hash is not that of the body", **where)
        line = self._read(event, where)
        if line is not None:
            self._chain(event, line, digest.hex(), where)
        self._seal(event, digest, where)
        return line

    def _read(self, event: Event, where: dict[str, Any]) -> dict[str, Any] | None:
        try:
            line = read(event.body)
        except ValueError as error:
            self._findings.add("hash", f"the body is no event: {error}", **where)
            return None
        if from_body(line) != event[FIRST_COLUMN:LAST_COLUMN]:
            for name, said in zip(Event._fields[FIRST_COLUMN:LAST_COLUMN], from_body(line), strict=True):
                if said != (has := getattr(event, name)):
                    what = f"the column is {has!r}, the body says otherwise"
                    self._findings.add("columns", what, field=name, **where)
        return line

    def _chain(self, event: Event, line: Mapping[str, Any], digest: str, where: dict[str, Any]) -> None:
        """By what the body says, whatever the columns do."""
        stream, seq, at_us = line["stream"], line["seq"], line["at_us"]
        last = self.heads.get(stream, FIRST)
        if seq != last.seq + 1:
            what = f"seq {seq} follows seq {last.seq}: an event is missing, doubled or moved"
            self._findings.add("chain", what, **where)
        if line["prev"] != last.hash:
            self._findings.add("chain", f"prev is not the hash of seq {last.seq}", **where)
        if at_us < last.at_us:
            self._findings.add("chain", f"the clock went back: {at_us} after {last.at_us}", **where)
        if event.position is not None and last.seq and (last.position is None or event.position < last.position):
            self._findings.add("positions", "the event stands before the one that it follows in its stream", **where)
        self.heads[stream] = Head(seq, digest, at_us, event.position)

    def _seal(self, event: Event, digest: bytes, where: dict[str, Any]) -> None:
        if event.position is None:
            if not event.pending:
                self._findings.add("positions", "the event is neither sealed nor waiting for it", **where)
        else:
            self.sealed += 1
            if event.pending:
                self._findings.add("positions", "the event is sealed and waits for it all the same", **where)
            if event.leaf is None or bytes(event.leaf) != digest:
                self._findings.add("positions", "the leaf of the seal is not the hash of the event", **where)
        late = event.position is None or event.position >= self._signed
        if late and self.late is None and event.at_us < self._late_before:
            self.late = event.id, where

    def compare_heads(self, stored: Mapping[str, tuple[int, str, int]]) -> None:
        """See that what the next event of each stream will follow is its last one."""
        for stream in sorted({*stored, *self.heads}):
            seq, head, at_us = stored.get(stream, (0, "", 0))
            last = self.heads.get(stream, FIRST)
            if (seq, head) != (last.seq, last.hash):
                self._findings.add(
                    "heads",
                    f"the stream's head is seq {seq}, its last event is another one",
                    stream=stream,
                    seq=last.seq,
                )
            elif at_us < last.at_us:
                self._findings.add("heads", "the stream's clock is behind its last event", stream=stream, seq=last.seq)
