"""The texts that are kept apart from the log: each is the one that was logged, or was erased and that was logged."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from registry.verification.events import Event
from registry.verification.findings import Findings
from registry.verification.replay import DIGEST

ERASE = "audit.erase"


class Place(NamedTuple):
    """Where a text belongs: to a field of an event, before or after the change."""

    stream: str
    seq: int
    field: str
    side: str


Kept = Mapping[tuple[str, str], tuple[bytes, str]]
"""Salt and text, by field and side."""


class Texts:
    """Takes events with what is kept apart from them."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._missing: set[Place] = set()
        self._erased: set[Place] = set()
        self.count = 0

    @property
    def erased(self) -> int:
        """How many texts were erased."""
        return len(self._erased)

    def take(self, event: Event, line: Mapping[str, Any], kept: Kept) -> None:
        """Hold each text against its digest."""
        left = set(kept)
        for name, side, digest in digests(line):
            place = Place(event.stream, event.seq, name, side)
            left.discard((name, side))
            if (name, side) not in kept:
                self._missing.add(place)
                continue
            self.count += 1
            salt, text = kept[name, side]
            if hashlib.sha256(bytes(salt) + text.encode()).hexdigest() != digest:
                self._add("the text is not the one that was logged", place)
        for name, side in sorted(left):
            self._add("the event has no digest of this text", Place(event.stream, event.seq, name, side))
        if line["action"] == ERASE and event.stream.startswith("system:"):
            self._note_erasure(event, line["changes"])

    def finish(self) -> None:
        """Compare what is missing with what was erased."""
        for place in sorted(self._missing - self._erased):
            self._add("the text is gone, but no event says that it was erased", place)
        for place in sorted(self._erased - self._missing):
            self._add("an event says that the text was erased, but it is there, or never was", place)

    def _note_erasure(self, event: Event, changes: Mapping[str, list[Any]]) -> None:
        try:
            stream, seq, name, side = (changes[part][1] for part in ("stream", "seq", "field", "side"))
            self._erased.add(Place(str(stream), int(seq), str(name), str(side)))
        except (KeyError, ValueError, TypeError):
            self._findings.add(
                "texts", "the event does not say which text was erased", stream=event.stream, seq=event.seq
            )

    def _add(self, what: str, place: Place) -> None:
        field = f"{place.field}, {place.side}"
        self._findings.add("texts", what, stream=place.stream, seq=place.seq, field=field)


def digests(line: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield field, side and digest of each text that an event has only the digest of."""
    for name, sides in line["changes"].items():
        before, after = sides
        if isinstance(before, dict) and DIGEST in before:
            yield name, "before", before[DIGEST]
        if isinstance(after, dict) and DIGEST in after:
            yield name, "after", after[DIGEST]
    reason = line.get("reason")
    if isinstance(reason, dict):
        yield "reason", "after", reason.get(DIGEST, "")
