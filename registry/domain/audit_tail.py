"""Following the log by position: no event is missed and none comes twice, however late its transaction commits.

The sealer gives positions in batches, without gaps, each batch a transaction after the one before: whoever sees a
position sees all below it. So a reader that asks for what lies behind the last position it has seen needs no clock and
waits for no foreign transaction.
"""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry.domain import audit
from registry.domain.access import Principal
from registry.domain.audit import Entry, Question
from registry.errors import Conflict
from registry.tables import AuditEvent, AuditSeal

BEFORE_THE_FIRST = -1


@dataclass(frozen=True, slots=True)
class Tail:
    """Events in the order of their positions; `after`: the position to go on behind, past what did not match, too."""

    items: list[Entry]
    after: int


def head(session: Session) -> int:
    """The highest position that is given; -1 where nothing is sealed."""
    highest = session.scalar(select(func.max(AuditSeal.position)))
    return BEFORE_THE_FIRST if highest is None else highest


def read(session: Session, principal: Principal, question: Question, *, after: int, limit: int) -> Tail:
    """Sealed events that stand behind a position and match, `limit` at most.

    :raises Forbidden: the principal may not read the log.
    :raises Invalid: a version without its model.
    :raises ModelNotFound: no model ever had this name.
    :raises Conflict: the log does not reach to this position.
    """
    rows = audit.matching(session, principal, question)
    last = head(session)
    if after > last:
        raise Conflict(
            f"The log ends at position {last}, before {after}: it was restored from a backup since, or this is "
            "another registry. Begin again from a position that it has; -1 is before the first."
        )
    if after == last:
        return Tail([], after)
    sealed = rows.join(AuditSeal, AuditSeal.event_id == AuditEvent.id)
    behind = sealed.where(AuditSeal.position > after, AuditSeal.position <= last)
    events = list(session.scalars(behind.order_by(AuditSeal.position).limit(limit)))
    entries = audit.entries(session, events)
    return Tail(entries, last if len(entries) < limit else position_of(entries[-1]))


def position_of(entry: Entry) -> int:
    """The position of a sealed event."""
    if entry.position is None:
        raise RuntimeError(f"Event {entry.event.id} had a position a moment ago.")
    return entry.position
