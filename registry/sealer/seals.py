"""What the sealer reads and writes in the database. It believes nothing that it can compute."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from registry import postgres, telling
from registry.ledger.merkle import leaf_hash
from registry.postgres import Connection
from registry.sealer.errors import SealerError

BATCH = 1_000
"""Events in one transaction: at their longest, 64 MB."""
LOCK = 0x6C6564676572
"""The advisory lock of the one that seals: "ledger" in ASCII, an arbitrary number of our own."""

TRY_LOCK = "SELECT pg_try_advisory_lock(%(lock)s)"
COUNT = "SELECT coalesce(max(position) + 1, 0) FROM audit.seal"
# The lateral look-up keeps the cost of a batch the same however long the log is: with a plain join, a planner whose
# statistics are old may read the log from its beginning.
WAITING = (
    "SELECT p.event_id, e.body, e.hash FROM (SELECT event_id FROM audit.pending ORDER BY event_id LIMIT %(limit)s) p "
    "LEFT JOIN LATERAL (SELECT body, hash FROM audit.event WHERE id = p.event_id OFFSET 0) e ON true "
    "ORDER BY p.event_id"
)
SEALED = (
    "SELECT s.position, s.leaf, s.event_id, e.body, e.hash FROM (SELECT position, event_id, leaf FROM audit.seal "
    "WHERE position >= %(start)s AND position < %(end)s ORDER BY position LIMIT %(limit)s) s "
    "LEFT JOIN LATERAL (SELECT body, hash FROM audit.event WHERE id = s.event_id OFFSET 0) e ON true "
    "ORDER BY s.position"
)
EVENT = "SELECT id, body, hash FROM audit.event WHERE id = %(event)s"
TAKE = "DELETE FROM audit.pending WHERE event_id = ANY(%(events)s)"
SEAL = (
    "INSERT INTO audit.seal (position, event_id, leaf) SELECT * FROM "
    "unnest(CAST(%(positions)s AS bigint[]), CAST(%(events)s AS bigint[]), CAST(%(leaves)s AS bytea[]))"
)
NOTE = "SELECT note FROM audit.checkpoint WHERE origin = %(origin)s AND size = %(size)s"
NOTES = "SELECT size, note FROM audit.checkpoint WHERE origin = %(origin)s AND size > %(size)s ORDER BY size"
LAST_NOTES = "SELECT note FROM audit.checkpoint ORDER BY created_at DESC, size DESC LIMIT %(limit)s"
PUBLISH = "INSERT INTO audit.checkpoint (origin, size, note) VALUES (%(origin)s, %(size)s, %(note)s)"
ORIGINS = "SELECT DISTINCT origin FROM audit.checkpoint"
RESTORE = "SELECT audit.restore(CAST(%(changes)s AS jsonb))"
TELL = (
    "INSERT INTO audit.sealer (state, why, since, seen_at) "
    "VALUES (%(state)s, %(why)s, clock_timestamp(), clock_timestamp()) "
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
        return bool(postgres.value(self._connection, TRY_LOCK, lock=LOCK))

    def count(self) -> int:
        """Return how many positions are given."""
        return int(postgres.value(self._connection, COUNT))

    def waiting(self) -> list[Leaf]:
        """Return the next events that have no position, in the order of their ids.

        :raises Refusal: one is not as it was written.
        """
        return [checked(*row) for row in postgres.rows(self._connection, WAITING, limit=BATCH)]

    def sealed(self, start: int, end: int) -> Iterator[Leaf]:
        """Yield what stands at these positions.

        :raises Refusal: at one stands nothing, or not what was sealed there.
        """
        while start < end:
            rows = postgres.rows(self._connection, SEALED, start=start, end=end, limit=BATCH)
            for position, (found, sealed, *event) in enumerate(rows, start):
                leaf = checked(*event)
                if found != position or bytes(sealed) != leaf[1]:
                    raise Refusal(f"position {position} does not hold the event that was sealed there")
                yield leaf
            if not rows:
                raise Refusal(f"position {start} holds no event")
            start += len(rows)

    def seal(self, leaves: Sequence[Leaf], start: int) -> None:
        """Give events the positions from `start` on, and take them out of the queue."""
        events = [event for event, _ in leaves]
        postgres.execute(self._connection, TAKE, events=events)
        positions = list(range(start, start + len(events)))
        postgres.execute(
            self._connection, SEAL, positions=positions, events=events, leaves=[leaf for _, leaf in leaves]
        )

    def publish(self, origin: str, size: int, note: str) -> None:
        """Let everybody see a checkpoint; once it is there, nothing happens.

        :raises Refusal: another one stands in its place.
        """
        shown = postgres.value(self._connection, NOTE, origin=origin, size=size)
        if shown is None:
            postgres.execute(self._connection, PUBLISH, origin=origin, size=size, note=note)
        elif shown != note:
            raise Refusal(f"another checkpoint than ours stands in the database as {origin}, size {size}")

    def notes(self, origin: str, size: int) -> list[tuple[int, str]]:
        """Return the checkpoints of an origin that are larger than `size`."""
        return [(larger, note) for larger, note in postgres.rows(self._connection, NOTES, origin=origin, size=size)]

    def last_notes(self, limit: int) -> list[str]:
        """Return the latest checkpoints of whatever origin, the latest first."""
        return [note for (note,) in postgres.rows(self._connection, LAST_NOTES, limit=limit)]

    def origins(self) -> set[str]:
        """Return all origins that there are checkpoints of."""
        return {origin for (origin,) in postgres.rows(self._connection, ORIGINS)}

    def restore(self, context: dict[str, str], changes: dict[str, list[Any]]) -> Leaf:
        """Write the event system.restore, in the name and for the reason that `context` tells."""
        postgres.execute(self._connection, telling.SAY, **context)
        event = postgres.value(self._connection, RESTORE, changes=json.dumps(changes))
        [found] = postgres.rows(self._connection, EVENT, event=event)
        return checked(*found)

    def tell(self, state: str, why: str | None) -> None:
        """Say how the sealer is, for those who watch the service."""
        postgres.execute(self._connection, TELL, state=state, why=why)


def checked(event: int, body: str | None, stored: Any) -> Leaf:
    """Return an event with its leaf hash, computed from its line.

    :raises Refusal: the line is gone, or does not have the hash that was stored with it.
    """
    if body is None:
        raise Refusal(f"event {event}, which has a place in the log, is gone")
    leaf = leaf_hash(body.encode())
    if leaf != bytes(stored):
        raise Refusal(f"event {event} is not as it was written: its line does not have its hash")
    return event, leaf
