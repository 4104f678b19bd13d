"""The moves of one version, as the audit log has them: registered, transitioned, deleted, restored, purged."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, bindparam, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from registry.domain import access, lookup, names, paging, principals
from registry.domain.access import Principal
from registry.domain.paging import EPOCH, MICROSECOND, Key, Page
from registry.domain.principals import Actor
from registry.errors import VersionNotFound
from registry.tables import AuditEvent, PrivateText, StageInterval
from registry.vocabulary import Action, Permission, Stage

COMING = (Action.VERSION_CREATE, Action.VERSION_RESTORE)
GOING = (Action.VERSION_DELETE, Action.VERSION_PURGE)
MOVES = (*COMING, Action.VERSION_TRANSITION, *GOING)


@dataclass(frozen=True, slots=True)
class Move:
    """A version went from one stage to another.

    It came from nowhere (None) if it was registered or restored by this
    move, and went nowhere if it was deleted or purged; `action` says which.
    """

    number: int
    action: str
    before: Stage | None
    after: Stage | None
    at: datetime
    by: Actor
    reason: str | None
    request_id: str


def search(
    session: Session, principal: Principal, name: str, number: int, *, limit: int, token: str | None = None
) -> Page[Move]:
    """The moves of a version, newest first; also of one that was deleted since.

    :raises Forbidden: the principal may not read the model.
    :raises Invalid: the token is not one of this question.
    :raises ModelNotFound: no such model.
    :raises VersionNotFound: the model never had this version.
    """
    access.require(session, principal, Permission.READ, name)
    model_id = lookup.find_model(session, name).id
    if not 1 <= number <= names.HIGHEST_NUMBER:
        raise VersionNotFound(name, number)
    keys = [Key(AuditEvent.at_us, descending=True), Key(AuditEvent.id, descending=True)]
    mark = paging.fingerprint("transitions", model_id, number)
    question = EVENTS.limit(limit + 1)
    if token:
        question = question.where(paging.after(keys, paging.decode(token, mark, keys)))
    rows = list(session.execute(question, {"model_id": model_id, "number": number}))
    if not rows and not token:
        raise VersionNotFound(name, number)
    page = paging.cut(rows, limit, mark, lambda row: [row[0].at_us, row[0].id])
    called = principals.names_of(session, {event.actor for event, *_ in page.items})
    return Page([move(row, called) for row in page.items], page.next_token)


def events() -> Select[AuditEvent, str, str, str]:
    """The question for the moves of version `:number` of `:model_id`, with the stages they ended and began."""
    left, entered = aliased(StageInterval), aliased(StageInterval)
    reason = and_(PrivateText.event_id == AuditEvent.id, PrivateText.field == "reason")
    return (
        select(AuditEvent, left.stage, entered.stage, PrivateText.content)
        .outerjoin(left, interval(left.model_id, left.number, left.closed_seq))
        .outerjoin(entered, interval(entered.model_id, entered.number, entered.opened_seq))
        .outerjoin(PrivateText, reason)
        .where(
            AuditEvent.model_id == bindparam("model_id"),
            AuditEvent.number == bindparam("number"),
            AuditEvent.action.in_(MOVES),
        )
        .order_by(AuditEvent.at_us.desc(), AuditEvent.id.desc())
    )


def interval(
    model_id: InstrumentedAttribute[int], number: InstrumentedAttribute[int], seq: InstrumentedAttribute[Any]
) -> Any:
    """The condition that joins an event to the interval that it closed or opened."""
    return and_(model_id == AuditEvent.model_id, number == AuditEvent.number, seq == AuditEvent.seq)


def move(row: Any, called: dict[str, str]) -> Move:
    """An event as a move. Where it says nothing of stages, the intervals do that it ended or began."""
    event, left, entered, reason = row
    was, becomes = json.loads(event.body)["changes"].get("stage", [None, None])
    before = {Action.VERSION_TRANSITION: was, **dict.fromkeys(GOING, left)}.get(event.action)
    after = None if event.action in GOING else becomes or entered
    return Move(
        number=event.number,
        action=event.action,
        before=before and Stage(before),
        after=after and Stage(after),
        at=EPOCH + event.at_us * MICROSECOND,
        by=Actor(event.actor, called.get(event.actor, event.actor)),
        reason=reason,
        request_id=event.request_id,
    )


EVENTS = events()
