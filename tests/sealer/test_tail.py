"""Following the log by position: nothing is missed and nothing comes twice, however late transactions commit.

Writers begin transactions, write, and then some commit at once, some later than others that began after them, and
some roll back. Beside the readers by position runs one by id, as most tailing readers are written: it misses events,
which shows that the load is of the kind that matters.
"""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text

from tests.sealer.logs import SET_CONTEXT, Place, assert_consistent, assert_in_order

EVENTS = 100_000
EACH = 50
WRITERS = 6
APPEND = text(
    "SELECT audit.append(:stream, 'registered_model.update', :stream, '{}', '{}') FROM generate_series(1, :each)"
)
BY_POSITION = text(
    "SELECT s.position AS at, e.stream, e.seq FROM audit.seal s JOIN audit.event e ON e.id = s.event_id "
    "WHERE s.position > :last ORDER BY s.position LIMIT 2000"
)
BY_ID = text("SELECT id AS at, stream, seq FROM audit.event WHERE id > :last ORDER BY id LIMIT 2000")


class Reader:
    """Follows the log by one query and remembers what it saw."""

    def __init__(self, query: object, start: int) -> None:
        self.query = query
        self.last = start
        self.seen: list[tuple[int, str, int]] = []

    def look(self, connection: Connection) -> int:
        with connection.begin():
            rows = connection.execute(self.query, {"last": self.last}).all()  # type: ignore[call-overload]
        self.seen += [(row.at, row.stream, row.seq) for row in rows]
        self.last = self.seen[-1][0] if self.seen else self.last
        return len(rows)


def write(connection: Connection, writer: int, number: int) -> None:
    """One transaction: of eight, one is rolled back and one commits late, long after others that began later."""
    chance = random.Random(writer * 1_000_000 + number)
    with connection.begin() as transaction:
        connection.execute(SET_CONTEXT)
        stream = f"model:{chance.randrange(4) * WRITERS + writer}"
        connection.execute(APPEND, {"stream": stream, "each": EACH})
        fate = chance.randrange(8)
        if fate == 0:
            transaction.rollback()
        elif fate == 1:
            time.sleep(chance.uniform(0.01, 0.1))


def test_readers_by_position_see_every_event_once_and_in_order(empty_database_url: str, tmp_path: Path) -> None:
    place = Place(empty_database_url, tmp_path / "sealer")
    engine = create_engine(place.url, pool_size=WRITERS + 4)
    writing, sealing = threading.Event(), threading.Event()
    left = count(EVENTS // EACH * 8 // 7, -1)
    writing.set()
    sealing.set()

    def writer(number: int) -> None:
        with engine.connect() as connection:
            while (turn := next(left)) > 0:
                write(connection, number, turn)

    def follow(reader: Reader, going_on: Callable[[], bool]) -> Reader:
        with engine.connect() as connection:
            while going_on():
                reader.look(connection)
                time.sleep(0.02)
            while reader.look(connection):
                pass
        return reader

    def seal() -> None:
        with place.sealer() as sealer:
            while writing.is_set():
                sealer.seal()
                time.sleep(0.02)
            sealer.seal()

    with ThreadPoolExecutor(WRITERS + 4) as pool:
        sealed = pool.submit(seal)
        tails = [pool.submit(follow, Reader(BY_POSITION, -1), sealing.is_set) for _ in range(2)]
        naive = pool.submit(follow, Reader(BY_ID, 0), writing.is_set)
        for done in [pool.submit(writer, number) for number in range(WRITERS)]:
            done.result()
        writing.clear()
        sealed.result()
        sealing.clear()
        readers = [tail.result() for tail in tails]
    engine.dispose()

    [(total,)] = place.ask("SELECT count(*) FROM audit.event")
    assert total == pytest.approx(EVENTS, rel=0.05)
    assert place.ask("SELECT count(*) FROM audit.pending") == [(0,)]
    for reader in readers:
        assert [at for at, _, _ in reader.seen] == list(range(total)), "each position once, ascending, none missed"
        assert_in_order([(stream, seq) for _, stream, seq in reader.seen])
    assert len(naive.result().seen) < total, "the reader by id missed none: these writers show nothing"
    assert_consistent(place)
    print(f"{total} events; by position missed 0, twice 0; by id missed {total - len(naive.result().seen)}")
