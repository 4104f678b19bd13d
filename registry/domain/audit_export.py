"""The audit log in full, batch by batch, for whoever takes it away: in constant memory and with nothing held open.

Batches go on behind the last event by key, as pages do, each with a question and a session of its own. A cursor of
the database would be little faster (most of the time goes into writing the answer), and it would hold a connection and
a snapshot for as long as the reader takes, until the limits on statements and idle transactions cut it off.

That is exact all the same. Events are never changed or removed, so that none is met twice or passed over; and all that
were committed when the export began have a number up to the highest one of then, which is where it ends, however
much is written meanwhile.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Select, bindparam, func, select, true
from sqlalchemy.orm import Session

from registry.domain import access, audit, checkpoints, paging, visible
from registry.domain.access import Principal
from registry.domain.audit import Events, Question
from registry.domain.lookup import settled
from registry.domain.paging import Key
from registry.tables import AuditCheckpoint, AuditEvent, AuditSeal
from registry.vocabulary import Permission

T = TypeVar("T")
Present = Callable[[Session, Events], T]
"""What becomes of a batch of events."""
Another = Callable[[], AbstractContextManager[Session]]
"""Opens a session for one question."""
BATCH = 250
"""Events that are in memory at once. Ten times as many take ten times the memory and are hardly faster."""


@dataclass(frozen=True, slots=True)
class Export:
    """What is taken away: which events, in which order, and how many at most (None: all)."""

    rows: Select[AuditEvent]
    keys: list[Key]
    limit: int | None

    def behind(self, session: Session, last: list[int] | None, taken: int) -> list[AuditEvent]:
        """The events that follow the last one, when so many were taken already."""
        rows = self.rows if last is None else self.rows.where(paging.after(self.keys, last))
        size = BATCH if self.limit is None else min(BATCH, self.limit - taken)
        return list(session.scalars(rows.order_by(*(key.clause for key in self.keys)).limit(size)))


def export(
    session: Session,
    another: Another,
    principal: Principal,
    question: Question,
    present: Present[T],
    *,
    newest_first: bool = False,
    limit: int | None = None,
) -> Iterator[T]:
    """Every event of the question that is in the log now, batch by batch, each as `present` makes it.

    The first one is read at once, so that what has to be refused is refused before anything was sent; for each other
    one `another` opens a session when its turn comes.

    :raises Forbidden: the principal may not read the log.
    :raises Invalid: a version without its model.
    :raises ModelNotFound: no model ever had this name.
    """
    rows = audit.matching(session, principal, question).where(AuditEvent.id <= highest(session))
    wanted = Export(rows, audit.ordered(newest_first), limit)
    events = wanted.behind(session, None, 0)
    shown = present(session, events)
    return batches(wanted, shown, [audit.place(event) for event in events], another, present)


def highest(session: Session) -> int:
    """The number of the latest event; 0 in an empty log."""
    return session.scalar(select(func.max(AuditEvent.id))) or 0


def batches(wanted: Export, shown: T, places: list[list[int]], another: Another, present: Present[T]) -> Iterator[T]:
    """The first batch, which is there already, with the places of its events; then all that follow."""
    taken = 0
    while places:
        yield shown
        taken += len(places)
        with another() as session:
            events = wanted.behind(session, places[-1], taken)
            places = [audit.place(event) for event in events]
            shown = present(session, events)


def signed(
    session: Session, another: Another, principal: Principal
) -> tuple[AuditCheckpoint, Iterator[Sequence[str]]] | None:
    """The latest checkpoint and the lines of all the events it covers, in the order of positions, batch by batch.

    None where nothing was signed yet.

    :raises Forbidden: there may be models that the principal may not read.
    """
    access.require(session, principal, Permission.READ)
    visible.require_all(principal, "The whole log")
    checkpoint = checkpoints.latest(session)
    return None if checkpoint is None else (checkpoint, lines(checkpoint.size, another))


def lines(size: int, another: Another) -> Iterator[Sequence[str]]:
    """The lines of the first `size` positions."""
    for start in range(0, size, BATCH):
        end = min(start + BATCH, size)
        with another() as session:
            batch = list(session.scalars(LINES, {"start": start, "end": end}))
        if len(batch) != end - start:
            raise RuntimeError(f"The log lacks events that were sealed between positions {start} and {end}.")
        yield batch


def lines_between() -> Select[str]:
    """The question for the lines from position `:start` up to before `:end`: one index look-up for each."""
    here = (AuditSeal.position >= bindparam("start")) & (AuditSeal.position < bindparam("end"))
    places = select(AuditSeal.position, AuditSeal.event_id).where(here).order_by(AuditSeal.position).limit(BATCH)
    place = places.subquery("place")
    event = select(AuditEvent.body).where(AuditEvent.id == place.c.event_id).limit(1).lateral("event")
    return select(event.c.body).select_from(place).join(event, true()).order_by(place.c.position)


LINES = settled(lines_between())
