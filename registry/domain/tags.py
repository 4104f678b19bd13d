"""Tags: keys with values, on registered models and on model versions. They move no timestamp (MLflow's rule)."""

from collections.abc import Collection, Mapping
from typing import cast

from sqlalchemy import Table, bindparam, delete, select
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.orm import Session

from registry.db import say
from registry.domain import access, lookup, model_versions, names, registered_models
from registry.domain.access import Principal
from registry.errors import TagNotFound
from registry.settled import Settled
from registry.tables import Base, ModelVersionTag, RegisteredModelTag
from registry.vocabulary import Permission


def set_on_model(session: Session, principal: Principal, name: str, key: str, value: str) -> None:
    """Set one tag of a registered model, or replace its value.

    :raises Forbidden: the principal may not tag it.
    :raises Invalid: key or value is not right.
    :raises ModelNotFound: no such model.
    """
    access.require(session, principal, Permission.DESCRIBE, name)
    names.check_tag(key, value)
    model = registered_models.lock(session, name).model
    say(session, SET_ON_MODEL, model_id=model.id, key=key, value=value)


def unset_on_model(session: Session, principal: Principal, name: str, key: str) -> None:
    """Remove one tag of a registered model; removing one that is not there changes nothing.

    :raises Forbidden: the principal may not tag it.
    :raises Invalid: the key is not right.
    :raises ModelNotFound: no such model.
    """
    access.require(session, principal, Permission.DESCRIBE, name)
    names.check_tag_key(key)
    model = registered_models.lock(session, name).model
    mine = (RegisteredModelTag.model_id == model.id) & (RegisteredModelTag.key == key)
    session.execute(delete(RegisteredModelTag).where(mine))


def set_on_version(session: Session, principal: Principal, name: str, number: int, key: str, value: str) -> None:
    """Set one tag of a model version, or replace its value.

    :raises Forbidden: the principal may not tag it.
    :raises Invalid: key or value is not right.
    :raises VersionNotFound: no such version.
    """
    access.require(session, principal, Permission.DESCRIBE, name, number=number)
    names.check_tag(key, value)
    model_id = model_versions.lock_key(session, name, number)
    say(session, SET_ON_VERSION, model_id=model_id, number=number, key=key, value=value)


def unset_on_version(session: Session, principal: Principal, name: str, number: int, key: str) -> None:
    """Remove one tag of a model version; removing one that is not there changes nothing.

    :raises Forbidden: the principal may not tag it.
    :raises Invalid: the key is not right.
    :raises VersionNotFound: no such version.
    """
    access.require(session, principal, Permission.DESCRIBE, name, number=number)
    names.check_tag_key(key)
    model_id = model_versions.lock_key(session, name, number)
    mine = (ModelVersionTag.model_id == model_id) & (ModelVersionTag.number == number)
    session.execute(delete(ModelVersionTag).where(mine, ModelVersionTag.key == key))


def change(
    session: Session, principal: Principal, name: str, number: int | None, tags: Mapping[str, str | None]
) -> dict[str, str]:
    """Set and remove (None) several tags of a version, or of the model where `number` is None; answers all it has then.

    All or none; a tag that has its value already, and one to remove that is not there, change nothing.

    :raises Forbidden: the principal may not tag it.
    :raises Invalid: a key or a value is not right.
    :raises NotFound: no such model or version.
    """
    access.require(session, principal, Permission.DESCRIBE, name, number=number)
    given = {key: value for key, value in sorted(tags.items()) if value is not None}
    gone = [key for key in sorted(tags) if key not in given]
    names.check_tags(given)
    for key in gone:
        names.check_tag_key(key)
    if number is None:
        model_id = registered_models.lock(session, name).model.id
        write_on_model(session, model_id, given, gone)
    else:
        model_id = model_versions.lock_key(session, name, number)
        write_on_version(session, model_id, number, given, gone)
    return read(session, model_id, number)


def write_on_model(session: Session, model_id: int, given: Mapping[str, str], gone: Collection[str]) -> None:
    """One statement for all that is set, one for all that goes."""
    tag = RegisteredModelTag
    if gone:
        session.execute(delete(tag).where(tag.model_id == model_id, tag.key.in_(gone)))
    if given:
        row = insert(tag).values([{"model_id": model_id, "key": key, "value": value} for key, value in given.items()])
        row = row.on_conflict_do_update(constraint="pk_registered_model_tags", set_={"value": row.excluded.value})
        session.execute(row)


def write_on_version(
    session: Session, model_id: int, number: int, given: Mapping[str, str], gone: Collection[str]
) -> None:
    """One statement for all that is set, one for all that goes."""
    tag = ModelVersionTag
    if gone:
        session.execute(delete(tag).where(tag.model_id == model_id, tag.number == number, tag.key.in_(gone)))
    if given:
        mine = {"model_id": model_id, "number": number}
        row = insert(tag).values([mine | {"key": key, "value": value} for key, value in given.items()])
        row = row.on_conflict_do_update(constraint="pk_model_version_tags", set_={"value": row.excluded.value})
        session.execute(row)


def all_of(session: Session, principal: Principal, name: str, number: int | None) -> dict[str, str]:
    """Every tag of a version, or of the model where `number` is None, by key.

    :raises Forbidden: the principal may not read it.
    :raises NotFound: no such model or version.
    """
    access.require(session, principal, Permission.READ, name, number=number)
    return read(session, lookup.find_subject(session, name, number), number)


def get(session: Session, principal: Principal, name: str, number: int | None, key: str) -> str:
    """The value of one tag.

    :raises Forbidden: the principal may not read it.
    :raises Invalid: the key is not right.
    :raises NotFound: no such model, version or tag.
    """
    names.check_tag_key(key)
    found = all_of(session, principal, name, number)
    if key not in found:
        raise TagNotFound(key)
    return found[key]


def read(session: Session, model_id: int, number: int | None) -> dict[str, str]:
    """The tags of a version or a model as they are now."""
    if number is None:
        model = RegisteredModelTag
        rows = select(model.key, model.value).where(model.model_id == model_id)
    else:
        version = ModelVersionTag
        rows = select(version.key, version.value).where(version.model_id == model_id, version.number == number)
    return dict(sorted((key, value) for key, value in session.execute(rows)))


def setting(table: type[Base]) -> Insert:
    """The statement that sets a tag, with the columns of its table as parameters."""
    columns = cast("Table", table.__table__).columns
    row = insert(table).values({column.name: bindparam(column.name) for column in columns})
    return row.on_conflict_do_update(constraint=f"pk_{table.__tablename__}", set_={"value": row.excluded.value})


SET_ON_MODEL = Settled(setting(RegisteredModelTag))
SET_ON_VERSION = Settled(setting(ModelVersionTag))
