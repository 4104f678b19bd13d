"""Registered models: the named lines of model versions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from sqlalchemy import BigInteger, bindparam, func, inspect, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, make_transient_to_detached, selectinload
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.util import identity_key

from registry.db import ask, say, settings_of
from registry.domain import access, heads, labels, lookup, names
from registry.domain.access import Principal
from registry.errors import AlreadyExists, ModelNotFound
from registry.settled import Settled
from registry.tables import (
    Alias,
    ModelVersion,
    NameInterval,
    RegisteredModel,
    RegisteredModelTag,
)
from registry.tables import Grant as GrantRow
from registry.tables import Principal as PrincipalRow
from registry.vocabulary import Effect, Permission, Stage


@dataclass(frozen=True, slots=True)
class Locked:
    """A registered model whose row this transaction holds, and the instant that all its changes share.

    The model is as it was read: to change it, see `entered` or a statement of its own.
    """

    model: RegisteredModel
    instant: datetime


@dataclass(frozen=True, slots=True)
class ModelDetail:
    """A registered model with the newest version of each stage."""

    model: RegisteredModel
    latest_versions: list[ModelVersion]


class Amendment(TypedDict, total=False):
    """What becomes different; what is not in it stays."""

    name: str
    description: str | None


def lock(session: Session, name: str) -> Locked:
    """Lock the row of a model, so that changes under it take turns, and read the clock under that lock.

    :raises ModelNotFound: no such model.
    """
    names.check_addressable(name)
    rows = ask(session, lookup.HELD, name=name)
    if not rows:
        raise ModelNotFound(name)
    model, instant = lookup.HELD.read(rows[0])
    return Locked(model, instant)


def entered(session: Session, model: RegisteredModel) -> RegisteredModel:
    """The same model, for this session to write down what is changed in it."""
    there: RegisteredModel | None = session.identity_map.get(identity_key(instance=model))
    if there is None:
        make_transient_to_detached(model)
        session.add(model)
        return model
    for column in inspect(RegisteredModel).column_attrs:
        set_committed_value(there, column.key, model.__dict__[column.key])
    return there


def touch(session: Session, model: RegisteredModel, instant: datetime) -> None:
    """Note when something under a model changed last."""
    say(session, TOUCH, id=model.id, instant=instant)
    model.__dict__["updated_at"] = instant


def hold(session: Session, principal: Principal, name: str) -> None:
    """Keep others from changing a model, or anything under it, for as long as this transaction goes on.

    :raises Forbidden: the principal may not even read it.
    :raises ModelNotFound: no such model.
    """
    access.require(session, principal, Permission.READ, name)
    lock(session, name)


def get(session: Session, principal: Principal, name: str) -> ModelDetail:
    """One model with its tags, aliases and newest versions.

    :raises Forbidden: the principal may not read it.
    :raises ModelNotFound: no such model.
    """
    access.require(session, principal, Permission.READ, name)
    return detail(session, name)


def detail(session: Session, name: str) -> ModelDetail:
    """What `get` answers, for a caller that has just been allowed to change the model."""
    names.check_addressable(name)
    rows = ask(session, lookup.LABELLED, name=name)
    if not rows:
        raise ModelNotFound(name)
    *found, head = lookup.LABELLED.read(rows[0])
    model = labels.labelled_model(found)
    heads.note(session, f"model:{model.id}", head)
    return ModelDetail(model, lookup.newest(session, [model], list(Stage)))


def latest_versions(
    session: Session, principal: Principal, name: str, stages: Sequence[Stage] = tuple(Stage)
) -> list[ModelVersion]:
    """The newest version in each of these stages; nothing for a stage that is empty.

    :raises Forbidden: the principal may not read it.
    :raises ModelNotFound: no such model.
    """
    access.require(session, principal, Permission.READ, name)
    return lookup.newest_of(session, name, stages)


def create(
    session: Session, principal: Principal, name: str, *, description: str | None = None, tags: dict[str, str]
) -> ModelDetail:
    """Register a name; whoever does owns the model from then on.

    :raises Forbidden: the principal may not register models.
    :raises Invalid: name, description or a tag is not right.
    :raises AlreadyExists: the name is taken, by a model or by a prompt.
    """
    access.require_name(session, principal, Permission.REGISTER, name)
    names.check_model_name(name)
    names.check_text("description", description, names.DESCRIPTION_MAX)
    names.check_tags(tags)
    refuse_taken(session, name, is_prompt=names.PROMPT_TAG in tags)
    model_id = insert_model(session, principal, name, description)
    if model_id is None:
        raise AlreadyExists(f"Registered Model (name={name}) already exists.")
    used = numbers_used(session, name)  # read once the name is held: nobody else can give numbers under it now
    if used:
        session.execute(update(RegisteredModel).where(RegisteredModel.id == model_id).values(last_number=used))
    own(session, principal, model_id)
    session.add_all(RegisteredModelTag(model_id=model_id, key=key, value=value) for key, value in tags.items())
    session.flush()  # so that the answer reads what was written
    return detail(session, name)


def insert_model(
    session: Session, principal: Principal, name: str, description: str | None, *, born: datetime | None = None
) -> int | None:
    """Insert the row, at the instant of its new stream; None if another transaction has just taken the name.

    `born` is when it was made first, if that was elsewhere.
    """
    model_id = session.scalar(text("SELECT nextval(pg_get_serial_sequence('registry.registered_models', 'id'))"))
    instant = session.scalar(select(func.audit.instant(f"model:{model_id}")))
    row = insert(RegisteredModel).values(
        id=model_id,
        name=name,
        description=description or None,
        created_at=born or instant,
        updated_at=instant,
        created_by=principal.id,
    )
    row = row.on_conflict_do_nothing(
        index_elements=[RegisteredModel.name], index_where=RegisteredModel.deleted_at.is_(None)
    )
    return session.scalar(row.returning(RegisteredModel.id))


def own(session: Session, principal: Principal, model_id: int) -> None:
    """Give the owner's grant on a model to the principal; the operator and the anonymous need none."""
    number = access.number_of(principal)
    if number is None:
        return
    holder = select(
        PrincipalRow.id,
        literal(Effect.ALLOW.value),
        literal(access.OWNER),
        literal(model_id, BigInteger),
        literal(principal.id),
    )
    columns = [GrantRow.principal_id, GrantRow.effect, GrantRow.role, GrantRow.model_id, GrantRow.created_by]
    session.execute(insert(GrantRow).from_select(columns, holder.where(PrincipalRow.id == number)))


