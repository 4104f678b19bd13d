"""A streaming replica, which answers what may be a moment old, as long as it is known to be no older than that.

How old it is is measured without anybody's clock: about once a second each process asks the primary how far its log
(WAL) reaches, and the replica how much of that it has replayed. What the replica has reached, the primary had by the
moment in which it was asked: so old its answers are at most, on an idle primary too, whose last change may be of
yesterday. That the two have one history is seen from the audit log: the last event of each has to be in the other one,
with its hash. A standby that still follows the server of before a failover so ends as too old.

About the past the answer must not change any more. A change counts from the instant on that its event bears, and is
committed later, so what was committed by now says little about a moment ago. Everything up to a moment is final once
all transactions that were under way at it have ended, and the replica has replayed that: the horizon.

Where it fails, the primary answers in its place, statement by statement: going on there goes forward in time.
"""

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from registry.config import Settings, database_url
from registry.db import ASKING, at_once, engine_options, is_lost, looked_after

LOOKS_PER_BOUND = 4
LONGEST_PAUSE_SECONDS = 1.0
TRIES, PAUSE_SECONDS = 3, 0.02
"""How often, and after which pause, a replica is asked whether it has come to where the primary has just been."""
SAMPLES = 50
RECEIPT = re.compile(r"([a-z_]{1,40}:[!-.0-~]{1,200})/([0-9]{1,18})/([0-9a-f]{64})")
RECEIPTS_MAX = 16
PAGE_HEADERS = (24, 40)
"""Bytes; a place just behind the header of a page of WAL is where the page before it ends."""
LOG = logging.getLogger("registry.replica")
Answer = TypeVar("Answer")

CLOCK = text("SELECT clock_timestamp()")
# The lock that each transaction has on its own number, while it lasts: the only list of them that everybody may read.
UNDER_WAY = text(
    "SELECT transactionid::text FROM pg_locks WHERE locktype = 'transactionid' AND granted AND mode = 'ExclusiveLock'"
)
REACHED = text(
    "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint, current_setting('wal_block_size')::int"
)
NUMBERED = text("SELECT pg_current_xact_id()")
REPLAYED = text("SELECT pg_is_in_recovery(), pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint")
LAST_EVENT = text("SELECT id, encode(hash, 'hex') FROM audit.event ORDER BY id DESC LIMIT 1")
HAS = text("SELECT encode(hash, 'hex') = :hash FROM audit.event WHERE id = :id")
HAS_ALL = text(
    "SELECT count(*) FROM unnest(CAST(:streams AS text[]), CAST(:seqs AS bigint[]), CAST(:hashes AS text[])) "
    'AS r (stream, seq, hash) JOIN audit.event e ON e.stream = r.stream COLLATE "C" AND e.seq = r.seq '
    "AND encode(e.hash, 'hex') = r.hash"
)


class State(StrEnum):
    """What becomes of reads that the replica may answer."""

    USED = "used"
    """It answers them: it is no older than the settings allow."""
    BEHIND = "behind"
    """The primary answers them: the replica is older, or has not been looked at yet."""
    AWAY = "away"
    """The primary answers them: the replica does not answer, or is none."""


class NoReplica(Exception):
    """It answers, but it is no replica of our primary."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the audit log by its number, and its hash."""

    id: int
    hash: str


