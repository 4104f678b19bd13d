"""Stages: where the versions of a model stand, and moves between them."""

from collections.abc import Collection
from typing import Unpack

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from registry.db import note, say
from registry.domain import access, lookup, model_versions, registered_models, tenures
from registry.domain.access import Principal
from registry.domain.model_versions import Locked, Registration
from registry.errors import Conflict, Invalid
from registry.facts import Moved
from registry.settled import Settled
from registry.tables import ModelVersion, RegisteredModel, StageInterval
from registry.vocabulary import Permission, Stage


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
    require_some_move(session, principal, name, to, number=number)
    check_archiving(to, archive_others=archive_others)
    held = model_versions.lock(session, name, number, and_in=to)
    require_move(session, principal, name, Stage(held.version.stage), to)
    check_expected(session, held.model, to, held.standing, expected)
    make_way = held.standing if archive_others else []
    require_making_way(principal, held, to, make_way)
    return move(session, held, to, make_way=make_way)


def require_some_move(
    session: Session, principal: Principal, name: str, to: Stage, *, number: int | None = None
) -> None:
    """Go on only if the principal may move versions to a stage, from wherever that may be.

    :raises Forbidden: it may not.
    :raises NotFound: it may not even read the model.
    """
    if not access.may(session, principal, Permission.PROMOTE, name, stage_to=to):
        least = Permission.PROMOTE if to is Stage.PRODUCTION else Permission.TRANSITION
        access.require(session, principal, least, name, number=number, stage_to=to)


def require_move(session: Session, principal: Principal, name: str, start: Stage, to: Stage) -> None:
    """Go on only if the principal may move a version from one stage to the other.

    :raises Forbidden: it may not.
    :raises ModelNotFound: it may not even read the model.
    """
    permission = Permission.PROMOTE if Stage.PRODUCTION in {start, to} else Permission.TRANSITION
    access.require(session, principal, permission, name, stage_from=start, stage_to=to)


def require_making_way(principal: Principal, held: Locked, stage: Stage, make_way: Collection[int]) -> None:
    """Go on unless the principal is denied to archive those who make way; to be allowed the move itself is enough.

    :raises Forbidden: it is denied that.
    """
    if any(number != held.version.number for number in make_way):
        permission = Permission.PROMOTE if stage is Stage.PRODUCTION else Permission.TRANSITION
        access.require_no_denial(principal, permission, held.model.name, stage_from=stage, stage_to=Stage.ARCHIVED)


def move(session: Session, held: Locked, to: Stage, *, make_way: Collection[int]) -> ModelVersion:
    """Archive those of stage `to` who make way, then let the version take its place; all at one time."""
    mine = {"model_id": held.model.id, "instant": held.instant}
    for number in make_way:  # who makes way is written down before who comes
        if number != held.version.number:
            note(session, Moved(to, Stage.ARCHIVED))
            say(session, MOVE, number=number, stage=Stage.ARCHIVED, **mine)
    if held.version.stage != to:
        note(session, Moved(Stage(held.version.stage), to))
    say(session, MOVE, number=held.version.number, stage=to, **mine)
    held.version.__dict__.update(stage=str(to), updated_at=held.instant)
    registered_models.touch(session, held.model, held.instant)
    return held.version


def rollback(
    session: Session, principal: Principal, name: str, stage: Stage, *, expected: Collection[int] | None = None
) -> ModelVersion:
    """Give a stage back to the version that held it before; all that stand there now go to Archived.

    An empty stage goes back to its last holder. A second rollback returns to where the first one came from.

    :raises Forbidden: the principal may not move versions into this stage.
    :raises Invalid: not a stage that versions make way in.
    :raises ModelNotFound: no such model.
    :raises Conflict: nobody held it before, the one who did stands in Production, or others than the `expected` ones
        stand in the stage.
    """
    require_some_move(session, principal, name, stage)
    check_rollback(stage)
    held = registered_models.lock(session, name)
    standing = standing_in(session, held.model.id, stage)
    check_expected(session, held.model, stage, standing, expected)
    number = previous_holder(session, held.model, stage, standing)
    version = lookup.find_version(session, name, number)
    if version.stage == Stage.PRODUCTION:
        raise Conflict(
            f"Stage {stage} of '{name}' was held before by version {number}, which stands in Production now: "
            "a rollback does not take it from there. Move a version to the stage by a transition instead."
        )
    require_move(session, principal, name, Stage(version.stage), stage)
    coming = Locked(version, held.model, held.instant)
    require_making_way(principal, coming, stage, standing)
    return move(session, coming, stage, make_way=standing)


