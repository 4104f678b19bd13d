"""Tenures: which version stood in a stage from when until when, who moved it there, and why."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, bindparam, func, literal, select
from sqlalchemy.orm import Session, aliased

from registry.domain import access, lookup, paging, principals, proofs, references, visible
from registry.domain.access import Principal
from registry.domain.paging import Key, Page
from registry.domain.principals import Actor
from registry.domain.proofs import Evidence, Named
from registry.domain.references import during
from registry.domain.times import rfc3339
from registry.tables import AuditEvent, PrivateText, StageInterval
from registry.vocabulary import Permission, Stage


@dataclass(frozen=True, slots=True)
class Tenure:
    """From when until when (None: it lasts) a version stood in a stage; who moved it there, and why.

    `event`: the audit event of that move, where a moment or a proof was asked for.
    """

    number: int
    stage: Stage
    since: datetime
    until: datetime | None
    by: Actor
    reason: str | None
    ended_by: Actor | None
    event: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Holder:
    """Who stands in a stage now, since when, and who moved it there."""

    version: int
    since: datetime
    by: Actor

    def __str__(self) -> str:
        return f"version {self.version} (since {rfc3339(self.since)}, by {self.by.name})"


def holders(
    session: Session,
    principal: Principal,
    name: str,
    stage: Stage,
    at: datetime | None = None,
    *,
    prove: bool = False,
) -> list[Tenure]:
    """Who stands in a stage now, or stood there at a moment; the highest number first.

    :raises Forbidden: the principal may not read the model.
    :raises ModelNotFound: no such model now.
    """
    access.require(session, principal, Permission.READ, name)
    then = during(StageInterval.since, StageInterval.until, timed=at is not None)
    rows = asked(session, model_called(session, principal, name, at), stage, INTERVALS.where(then), at)
    shown = tenures(session, rows)
    if at is None and not prove:
        return shown
    events = proofs.evidence(session, [Named(*row[4:]) for row in rows], prove=prove)
    return [replace(tenure, event=event) for tenure, event in zip(shown, events, strict=True)]


def present(session: Session, model_id: int, stage: Stage) -> list[Holder]:
    """Who stands in a stage now, by number."""
    standing = found(session, model_id, stage, INTERVALS.where(StageInterval.until.is_(None)))
    return sorted((Holder(one.number, one.since, one.by) for one in standing), key=lambda holder: holder.version)


def history(
    session: Session, principal: Principal, name: str, stage: Stage, *, limit: int, token: str | None = None
) -> Page[Tenure]:
    """Who stood in a stage from when until when, the latest first; purged versions too.

    :raises Forbidden: the principal may not read the model.
    :raises Invalid: the token is not one of this question.
    :raises ModelNotFound: no such model now.
    """
    access.require(session, principal, Permission.READ, name)
    model_id = lookup.find_model(session, name).id
    keys = [Key(StageInterval.since, descending=True), Key(StageInterval.number, descending=True)]
    mark = paging.fingerprint("history", model_id, stage)
    question = INTERVALS.limit(limit + 1)
    if token:
        question = question.where(paging.after(keys, paging.decode(token, mark, keys)))
    rows = found(session, model_id, stage, question)
    return paging.cut(rows, limit, mark, lambda tenure: [tenure.since, tenure.number])


def found(
    session: Session, model_id: int, stage: Stage, question: Select[*tuple[Any, ...]], at: datetime | None = None
) -> list[Tenure]:
    """What a question for intervals finds in a stage, with who opened and who closed them."""
    return tenures(session, asked(session, model_id, stage, question, at))


def asked(
    session: Session, model_id: int, stage: Stage, question: Select[*tuple[Any, ...]], at: datetime | None
) -> Sequence[Row[*tuple[Any, ...]]]:
    """The rows of a question for intervals in a stage."""
    return session.execute(question, {"model_id": model_id, "stage": stage, "at": at}).all()


def tenures(session: Session, rows: Sequence[Row[*tuple[Any, ...]]]) -> list[Tenure]:
    """Intervals with their events, as tenures."""
    actors = {actor for _, by, _, ended_by, *_ in rows for actor in (by, ended_by) if actor}
    called = principals.names_of(session, actors)

    def actor(one: str) -> Actor:
        return Actor(one, called.get(one, one))

    return [
        Tenure(
            row.number, Stage(row.stage), row.since, row.until, actor(by), why, actor(ended_by) if ended_by else None
        )
        for row, by, why, ended_by, *_ in rows
    ]


def intervals() -> Select[*tuple[Any, ...]]:
    """The question for the intervals of `:stage` of `:model_id`, latest first, with their events and the reason."""
    closing = aliased(AuditEvent)
    stream = func.concat(literal("model:"), StageInterval.model_id)
    reason = and_(PrivateText.event_id == AuditEvent.id, PrivateText.field == "reason")
    return (
        select(StageInterval, AuditEvent.actor, PrivateText.content, closing.actor, *proofs.NAMED)
        .join(AuditEvent, and_(AuditEvent.stream == stream, AuditEvent.seq == StageInterval.opened_seq))
        .outerjoin(closing, and_(closing.stream == stream, closing.seq == StageInterval.closed_seq))
        .outerjoin(PrivateText, reason)
        .where(StageInterval.model_id == bindparam("model_id"), StageInterval.stage == bindparam("stage"))
        .order_by(StageInterval.since.desc(), StageInterval.number.desc())
    )


def model_called(session: Session, principal: Principal, name: str, at: datetime | None) -> int:
    """The id of the model that has this name, or had it at a moment.

    :raises ModelNotFound: none.
    """
    if at is None:
        return lookup.find_model(session, name).id
    model_id = session.scalar(references.model_called(timed=True), {"name": name, "at": at})
    # By now it may have a name that is not for everybody.
    if model_id is None or not visible.is_there(session, principal, model_id):
        return lookup.find_model(session, name).id
    return model_id


INTERVALS = intervals()
