"""What a superuser can make of the log: any events, with all that follows from them recomputed."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from tests.verification.registries import Registry

INSERT = text(
    "INSERT INTO audit.event "
    "(id, body, hash, stream, seq, at_us, actor, action, object, model_id, number, request_id) OVERRIDING SYSTEM VALUE "
    "SELECT :id, :body, :hash, l ->> 'stream', (l ->> 'seq')::bigint, (l ->> 'at_us')::bigint, l ->> 'actor', "
    "l ->> 'action', l ->> 'object', (l ->> 'model_id')::bigint, (l ->> 'version')::integer, l ->> 'request_id' "
    "FROM (SELECT CAST(:body AS json) AS l) line"
)
TABLES = ("audit.event", "audit.private", "audit.seal", "audit.checkpoint", "audit.pending", "audit.stream")


@dataclass
class History:
    """The events in the order of their ids, `sealed` of them with positions; to be changed, and written back."""

    events: list[tuple[int, dict[str, Any]]]
    positions: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, registry: Registry) -> "History":
        rows = registry.ask("SELECT id, body FROM audit.event ORDER BY id")
        seals = registry.ask("SELECT event_id, position FROM audit.seal")
        return cls([(number, json.loads(body)) for number, body in rows], dict(seals))

    def find(self, **wanted: Any) -> int:
        """The place in `events` of the first one that says this."""
        return next(
            place
            for place, (_, line) in enumerate(self.events)
            if all(line[name] == value for name, value in wanted.items())
        )

    def last_sealed(self) -> int:
        number = max(self.positions, key=lambda one: self.positions[one])
        return next(place for place, (one, _) in enumerate(self.events) if one == number)

    def remove(self, place: int) -> None:
        """Take an event out and close the gap that its position leaves."""
        number, _ = self.events.pop(place)
        gone = self.positions.pop(number)
        self.positions = {one: at - (at > gone) for one, at in self.positions.items()}

    def insert(self, place: int, line: dict[str, Any]) -> None:
        """Put an event in, and move what follows on by one id and position."""
        moved = self.positions[self.events[place][0]]
        self.positions = {
            one + (one >= self.events[place][0]): at + (at >= moved) for one, at in self.positions.items()
        }
        here = self.events[place][0]
        later = [(number + 1, one) for number, one in self.events[place:]]
        self.events = [*self.events[:place], (here, line), *later]
        self.positions[here] = moved

    def recompute(self) -> None:
        """Number and chain every stream anew."""
        last: dict[str, tuple[int, str]] = {}
        for _, line in self.events:
            seq, head = last.get(line["stream"], (0, ""))
            line["seq"], line["prev"] = seq + 1, head
            last[line["stream"]] = line["seq"], hash_of(written(line)).hex()

    def write(self, registry: Registry) -> None:
        """Put all of it in the place of what was there, with hashes, leaves, queue and heads that fit."""
        before = dict(registry.ask("SELECT id, body FROM audit.event"))
        with registry.guards_down() as connection:
            private = [tuple(row) for row in connection.execute(text("SELECT * FROM audit.private"))]
            connection.exec_driver_sql("DELETE FROM audit.private; DELETE FROM audit.seal; DELETE FROM audit.pending")
            connection.exec_driver_sql("DELETE FROM audit.event")
            for number, line in self.events:
                self._write(connection, number, same_or_written(before.get(number), line))
            self._write_private(connection, private, before)
            self._write_heads(connection)

    def _write(self, connection: Connection, number: int, body: str) -> None:
        connection.execute(INSERT, {"id": number, "body": body, "hash": hash_of(body)})
        if number in self.positions:
            seal = {"position": self.positions[number], "id": number, "leaf": hash_of(body)}
            connection.execute(text("INSERT INTO audit.seal VALUES (:position, :id, :leaf)"), seal)
        else:
            connection.execute(text("INSERT INTO audit.pending VALUES (:id)"), {"id": number})

    def _write_private(self, connection: Connection, private: list[Any], before: dict[int, str]) -> None:
        """Texts go with their events, which may have other ids now."""
        place = {digest: number for number, line in self.events for digest in digests_in(line)}
        for _number, name, side, salt, content in private:
            digest = hashlib.sha256(bytes(salt) + content.encode()).hexdigest()
            if digest in place:
                values = {"id": place[digest], "f": name, "s": side, "salt": bytes(salt), "c": content}
                connection.execute(text("INSERT INTO audit.private VALUES (:id, :f, :s, :salt, :c)"), values)

    def _write_heads(self, connection: Connection) -> None:
        connection.exec_driver_sql(
            "DELETE FROM audit.stream s WHERE NOT EXISTS (SELECT FROM audit.event e WHERE e.stream = s.stream)"
        )
        connection.exec_driver_sql(
            "UPDATE audit.stream s SET seq = e.seq, head = e.hash FROM audit.event e WHERE e.stream = s.stream "
            "AND e.seq = (SELECT max(seq) FROM audit.event l WHERE l.stream = s.stream)"
        )


def digests_in(line: dict[str, Any]) -> list[str]:
    sides = [side for change in line["changes"].values() for side in change] + [line["reason"]]
    return [side["salted_sha256"] for side in sides if isinstance(side, dict)]


def same_or_written(before: str | None, line: dict[str, Any]) -> str:
    """The bytes as they were, where they still say the same."""
    return before if before is not None and json.loads(before) == line else written(line)


def written(line: dict[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False)


def hash_of(body: str) -> bytes:
    return hashlib.sha256(b"\x00" + body.encode()).digest()