def check_rollback(stage: Stage) -> None:
    """:raises Invalid: only where versions make way for one another there is somebody to go back to."""
    if not stage.is_active:
        active = " and ".join(stage for stage in Stage if stage.is_active)
        raise Invalid(f"Stage {stage} has no holder to go back to: only {active} can be rolled back.", "stage")


def previous_holder(session: Session, model: RegisteredModel, stage: Stage, standing: Collection[int]) -> int:
    """The number whose tenure of a stage began last before that of its holders, of those who could hold it again.

    :raises Conflict: there is none.
    """
    tenure = StageInterval
    here = (tenure.model_id == model.id) & (tenure.stage == stage)
    latest = select(func.max(tenure.since)).where(here, tenure.until.is_(None), tenure.number.in_(standing))
    own = (ModelVersion.model_id == tenure.model_id) & (ModelVersion.number == tenure.number)
    question = select(tenure.number).join(ModelVersion, own)
    question = question.where(here, ModelVersion.deleted_at.is_(None), ModelVersion.stage != stage)
    if standing:
        question = question.where(tenure.since < latest.scalar_subquery())
    number = session.scalar(question.order_by(tenure.since.desc(), tenure.number.desc()).limit(1))
    if number is None:
        raise Conflict(
            f"Stage {stage} of '{model.name}' has no previous holder to go back to: no version that could stand there "
            "again did so before. Move a version there by a transition instead."
        )
    return number


def register(
    session: Session,
    principal: Principal,
    name: str,
    *,
    stage: Stage | None,
    archive_others: bool = False,
    expected: Collection[int] | None = None,
    **origin: Unpack[Registration],
) -> ModelVersion:
    """Register a version and, where a stage is given, move it there at once: by the rules of both, and both or neither.

    :raises Forbidden: the principal may not register versions, or may not move them to this stage.
    :raises Invalid: something of the version is not right, or others do not make way for this stage.
    :raises NotFound: no such model, or the source names a version that does not exist.
    :raises Conflict: other versions than the expected ones stand in the stage.
    """
    if stage is None:
        return model_versions.create(session, principal, name, **origin)
    require_move(session, principal, name, Stage.NONE, stage)
    check_archiving(stage, archive_others=archive_others)
    number = model_versions.create(session, principal, name, **origin).number
    return transition(session, principal, name, number, stage, archive_others=archive_others, expected=expected)


def check_archiving(to: Stage, *, archive_others: bool) -> None:
    """:raises Invalid: versions make way only in Staging and in Production."""
    if archive_others and not to.is_active:
        active = [str(stage) for stage in Stage if stage.is_active]
        raise Invalid(
            f"Model version transition cannot archive existing model versions because '{to}' is not an Active stage. "
            f"Valid stages are {active}",
            "archive_existing_versions",
        )


def standing_in(session: Session, model_id: int, stage: Stage) -> list[int]:
    """The numbers of the live versions of a model in a stage."""
    return list(session.scalars(STANDING, {"model_id": model_id, "stage": stage}))


def check_expected(
    session: Session,
    model: RegisteredModel,
    stage: Stage,
    standing: Collection[int],
    expected: Collection[int] | None,
) -> None:
    """:raises Conflict: others than those expected stand in a stage; it says who, since when and by whom."""
    if expected is None or {*standing} == {*expected}:
        return
    found = tenures.present(session, model.id, stage)
    held_by = ", ".join(map(str, found)) or "no version"
    wanted = ", ".join(f"version {number}" for number in sorted(expected)) or "no version"
    raise Conflict(f"Stage {stage} of '{model.name}' is held by {held_by}; expected was {wanted}.", holders=found)


STANDING = lookup.settled(
    select(ModelVersion.number)
    .where(
        ModelVersion.model_id == bindparam("model_id"),
        ModelVersion.stage == bindparam("stage"),
        ModelVersion.deleted_at.is_(None),
    )
    .order_by(ModelVersion.number)
)
MOVE = Settled(
    update(ModelVersion)
    .where(ModelVersion.model_id == bindparam("model_id"), ModelVersion.number == bindparam("number"))
    .values(stage=bindparam("stage"), updated_at=bindparam("instant"))
)
