"""What the sealer reads and writes in the database. It believes nothing that it can compute."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

from registry.db import SET_CONTEXT
from registry.ledger.merkle import leaf_hash
from registry.sealer.store import SealerError

BATCH = 1_000
"""Events in one transaction: at their longest, 64 MB."""
LOCK = 0x6C6564676572
"""The advisory lock of the one that seals: "ledger" in ASCII, an arbitrary number of our own."""

TRY_LOCK = text("SELECT pg_try_advisory_lock(:lock)")
COUNT = text("SELECT coalesce(max(position) + 1, 0) FROM audit.seal")
# The lateral look-up keeps the cost of a batch the same however long the log is: with a plain join, a planner whose
# statistics are old may read the log from its beginning.
WAITING = text(
    "SELECT p.event_id, e.body, e.hash FROM (SELECT event_id FROM audit.pending ORDER BY event_id LIMIT :limit) p "
    "LEFT JOIN LATERAL (SELECT body, hash FROM audit.event WHERE id = p.event_id OFFSET 0) e ON true "
    "ORDER BY p.event_id"
)
SEALED = text(
    "SELECT s.position, s.event_id, s.leaf, e.body, e.hash FROM (SELECT position, event_id, leaf FROM audit.seal "
    "WHERE position >= :start AND position < :end ORDER BY position LIMIT :limit) s "
    "LEFT JOIN LATERAL (SELECT body, hash FROM audit.event WHERE id = s.event_id OFFSET 0) e ON true "
    "ORDER BY s.position"
)
EVENT = text("SELECT id AS event_id, body, hash FROM audit.event WHERE id = :event")
TAKE = text("DELETE FROM audit.pending WHERE event_id = ANY(:events)")
SEAL = text(
    "INSERT INTO audit.seal (position, event_id, leaf) SELECT * FROM "
    "unnest(CAST(:positions AS bigint[]), CAST(:events AS bigint[]), CAST(:leaves AS bytea[]))"
)
NOTE = text("SELECT note FROM audit.checkpoint WHERE origin = :origin AND size = :size")
NOTES = text("SELECT size, note FROM audit.checkpoint WHERE origin = :origin AND size > :size ORDER BY size")
LAST_NOTES = text("SELECT note FROM audit.checkpoint ORDER BY created_at DESC, size DESC LIMIT :limit")
PUBLISH = text("INSERT INTO audit.checkpoint (origin, size, note) VALUES (:origin, :size, :note)")
ORIGINS = text("SELECT DISTINCT origin FROM audit.checkpoint")
RESTORE = text("SELECT audit.restore(CAST(:changes AS jsonb))")
TELL = text(
    "INSERT INTO audit.sealer (state, why, since, seen_at) VALUES (:state, :why, clock_timestamp(), clock_timestamp()) "
    "ON CONFLICT (one) DO UPDATE SET state = excluded.state, why = excluded.why, seen_at = excluded.seen_at, since = "
    "CASE WHEN (sealer.state, sealer.why) IS DISTINCT FROM (excluded.state, excluded.why) "
    "THEN excluded.since ELSE sealer.since END"
)

Leaf = tuple[int, bytes]
"""An event's id, and its leaf hash, computed from its line."""


class Refusal(SealerError):
    """The database does not hold what was signed: nothing more is signed until a person has decided."""


class Seals:
    """The log's positions and checkpoints on one connection, inside the transactions of the caller."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def lock(self) -> bool:
        """Become the one that seals, for as long as the connection lives; say whether nobody else is."""
        return bool(self._connection.scalar(TRY_LOCK, {"lock": LOCK}))

    def count(self) -> int:
        """Return how many positions are given."""
        return int(self._connection.scalar(COUNT) or 0)

    def waiting(self) -> list[Leaf]:
        """Return the next events that have no position, in the order of their ids.

        :raises Refusal: one is not as it was written.
        """
        return [checked(row) for row in self._connection.execute(WAITING, {"limit": BATCH})]

    def sealed(self, start: int, end: int) -> Iterator[Leaf]:
        """Yield what stands at these positions.

        :raises Refusal: at one stands nothing, or not what was sealed there.
        """
        while start < end:
            rows = self._connection.execute(SEALED, {"start": start, "end": end, "limit": BATCH}).all()
            for position, row in enumerate(rows, start):
                if row.position != position or bytes(row.leaf) != checked(row)[1]:
                    raise Refusal(f"position {position} does not hold the event that was sealed there")
                yield checked(row)
            if not rows:
                raise Refusal(f"position {start} holds no event")
            start += len(rows)

    def seal(self, leaves: Sequence[Leaf], start: int) -> None:
        """Give events the positions from `start` on, and take them out of the queue."""
        events = [event for event, _ in leaves]
        self._connection.execute(TAKE, {"events": events})
        positions = list(range(start, start + len(events)))
        given = {"positions": positions, "events": events, "leaves": [leaf for _, leaf in leaves]}
        self._connection.execute(SEAL, given)

    def publish(self, origin: str, size: int, note: str) -> None:
        """Let everybody see a checkpoint; once it is there, nothing happens.

        :raises Refusal: another one stands in its place.
        """
        shown = self._connection.scalar(NOTE, {"origin": origin, "size": size})
        if shown is None:
            self._connection.execute(PUBLISH, {"origin": origin, "size": size, "note": note})
        elif shown != note:
            raise Refusal(f"another checkpoint than ours stands in the database as {origin}, size {size}")

    def notes(self, origin: str, size: int) -> list[tuple[int, str]]:
        """Return the checkpoints of an origin that are larger than `size`."""
        found = self._connection.execute(NOTES, {"origin": origin, "size": size})
        return [(row.size, row.note) for row in found]

    def last_notes(self, limit: int) -> list[str]:
        """Return the latest checkpoints of whatever origin, the latest first."""
        return list(self._connection.scalars(LAST_NOTES, {"limit": limit}))

    def origins(self) -> set[str]:
        """Return all origins that there are checkpoints of."""
        return set(self._connection.scalars(ORIGINS))

    def restore(self, context: dict[str, str], changes: dict[str, list[Any]]) -> Leaf:
        """Write the event system.restore, in the name and for the reason that `context` tells."""
        self._connection.execute(SET_CONTEXT, context)
        event = self._connection.scalar(RESTORE, {"changes": json.dumps(changes)})
        return checked(self._connection.execute(EVENT, {"event": event}).one())

    def tell(self, state: str, why: str | None) -> None:
        """Say how the sealer is, for those who watch the service."""
        self._connection.execute(TELL, {"state": state, "why": why})


def checked(row: Row[Any]) -> Leaf:
    """Return an event's leaf hash, computed from its line.

    :raises Refusal: the line is gone, or does not have the hash that was stored with it.
    """
    if row.body is None:
        raise Refusal(f"event {row.event_id}, which has a place in the log, is gone")
    leaf = leaf_hash(row.body.encode())
    if leaf != bytes(row.hash):
        raise Refusal(f"event {row.event_id} is not as it was written: its line does not have its hash")
    return row.event_id, leaf
