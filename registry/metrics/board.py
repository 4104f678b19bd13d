"""Numbers that every worker writes and any worker reads, in memory that they have shared since they were forked.

Each worker writes a part of its own, so that no two ever wait for each other, and whoever reads adds the parts up. A
worker's counts stay when it dies, and the one that takes its place goes on from them: a sum never goes back. What only
a living worker has, such as requests under way, is wiped. A worker can be killed at any instruction: a count is one
aligned number, written at once, and a new entry is seen only when it is whole.

The usual way, prometheus_client's multiprocess mode, keeps a file for each worker that ever lived, in a directory that
has to be writable, named by a variable that is set before the first import, and empty at the start. Here nothing is
ever written to a disk, and nothing is left over.
"""

import json
import mmap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from threading import Lock

NUMBER = 8  # bytes
PART = 65_536
"""Numbers in the part of one worker; memory that is never written to takes no room."""
HEAD = 1_024
"""The first of them have a fixed meaning, the rest are entries."""
USED, ALIVE, CONNECTIONS, CALLERS, REPLICA, CLOCKS = 0, 1, 2, 3, 4, 5
CLOCKS_END = HEAD
UNKNOWN = -1.0
FLAGS = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Worker:
    """What a living worker is at: database connections in use, and when each request under way began.

    `replica`: the steady time of which all is known to be on the replica; None if that is not known, and 0.0 where a
    worker has not looked yet.
    """

    connections: int
    began: list[float]
    replica: float | None


class Board:
    """The parts of all workers. Whoever makes it writes the first part until told to `begin` another one."""

    def __init__(self, parts: int) -> None:
        self.parts = parts
        self._memory = mmap.mmap(-1, parts * PART * NUMBER, flags=FLAGS)
        self._numbers = memoryview(self._memory).cast("d")
        self.begin(0)

    def begin(self, part: int) -> None:
        """Write this part from now on; whatever its last writer counted is gone on from."""
        self.wipe(part)
        self._lock = Lock()  # a new one: another thread may have held the old one when this process was forked
        self._base = part * PART
        self._places = {key: place for key, place, _ in self._entries(part)}
        self._clocks = list(range(CLOCKS_END - 1, CLOCKS - 1, -1))
        self._numbers[self._base + ALIVE] = 1.0

    def wipe(self, part: int) -> None:
        """Forget what only a living writer has."""
        base = part * PART
        for place in (ALIVE, CONNECTIONS, CALLERS, REPLICA, *range(CLOCKS, CLOCKS_END)):
            if self._numbers[base + place]:
                self._numbers[base + place] = 0.0

    def add(self, key: Key, size: int, amounts: Mapping[int, float]) -> None:
        """Add to some of the `size` numbers that stand under a key."""
        with self._lock:
            place = self._places.get(key)
            if place is None:
                place = self._new(key, size)
            if place:
                for index, amount in amounts.items():
                    self._numbers[place + index] += amount

    def show_connections(self, count: Callable[[], int]) -> None:
        """Say how many database connections are in use: counted in turn, so that the last to say it is right."""
        with self._lock:
            self._numbers[self._base + CONNECTIONS] = count()

    def show_callers(self, count: float) -> None:
        """Say how many are connected to this worker; infinitely many if it is to get no more."""
        self._numbers[self._base + CALLERS] = count

    def show_replica(self, fresh: float | None) -> None:
        """Say of which steady time all is on the replica; None if nobody knows."""
        self._numbers[self._base + REPLICA] = UNKNOWN if fresh is None else fresh

    def fewest_callers(self) -> float:
        """How many are connected to the living worker that has the fewest, of all others; infinitely many if alone."""
        bases = (part * PART for part in range(self.parts))
        others = [base for base in bases if base != self._base and self._numbers[base + ALIVE]]
        return min((self._numbers[base + CALLERS] for base in others), default=inf)

    def start_clock(self, now: float) -> int | None:
        """Say that a request has begun; returns what stops its clock, if there is one free."""
        try:
            clock = self._clocks.pop()
        except IndexError:
            return None
        self._numbers[self._base + clock] = now
        return clock

    def stop_clock(self, clock: int) -> None:
        """Say that the request of this clock has ended."""
        self._numbers[self._base + clock] = 0.0
        self._clocks.append(clock)

    def sums(self) -> dict[Key, list[float]]:
        """The numbers under each key, all parts added up."""
        found: dict[Key, list[float]] = {}
        for part in range(self.parts):
            for key, place, size in self._entries(part):
                numbers: list[float] = [*map(float, self._numbers[place : place + size])]
                found[key] = [*map(float.__add__, found[key], numbers)] if key in found else numbers
        return found

    def living(self) -> list[Worker]:
        """The workers that write at the moment."""
        heads = (self._numbers[part * PART : part * PART + HEAD].tolist() for part in range(self.parts))
        return [
            Worker(
                int(head[CONNECTIONS]), [*filter(None, head[CLOCKS:])],
                None if head[REPLICA] == UNKNOWN else head[REPLICA],
            )
            for head in heads if head[ALIVE]
        ]  # fmt: skip

    def _new(self, key: Key, size: int) -> int:
        """Make room under a key and return where; 0 if there is none left. Others see it only when it is whole."""
        text = json.dumps(key).encode()
        wide = -(-len(text) // NUMBER)
        used = int(self._numbers[self._base + USED])
        start = self._base + HEAD + used
        place = start + 2 + wide
        if place + size > self._base + PART:
            self._places[key] = 0
            return 0
        self._numbers[start], self._numbers[start + 1] = len(text), size
        self._memory[(start + 2) * NUMBER : (start + 2) * NUMBER + len(text)] = text
        for number in range(size):
            self._numbers[place + number] = 0.0
        self._numbers[self._base + USED] = used + 2 + wide + size
        self._places[key] = place
        return place

    def _entries(self, part: int) -> Iterator[tuple[Key, int, int]]:
        """Each key of a part, with the place and the count of its numbers."""
        at = part * PART + HEAD
        end = at + int(self._numbers[part * PART + USED])
        while at < end:
            length, size = int(self._numbers[at]), int(self._numbers[at + 1])
            text = self._memory[(at + 2) * NUMBER : (at + 2) * NUMBER + length]
            place = at + 2 - (-length // NUMBER)
            yield tuple(json.loads(text)), place, size
            at = place + size
