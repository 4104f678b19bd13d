"""The trash: what was deleted, on its way back or out for good. Only administrators come here, and find only what they
may read.

A purge removes the rows, each with its audit event. What stays is the log itself, who stood where when, and the row of
a purged model, so that its numbers are never given again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, and_, bindparam, cast, delete, func, literal, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from registry.db import take_time
from registry.domain import access, lookup, names, paging, principals, registered_models, visible
from registry.domain.access import Principal
from registry.domain.paging import Key, Page
from registry.domain.principals import Actor
from registry.domain.registered_models import Locked, ModelDetail
from registry.errors import AlreadyExists, Conflict, NotInTrash
from registry.tables import (
    Alias,
    AuditEvent,
    Comment,
    Grant,
    ModelVersion,
    ModelVersionTag,
    PrivateText,
    RegisteredModel,
    RegisteredModelTag,
)
from registry.vocabulary import Action, Permission, Stage

MICROSECONDS = 1_000_000  # of a second
PURGE_TIMEOUT_MS = 600_000
"""A purge writes an event for every row, and nobody waits for a model that is deleted: it may take its time."""
BELONGINGS = (Comment, Alias, ModelVersionTag)  # what hangs on a version, and goes before it


@dataclass(frozen=True, slots=True)
class TrashedModel:
    """A deleted model, and how many versions would come back with it."""

    model: RegisteredModel
    versions: int
    deleted_by: Actor | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class TrashedVersion:
    """A deleted version of a model that is still there."""

    version: ModelVersion
    name: str
    deleted_by: Actor | None
    reason: str | None


def models(session: Session, principal: Principal, *, limit: int, token: str | None = None) -> Page[TrashedModel]:
    """The deleted models that were not purged, latest deleted first.

    :raises Forbidden: the principal is no administrator.
    :raises Invalid: the token is not one of this question.
    """
    access.require(session, principal, Permission.ADMINISTER)
    keys = [Key(RegisteredModel.deleted_at, descending=True), Key(RegisteredModel.id, descending=True)]
    page = paged(session, deleted_models().where(*visible.models(principal)), keys, limit, token)
    return Page(shown_models(session, page.items), page.next_token)


def versions(session: Session, principal: Principal, *, limit: int, token: str | None = None) -> Page[TrashedVersion]:
    """The deleted versions of live models, latest deleted first.

    :raises Forbidden: the principal is no administrator.
    :raises Invalid: the token is not one of this question.
    """
    access.require(session, principal, Permission.ADMINISTER)
    columns = (ModelVersion.deleted_at, ModelVersion.model_id, ModelVersion.number)
    keys = [Key(column, descending=True) for column in columns]
    page = paged(session, deleted_versions().where(*visible.models(principal)), keys, limit, token)
    return Page(shown_versions(session, page.items), page.next_token)


def get_model(session: Session, principal: Principal, model_id: int) -> TrashedModel:
    """One deleted model that was not purged.

    :raises Forbidden: the principal is no administrator.
    :raises NotInTrash: no deleted model of this id.
    """
    access.require(session, principal, Permission.ADMINISTER)
    found = []
    if 1 <= model_id < 2**63:
        this = (RegisteredModel.id == model_id, *visible.models(principal))
        found = list(session.execute(deleted_models().where(*this)))
    if not found:
        raise NotInTrash(f"There is no model with id {model_id} in the trash.")
    return shown_models(session, found)[0]


def get_version(session: Session, principal: Principal, model_id: int, number: int) -> TrashedVersion:
    """One deleted version of a live model.

    :raises Forbidden: the principal is no administrator.
    :raises NotInTrash: no deleted version of this number, or its model is deleted as well.
    """
    access.require(session, principal, Permission.ADMINISTER)
    found = []
    if 1 <= model_id < 2**63 and 1 <= number <= names.HIGHEST_NUMBER:
        this = (ModelVersion.model_id == model_id) & (ModelVersion.number == number)
        found = list(session.execute(deleted_versions().where(this, *visible.models(principal))))
    if not found:
        raise NotInTrash(f"There is no deleted version {number} of the model with id {model_id} in the trash.")
    return shown_versions(session, found)[0]


def hold(session: Session, principal: Principal, model_id: int) -> None:
    """Keep others from restoring or purging a model, or a version of it, for as long as this transaction goes on.

    :raises Forbidden: the principal is no administrator.
    :raises NotInTrash: no such model, or it was purged.
    """
    access.require(session, principal, Permission.ADMINISTER)
    lock(session, principal, model_id)


def shown_models(session: Session, rows: Sequence[Any]) -> list[TrashedModel]:
    """Rows of `deleted_models` with the names of those who deleted them."""
    actors = actors_of(session, rows)
    return [TrashedModel(row[0], row[3], actors.get(row[1]), row[2]) for row in rows]


def shown_versions(session: Session, rows: Sequence[Any]) -> list[TrashedVersion]:
    """Rows of `deleted_versions` with the names of those who deleted them."""
    actors = actors_of(session, rows)
    return [TrashedVersion(row[0], row[3], actors.get(row[1]), row[2]) for row in rows]


def paged(
    session: Session, question: Select[*tuple[Any, ...]], keys: list[Key], limit: int, token: str | None
) -> Page[Any]:
    """One page of a question, in the order of these keys."""
    mark = paging.fingerprint("trash", *(str(key.column) for key in keys))
    if token:
        question = question.where(paging.after(keys, paging.decode(token, mark, keys)))
    rows = list(session.execute(question.order_by(*(key.clause for key in keys)).limit(limit + 1)))
    return paging.cut(rows, limit, mark, lambda row: [getattr(row[0], key.column.key) for key in keys])


def actors_of(session: Session, rows: Sequence[Any]) -> dict[str, Actor]:
    """Who deleted what these rows are about, by id."""
    ids = {row[1] for row in rows if row[1] is not None}
    called = principals.names_of(session, ids)
    return {one: Actor(one, called.get(one, one)) for one in ids}


def deleted_models() -> Select[*tuple[Any, ...]]:
    """The question for deleted models, with the event of the deletion and the number of versions."""
    model = RegisteredModel
    mine = (ModelVersion.model_id == model.id) & ModelVersion.deleted_at.is_(None)
    count = select(func.count()).select_from(ModelVersion).where(mine).scalar_subquery()
    event = deletion(Action.MODEL_DELETE, model.id, model.deleted_at)
    question = select(model, AuditEvent.actor, PrivateText.content, count)
    return with_event(question, event).where(model.deleted_at.is_not(None), model.purged_at.is_(None))


def deleted_versions() -> Select[*tuple[Any, ...]]:
    """The question for deleted versions of live models, with the event of the deletion."""
    version = ModelVersion
    event = deletion(Action.VERSION_DELETE, version.model_id, version.deleted_at)
    question = select(version, AuditEvent.actor, PrivateText.content, RegisteredModel.name)
    question = with_event(question.join(version.model), event & (AuditEvent.number == version.number))
    return question.where(version.deleted_at.is_not(None), RegisteredModel.deleted_at.is_(None))


def with_event(question: Select[*tuple[Any, ...]], event: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    """A question with the event of this condition and its reason."""
    reason = and_(PrivateText.event_id == AuditEvent.id, PrivateText.field == "reason")
    return question.outerjoin(AuditEvent, event).outerjoin(PrivateText, reason)


def deletion(
    action: Action, model_id: InstrumentedAttribute[int], deleted_at: InstrumentedAttribute[datetime | None]
) -> ColumnElement[bool]:
    """The condition that finds the event of a deletion: it bears the same time."""
    moment = cast(func.extract("epoch", deleted_at) * MICROSECONDS, BigInteger)
    return and_(AuditEvent.model_id == model_id, AuditEvent.at_us == moment, AuditEvent.action == action)


def restore_model(session: Session, principal: Principal, model_id: int, *, name: str | None = None) -> ModelDetail:
    """Bring a deleted model back as it was, with its versions, tags and aliases; under another name if one is given.

    :raises Forbidden: the principal is no administrator, or may not register models under the name.
    :raises Invalid: the name is not right.
    :raises NotInTrash: no deleted model of this id.
    :raises AlreadyExists: the name is taken by now.
    """
    access.require(session, principal, Permission.ADMINISTER)
    if name is not None:
        names.check_model_name(name)
        access.require_name(session, principal, Permission.REGISTER, name)
    held = lock(session, principal, model_id)
    if held.model.deleted_at is None:
        raise NotInTrash(f"The model with id {model_id} is not deleted: it is called '{held.model.name}'.")
    wanted = name or held.model.name
    take_back(session, held, wanted)
    # Read once the name is held: nobody else can give numbers under it now.
    held.model.last_number = max(held.model.last_number, registered_models.numbers_used(session, wanted))
    session.flush()
    return registered_models.detail(session, wanted)


def take_back(session: Session, held: Locked, name: str) -> None:
    """Undo the deletion of a row; the unique index decides who has the name."""
    try:
        with session.begin_nested():
            held.model.name = name
            held.model.deleted_at = None
            held.model.updated_at = held.instant
    except IntegrityError:
        raise AlreadyExists(
            f"Registered Model (name={name}) already exists. Give the restored one another name with 'name'."
        ) from None


def restore_version(session: Session, principal: Principal, model_id: int, number: int) -> ModelVersion:
    """Bring a deleted version back, without its aliases.

    It stands where it stood. But a restore is no promotion: one deleted in Staging or Production comes back Archived.

    :raises Forbidden: the principal is no administrator.
    :raises NotInTrash: no deleted version of this number.
    :raises Conflict: its model is deleted as well.
    """
    access.require(session, principal, Permission.ADMINISTER)
    held = lock(session, principal, model_id)
    version = find_deleted(session, held.model, number)
    if held.model.deleted_at is not None:
        raise Conflict(
            f"Version {number} cannot be restored by itself: its model '{held.model.name}' is deleted too. "
            f"Restore the model with id {model_id} first."
        )
    if Stage(version.stage).is_active:
        version.stage = Stage.ARCHIVED
    version.deleted_at = None
    version.updated_at = held.model.updated_at = held.instant
    session.flush()
    return lookup.find_version(session, held.model.name, number)


def purge_model(session: Session, principal: Principal, model_id: int) -> None:
    """Remove a deleted model and everything under it for good. Its row stays as a tombstone, without its description.

    :raises Forbidden: the principal is no administrator.
    :raises NotInTrash: no deleted model of this id.
    """
    access.require(session, principal, Permission.ADMINISTER)
    held = lock(session, principal, model_id)
    if held.model.deleted_at is None:
        raise NotInTrash(f"The model '{held.model.name}' is not deleted: only what is in the trash can be purged.")
    take_time(session, PURGE_TIMEOUT_MS)
    for table in (*BELONGINGS, RegisteredModelTag, Grant, ModelVersion):
        remove(session, table, table.model_id == model_id)
    held.model.description = None
    held.model.purged_at = held.model.updated_at = held.instant
    session.flush()


def purge_version(session: Session, principal: Principal, model_id: int, number: int) -> None:
    """Remove a deleted version for good, with its tags and comments.

    :raises Forbidden: the principal is no administrator.
    :raises NotInTrash: no deleted version of this number.
    """
    access.require(session, principal, Permission.ADMINISTER)
    held = lock(session, principal, model_id)
    find_deleted(session, held.model, number)
    take_time(session, PURGE_TIMEOUT_MS)
    for table in (*BELONGINGS, ModelVersion):
        remove(session, table, (table.model_id == model_id) & (table.number == number))
    held.model.updated_at = held.instant
    session.flush()


def remove(session: Session, table: Any, which: ColumnElement[bool]) -> None:
    """One statement, however many rows; the session may go on knowing rows that are gone, but nobody asks it."""
    session.execute(delete(table).where(which), execution_options={"synchronize_session": False})


def find_deleted(session: Session, model: RegisteredModel, number: int) -> ModelVersion:
    """:raises NotInTrash: no version of this number, or it is not deleted itself."""
    version = session.get(ModelVersion, (model.id, number)) if 1 <= number <= names.HIGHEST_NUMBER else None
    if version is None or version.deleted_at is None:
        raise NotInTrash(f"There is no deleted version {number} of '{model.name}' in the trash.")
    return version


def lock(session: Session, principal: Principal, model_id: int) -> Locked:
    """Lock the row of a model by its id, deleted or not, and read the clock under that lock.

    :raises NotInTrash: no such model that the principal may read, or it was purged.
    """
    row = session.execute(HELD, {"id": model_id}).one_or_none() if 1 <= model_id < 2**63 else None
    if row is None or not visible.is_there(session, principal, model_id):
        raise NotInTrash(f"There is no model with id {model_id} in the trash.")
    return Locked(*row)


def held_model() -> Select[RegisteredModel, datetime]:
    """The question that locks the model with id `:id` and then, under that lock, reads the clock of its stream."""
    wanted = (RegisteredModel.id == bindparam("id")) & RegisteredModel.purged_at.is_(None)
    held = select(RegisteredModel).where(wanted).with_for_update(key_share=True).cte("held")
    question = select(aliased(RegisteredModel, held), func.audit.instant(literal("model:").concat(held.c.id)))
    return question.execution_options(populate_existing=True)


HELD = lookup.settled(held_model())