def numbers_used(session: Session, name: str) -> int:
    """The highest version number that any model gave while it had this name, so that none is ever used twice."""
    if settings_of(session).version_numbers == "restart":
        return 0
    used = (
        select(func.max(RegisteredModel.last_number))
        .join(NameInterval, NameInterval.model_id == RegisteredModel.id)
        .where(NameInterval.name == name)
    )
    return session.scalar(used) or 0


def refuse_taken(session: Session, name: str, *, is_prompt: bool) -> None:
    """:raises AlreadyExists: a live model or prompt has this name; the text says which."""
    model = session.scalar(
        lookup.live_models().where(RegisteredModel.name == name).options(selectinload(RegisteredModel.tags))
    )
    if model is None:
        return
    held_by_prompt = any(tag.key == names.PROMPT_TAG for tag in model.tags)
    if held_by_prompt == is_prompt:
        raise AlreadyExists(f"{'Prompt' if is_prompt else 'Registered Model'} (name={name}) already exists.")
    new, old = ("prompt", "registered model") if is_prompt else ("registered model", "prompt")
    raise AlreadyExists(
        f"Tried to create a {new} with name '{name}', but the name is already taken by a {old}. "
        "MLflow does not allow creating a model and a prompt with the same name."
    )


def rename(session: Session, principal: Principal, name: str, new_name: str) -> ModelDetail:
    """Give a model another name. Versions, tags, aliases and numbers stay; nothing leads from the old name.

    :raises Forbidden: the principal may not rename it, or not to this name, or not with what comes along.
    :raises Invalid: the new name is not right.
    :raises ModelNotFound: no such model.
    :raises AlreadyExists: the new name is taken.
    """
    require_rename(session, principal, name, new_name)
    names.check_model_name(new_name, "new_name")
    give_name(session, principal, name, new_name)
    return detail(session, new_name)


def require_rename(session: Session, principal: Principal, name: str, new_name: str) -> None:
    """Go on only if the principal may rename the model, and may rename or register one under the new name.

    :raises Forbidden: it may not.
    :raises ModelNotFound: it may not even read the model.
    """
    access.require(session, principal, Permission.RENAME, name)
    if not access.may(session, principal, Permission.RENAME, new_name):
        access.require_name(session, principal, Permission.REGISTER, new_name)


