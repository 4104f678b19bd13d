"""Stages: where the versions of a model stand, moves between them, and who stood where when."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, literal, select
from sqlalchemy.orm import Session, aliased

from registry.domain import access, lookup, model_versions, principals, references
from registry.domain.access import Principal
from registry.domain.principals import Actor
from registry.domain.references import during
from registry.errors import Conflict, Invalid
from registry.tables import AuditEvent, ModelVersion, PrivateText, RegisteredModel, StageInterval
from registry.vocabulary import Permission, Stage


@dataclass(frozen=True, slots=True)
class Tenure:
    """From when until when (None: it lasts) a version stood in a stage; who moved it there, and why."""

    number: int
    stage: Stage
    since: datetime
    until: datetime | None
    by: Actor
    reason: str | None
    ended_by: Actor | None


def transition(
    session: Session,
    principal: Principal,
    name: str,
    number: int,
    to: Stage,
    *,
    archive_others: bool = False,
    expected: Collection[int] | None = None,
) -> ModelVersion:
    """Move one version to the stage `to`; with `archive_others`, the versions that stand there go to Archived.

    Everything that moves gets one and the same time. `expected` names the versions that must stand in `to` before the
    move (none of them: an empty collection); None expects nothing.

    :raises Forbidden: the principal may not move versions of this model, or not into or out of Production.
    :raises Invalid: archiving was asked for with a stage that others do not make way for.
    :raises VersionNotFound: no such version.
    :raises Conflict: other versions than the expected ones stand in `to`.
    """
    access.require(principal, Permission.TRANSITION, name)
    check_archiving(to, archive_others=archive_others)
    held = model_versions.lock(session, name, number)
    if Stage.PRODUCTION in {to, held.version.stage}:
        access.require(principal, Permission.PROMOTE, name)
    holders = standing_in(session, held.model.id, to)
    if expected is not None and {holder.number for holder in holders} != {*expected}:
        raise Conflict(describe_holders(session, held.model, to, expected))
    for other in holders:
        if archive_others and other is not held.version:
            other.stage = Stage.ARCHIVED
            other.updated_at = held.instant
    session.flush()  # who makes way is written down before who comes
    held.version.stage = to
    held.version.updated_at = held.instant
    held.model.updated_at = held.instant
    session.flush()
    return held.version


def check_archiving(to: Stage, *, archive_others: bool) -> None:
    """:raises Invalid: versions make way only in Staging and in Production."""
    if archive_others and not to.is_active:
        active = [str(stage) for stage in Stage if stage.is_active]
        raise Invalid(
            f"Model version transition cannot archive existing model versions because '{to}' is not an Active stage. "
            f"Valid stages are {active}",
            "archive_existing_versions",
        )


def standing_in(session: Session, model_id: int, stage: Stage) -> list[ModelVersion]:
    """The live versions of a model in a stage, by number."""
    question = select(ModelVersion).where(
        ModelVersion.model_id == model_id, ModelVersion.stage == stage, ModelVersion.deleted_at.is_(None)
    )
    return list(session.scalars(question.order_by(ModelVersion.number)))


def describe_holders(session: Session, model: RegisteredModel, stage: Stage, expected: Collection[int]) -> str:
    """Say who stands in a stage, and since when, instead of those expected."""
    standing = select(StageInterval.number, StageInterval.since).where(
        StageInterval.model_id == model.id, StageInterval.stage == stage, StageInterval.until.is_(None)
    )
    rows = session.execute(standing.order_by(StageInterval.number))
    held_by = ", ".join(f"version {number} (since {since.isoformat()})" for number, since in rows) or "no version"
    wanted = ", ".join(f"version {number}" for number in sorted(expected)) or "no version"
    return f"Stage {stage} of '{model.name}' is held by {held_by}, not by {wanted} as expected."


def holders(
    session: Session, principal: Principal, name: str, stage: Stage, at: datetime | None = None
) -> list[Tenure]:
    """Who stands in a stage now, or stood there at a moment; the highest number first.

    :raises Forbidden: the principal may not read the model.
    :raises ModelNotFound: no such model now.
    """
    return tenures(session, principal, name, stage, at, everything=False)


def history(session: Session, principal: Principal, name: str, stage: Stage) -> list[Tenure]:
    """Who stood in a stage from when until when, the latest first.

    :raises Forbidden: the principal may not read the model.
    :raises ModelNotFound: no such model now.
    """
    return tenures(session, principal, name, stage, None, everything=True)


def tenures(
    session: Session, principal: Principal, name: str, stage: Stage, at: datetime | None, *, everything: bool
) -> list[Tenure]:
    """Intervals of a stage with the events that opened and closed them."""
    access.require(principal, Permission.READ, name)
    model_id = model_called(session, name, at)
    closing = aliased(AuditEvent)
    stream = func.concat(literal("model:"), StageInterval.model_id)
    reason = and_(PrivateText.event_id == AuditEvent.id, PrivateText.field == "reason")
    question = (
        select(StageInterval, AuditEvent.actor, PrivateText.content, closing.actor)
        .join(AuditEvent, and_(AuditEvent.stream == stream, AuditEvent.seq == StageInterval.opened_seq))
        .outerjoin(closing, and_(closing.stream == stream, closing.seq == StageInterval.closed_seq))
        .outerjoin(PrivateText, reason)
        .where(StageInterval.model_id == model_id, StageInterval.stage == stage)
        .order_by(StageInterval.since.desc(), StageInterval.number.desc())
    )
    if not everything:
        question = question.where(during(StageInterval.since, StageInterval.until, timed=at is not None))
    rows = session.execute(question, {"at": at}).all()
    called = principals.names_of(session, {actor for _, by, _, ended_by in rows for actor in (by, ended_by) if actor})

    def actor(one: str) -> Actor:
        return Actor(one, called.get(one, one))

    return [
        Tenure(
            row.number, Stage(row.stage), row.since, row.until, actor(by), why, actor(ended_by) if ended_by else None
        )
        for row, by, why, ended_by in rows
    ]


def model_called(session: Session, name: str, at: datetime | None) -> int:
    """The id of the model that has this name, or had it at a moment.

    :raises ModelNotFound: none.
    """
    if at is None:
        return lookup.find_model(session, name).id
    model_id = session.scalar(references.model_called(timed=True), {"name": name, "at": at})
    return model_id or lookup.find_model(session, name).id