@dataclass(frozen=True, slots=True)
class Sample:
    """The primary at a moment.

    `seen` is that moment on our own steady clock, seconds, `time` on the primary's clock. All that was committed by
    then stands in its log before `reached`, bytes; `under_way` are the transactions that had not ended.
    """

    seen: float
    time: datetime
    under_way: frozenset[str]
    last: Event | None
    reached: int


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the replica.

    It has all that the primary had committed at `fresh`, on our steady clock; None: nobody knows. What bears a time up
    to `horizon` is there, and final. `why`: what keeps it from being used, if anything.
    """

    fresh: float | None = None
    horizon: datetime | None = None
    why: str | None = None


class Replica:
    """The replica of one process. It is looked at in a thread, from the first question about it on.

    Not `watched`, it is looked at by who calls `look()`. `show` is told of which steady time all is there, or None, as
    often as that is found out.
    """

    def __init__(
        self, settings: Settings, *, watched: bool = True, show: Callable[[float | None], None] = lambda _: None
    ) -> None:
        if settings.replica_url is None:
            raise ValueError("there is none")
        options = engine_options(settings)
        self.bound = settings.replica_max_lag_seconds
        self.engine = cast("Engine", at_once(looked_after(create_engine(settings.replica_url, **options))))
        apart = options | {"pool_size": 1}  # so that looks wait for no request, and no request for them
        self._primary = looked_after(create_engine(database_url(settings), **apart))
        self._standby = looked_after(create_engine(settings.replica_url, **apart))
        self._threaded, self._show = watched, show
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """Begin anew: a forked process has none of these threads, and its copy of the lock may be held for ever."""
        self._lock = threading.Lock()
        self._started = not self._threaded
        self._known = Known()
        self._samples: list[Sample] = []

    # What may be read from it

    def known(self) -> Known:
        """What is known of it at the moment."""
        if not self._started:
            self._start()
        return self._known

    def lag(self) -> float | None:
        """How old its answers are at most, seconds; None where nobody knows."""
        fresh = self.known().fresh
        return None if fresh is None else time.monotonic() - fresh

    def state(self) -> State:
        """Whether it is used."""
        lag = self.lag()
        if lag is not None and lag <= self.bound:
            return State.USED
        return State.AWAY if self._known.why else State.BEHIND

    def is_final(self, at: datetime) -> bool:
        """Whether it has all that will ever bear a time up to this one."""
        horizon = self.known().horizon
        return horizon is not None and at <= horizon

    def has(self, receipts: str) -> bool:
        """Whether it has all events of an `Audit-Receipt`; false also where it cannot be asked, or of nonsense."""
        found = [RECEIPT.fullmatch(receipt.strip()) for receipt in receipts.split(",")]
        named = [one.groups() for one in found if one]
        if len(named) < len(found) or len(named) > RECEIPTS_MAX:
            return False
        given = dict(zip(("streams", "seqs", "hashes"), map(list, zip(*named, strict=True)), strict=True))
        try:
            with self.engine.connect() as connection:
                return bool(connection.scalar(HAS_ALL, given) == len(named))
        except (DBAPIError, PoolTimeoutError) as error:
            self.lose(error)
            return False

    def lose(self, error: Exception) -> None:
        """Use it no more until it was looked at again, unless what failed was a single question."""
        if isinstance(error, DBAPIError) and is_lost(error):
            self._away(error)

    def _away(self, error: Exception) -> None:
        with self._lock:
            self._note(Known(None, self._known.horizon, reason_of(error)))

    # Looking at it

    def _start(self) -> None:
        with self._lock:
            if self._started:
                return
            self._started = True
        threading.Thread(target=self.run, name="replica", daemon=True).start()

    def run(self, pause: Callable[[float], object] = time.sleep) -> None:
        """Look at it for ever; `pause` returns something true to end it."""
        while True:
            self.look()
            if pause(min(LONGEST_PAUSE_SECONDS, self.bound / LOOKS_PER_BOUND)):
                return

    def look(self) -> None:
        """Find out how old it is. While the primary cannot be asked, what is known grows old by itself."""
        try:
            with self._primary.connect() as connection:
                sample = sampled(connection)
        except SQLAlchemyError:
            return
        try:
            reached, theirs = self._compare(self._sampled(sample))
        except (SQLAlchemyError, NoReplica) as error:
            self._away(error)
            return
        if reached is not self._samples[-1] and is_at_rest(self._samples):
            self._stir()
        if reached is not None and self._is_ours(theirs):
            horizon = horizon_at(reached, self._samples)
            with self._lock:
                self._note(Known(reached.seen, later(self._known.horizon, horizon)))

    def _stir(self) -> None:
        """Have the primary send what it has written down without a COMMIT; nobody else may commit for a long time.

        A transaction that has a number and does nothing leaves a record of its end, and with that goes all before it.
        """
        with suppress(SQLAlchemyError), self._primary.begin() as connection:
            connection.execute(NUMBERED)

    def _sampled(self, sample: Sample) -> list[Sample]:
        """The samples with one more. Where the primary's clock went back, what was final need not be so any more."""
        if self._samples and sample.time < self._samples[-1].time:
            self._samples = []
            with self._lock:
                self._known = Known(self._known.fresh, None, self._known.why)
        self._samples = [*self._samples[-SAMPLES:], sample]
        return self._samples

    def _compare(self, samples: list[Sample]) -> tuple[Sample | None, Event | None]:
        """The latest sample that the replica has reached, and the last event that it has.

        :raises NoReplica: it is no standby, or has not what the primary had.
        """
        with self._standby.connect() as connection:
            for _ in range(TRIES):
                standing_by, replayed = connection.execute(REPLAYED).one()
                if not standing_by:
                    raise NoReplica("it is no standby")
                if replayed is not None and replayed >= samples[-1].reached:
                    break
                time.sleep(PAUSE_SECONDS)
            reached = next((each for each in reversed(samples) if each.reached <= (replayed or 0)), None)
            if reached and reached.last and not has(connection, reached.last):
                raise NoReplica("it has another audit log than the primary")
            return reached, last_event(connection)

    def _is_ours(self, last: Event | None) -> bool:
        """Whether the primary has the replica's last event; for a moment it may not show yet what it has sent."""
        if last is None:
            return True
        try:
            with self._primary.connect() as connection:
                return has(connection, last)
        except SQLAlchemyError:
            return False

    def _note(self, known: Known) -> None:
        """Take note, and say so where that changes anything. The lock is held."""
        if known.why and not self._known.why:
            LOG.warning("the replica is not used, because %s; the primary answers in its place", known.why)
        elif self._known.why and not known.why:
            LOG.info("the replica is used again")
        self._known = known
        self._show(known.fresh)