def require_bringing(session: Session, principal: Principal, model: RegisteredModel, new_name: str) -> None:
    """Go on only if the principal may have under the new name what comes along with the model.

    Else what was promoted under one name could be brought into Production under another one, where somebody else says
    what may stand there.

    :raises Forbidden: a version stands in Production or has an alias, and the principal may not see to that there.
    """
    if has_production(session, model):
        access.require_name(session, principal, Permission.PROMOTE, new_name, stage_to=Stage.PRODUCTION)
    if session.scalar(select(Alias.alias).where(Alias.model_id == model.id).limit(1)) is not None:
        access.require_name(session, principal, Permission.ALIAS, new_name)


def has_production(session: Session, model: RegisteredModel) -> bool:
    """Whether a version of the model stands in Production."""
    here = (
        ModelVersion.model_id == model.id,
        ModelVersion.stage == Stage.PRODUCTION,
        ModelVersion.deleted_at.is_(None),
    )
    return session.scalar(select(ModelVersion.number).where(*here).limit(1)) is not None


def give_name(session: Session, principal: Principal, name: str, new_name: str) -> None:
    """Rename a model, for a caller that may.

    :raises Forbidden: it may not bring what stands in Production, or has aliases, under the new name.
    :raises ModelNotFound: no such model.
    :raises AlreadyExists: the new name is taken.
    """
    held = lock(session, name)
    model = entered(session, held.model)
    model.updated_at = held.instant
    if new_name != name:
        require_bringing(session, principal, model, new_name)
        take_name(session, model, new_name)
        # Read once the name is held: nobody else can give numbers under it now.
        model.last_number = max(model.last_number, numbers_used(session, new_name))
    touched = update(ModelVersion).where(ModelVersion.model_id == model.id).values(updated_at=held.instant)
    session.execute(touched, execution_options={"synchronize_session": False})
    session.flush()


def take_name(session: Session, model: RegisteredModel, new_name: str) -> None:
    """Rename the row; the unique index decides who has the name, also between two transactions."""
    try:
        with session.begin_nested():
            model.name = new_name
    except IntegrityError:
        raise AlreadyExists(f"Registered Model (name={new_name}) already exists.") from None


def describe(session: Session, principal: Principal, name: str, description: str | None) -> ModelDetail:
    """Replace the description; None or an empty one clears it.

    :raises Forbidden: the principal may not describe it.
    :raises Invalid: the description is too long.
    :raises ModelNotFound: no such model.
    """
    access.require(session, principal, Permission.DESCRIBE, name)
    names.check_text("description", description, names.DESCRIPTION_MAX)
    give_description(session, name, description)
    return detail(session, name)


def give_description(session: Session, name: str, description: str | None) -> None:
    """Describe a model, for a caller that may.

    :raises ModelNotFound: no such model.
    """
    held = lock(session, name)
    model = entered(session, held.model)
    model.description = description or None
    model.updated_at = held.instant
    session.flush()


def amend(session: Session, principal: Principal, name: str, amendment: Amendment) -> ModelDetail:
    """Rename and describe a model in one go. The name it has already is no new one, and needs no right.

    :raises Forbidden: the principal may not rename it, or may not describe it; nothing is done by halves.
    :raises Invalid: the new name is not right, or the description is too long.
    :raises ModelNotFound: no such model.
    :raises AlreadyExists: the new name is taken.
    """
    new_name = amendment.get("name", name)
    access.require(session, principal, Permission.READ, name)
    if new_name != name:
        require_rename(session, principal, name, new_name)
    if "description" in amendment:
        access.require(session, principal, Permission.DESCRIBE, name)
        names.check_text("description", amendment["description"], names.DESCRIPTION_MAX)
    if new_name != name:
        names.check_model_name(new_name)
        give_name(session, principal, name, new_name)
    if "description" in amendment:
        give_description(session, new_name, amendment["description"])
    return detail(session, new_name)


def delete(session: Session, principal: Principal, name: str) -> None:
    """Take a model with all its versions off every face. Its rows stay; its version numbers are not given again.

    What stands in Production leaves it with that, which takes the right to have it do so.

    :raises Forbidden: the principal may not delete it.
    :raises ModelNotFound: no such model.
    """
    access.require(session, principal, Permission.DELETE, name)
    held = lock(session, name)
    if has_production(session, held.model):
        access.require(session, principal, Permission.PROMOTE, name, stage_from=Stage.PRODUCTION)
    model = entered(session, held.model)
    model.deleted_at = held.instant
    model.updated_at = held.instant


MINE = update(RegisteredModel).where(RegisteredModel.id == bindparam("id"))
TOUCH = Settled(MINE.values(updated_at=bindparam("instant")))
