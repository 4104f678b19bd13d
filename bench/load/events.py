"""The audit events of a registry of some size: lines as the triggers write them, hashed and chained."""

import hashlib
import json
from collections.abc import Iterator, Mapping

from bench import population
from bench.load.rows import actor, rfc3339, salt
from bench.population import PROMOTED, ROUNDS, Size

MICROSECONDS = 1_000_000
Row = tuple[object, ...]
COLUMNS = "stream, seq, at_us, actor, action, object, request_id, model_id, number"
"""What the log keeps of a line for searching."""
NULL = r"\N"


class Log:
    """Writes events one after the other; afterwards `streams` has the head of each stream and its number and time."""

    def __init__(self, size: Size, lines: Mapping[str, str], first_id: int) -> None:
        self._size = size
        self._lines = lines
        self.next_id = first_id
        self.streams: list[tuple[int, str, int]] = [(0, "", 0)] * size.models
        self.texts: list[Row] = []
        """audit.private (event_id, field, side, salt, content)."""

    def rows(self) -> Iterator[Row]:
        """audit.event (id, body, hash, COLUMNS), in the order of the log."""
        for index in range(self._size.models):
            yield from self._model(index)
        for number in range(ROUNDS):
            for index in range(self._size.models):
                for version in self._size.in_round(index, number):
                    yield from self._version(index, version)

    def _model(self, index: int) -> Iterator[Row]:
        at, text = self._size.created(index), population.description(index)
        known = population.tags(self._size, index)
        digest = hashlib.sha256(salt(index) + text.encode()).hexdigest()
        self.texts.append((self.next_id, "description", "after", rf"\\x{salt(index).hex()}", text))
        yield self._event("model", index, at, created=rfc3339(at), digest=digest)
        yield self._event("team", index, at, team=known["team"])
        yield self._event("framework", index, at, framework=known["framework"])

    def _version(self, index: int, version: int) -> Iterator[Row]:
        size, count = self._size, self._size.count(index)
        created, staged, promoted, done = (size.at(index, version, step) for step in range(4))
        more = {"source": population.source(index, version), "run": population.run_id(index, version)}
        yield self._event("version", index, created, version, created=rfc3339(created), **more)
        yield self._event("staging", index, staged, version)
        if version > count - PROMOTED + 1:
            yield self._event("archived", index, promoted, version - 1)
        if version > count - PROMOTED:
            yield self._event("production", index, promoted, version)
        if version == count:
            yield self._event("alias", index, done, version)
            yield self._event("tag", index, done, version)

    def _event(self, kind: str, index: int, at: int, version: int = 0, **more: str) -> Row:
        seq, head, _ = self.streams[index]
        body = self._lines[kind] % {
            "model": index + 1, "name": population.name(index), "version": version, "seq": seq + 1, "prev": head,
            "at_us": at * MICROSECONDS, "actor": actor(index), "request": f"load-{index}-{at}", **more,
        }  # fmt: skip
        leaf = hashlib.sha256(b"\0" + body.encode()).hexdigest()
        self.streams[index] = seq + 1, leaf, at * MICROSECONDS
        event = self.next_id
        self.next_id += 1
        return event, body, rf"\\x{leaf}", *repeated(body)


def repeated(body: str) -> Row:
    """COLUMNS of a line."""
    line = json.loads(body)
    said = ("stream", "seq", "at_us", "actor", "action", "object", "request_id", "model_id", "version")
    return tuple(line.get(name, NULL) for name in said)