class Reading(Session):
    """A session that asks the replica and, once that has failed, the primary. What was read by then stays in it."""

    def __init__(self, replica: Replica, primary: Engine) -> None:
        super().__init__()
        self._replica, self._primary = replica, primary
        self._source = primary if replica.known().fresh is None else replica.engine
        self.failed = False
        self.info[ASKING] = self._asked

    def another(self) -> "Reading":
        """A session like this one, for later. Where this one has come to the primary, that begins there: never back."""
        later = Reading(self._replica, self._primary)
        if self._source is self._primary:
            later._source = self._primary
        return later

    def get_bind(self, *_: Any, **__: Any) -> Engine:
        """Who is asked at the moment."""
        return self._source

    def execute(self, *args: Any, **options: Any) -> Any:
        """Execute a question."""
        return self._asked(super().execute, *args, **options)

    def scalar(self, *args: Any, **options: Any) -> Any:
        """Ask for one value."""
        return self._asked(super().scalar, *args, **options)

    def scalars(self, *args: Any, **options: Any) -> Any:
        """Ask for one value of each row."""
        return self._asked(super().scalars, *args, **options)

    def leave(self) -> None:
        """End it. What was read stays readable; a connection that breaks only now takes nothing away."""
        self.expunge_all()
        try:
            self.close()
        except DBAPIError:
            self.invalidate()

    def _asked(self, ask: Callable[..., Answer], *args: Any, **options: Any) -> Answer:
        try:
            return ask(*args, **options)
        except (DBAPIError, PoolTimeoutError) as error:
            if self._source is self._primary:
                raise
            self._replica.lose(error)
            self._source, self.failed = self._primary, True
            return ask(*args, **options)


def sampled(connection: Connection) -> Sample:
    """The primary now. The order counts: who began before `time` is under way or has ended, and then in the log."""
    seen = time.monotonic()
    now = connection.scalars(CLOCK).one()
    under_way = frozenset(connection.scalars(UNDER_WAY))
    last = last_event(connection)
    reached, page = connection.execute(REACHED).one()
    return Sample(seen, now, under_way, last, end_of_log(reached, page))


def is_at_rest(samples: Sequence[Sample]) -> bool:
    """Whether nothing was written to the primary's log from one look to the next."""
    return len(samples) > 1 and samples[-1].reached == samples[-2].reached


def end_of_log(reached: int, page: int) -> int:
    """Where the last record ends: a log that ends with a page goes on behind the header of the next one."""
    return reached - reached % page if reached % page in PAGE_HEADERS else reached


def last_event(connection: Connection) -> Event | None:
    """The last event of the log that a server has; None in an empty one."""
    row = connection.execute(LAST_EVENT).one_or_none()
    return None if row is None else Event(*row)


def has(connection: Connection, event: Event) -> bool:
    """Whether a server has this event."""
    return bool(connection.scalar(HAS, {"id": event.id, "hash": event.hash}))


def horizon_at(reached: Sample, samples: Sequence[Sample]) -> datetime | None:
    """Up to when all is final for who has reached a sample: the latest one of whose transactions none was left then."""
    before = [each for each in samples if each.seen <= reached.seen and not each.under_way & reached.under_way]
    return before[-1].time if before else None


def later(one: datetime | None, other: datetime | None) -> datetime | None:
    """The later one of two times that may be lacking: what is final once stays so."""
    return max(one, other) if one and other else one or other


def reason_of(error: Exception) -> str:
    """Why something failed, in a line and without SQL."""
    lines = str(getattr(error, "orig", error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__
