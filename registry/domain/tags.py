"""Tags: keys with values, on registered models and on model versions. They move no timestamp (MLflow's rule)."""

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from registry.domain import access, model_versions, names, registered_models
from registry.domain.access import Principal
from registry.tables import ModelVersionTag, RegisteredModelTag
from registry.vocabulary import Permission


def set_on_model(session: Session, principal: Principal, name: str, key: str, value: str) -> None:
    """Set one tag of a registered model, or replace its value.

    :raises Forbidden: the principal may not tag it.
    :raises Invalid: key or value is not right.
    :raises ModelNotFound: no such model.
    """
    access.require(principal, Permission.DESCRIBE, name)
    names.check_tag(key, value)
    model = registered_models.lock(session, name).model
    row = insert(RegisteredModelTag).values(model_id=model.id, key=key, value=value)
    session.execute(row.on_conflict_do_update(constraint="pk_registered_model_tags", set_={"value": value}))


def unset_on_model(session: Session, principal: Principal, name: str, key: str) -> None:
    """Remove one tag of a registered model; removing one that is not there changes nothing.

    :raises Forbidden: the principal may not tag it.
    :raises Invalid: the key is not right.
    :raises ModelNotFound: no such model.
    """
    access.require(principal, Permission.DESCRIBE, name)
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
    access.require(principal, Permission.DESCRIBE, name)
    names.check_tag(key, value)
    version = model_versions.lock(session, name, number).version
    row = insert(ModelVersionTag).values(model_id=version.model_id, number=number, key=key, value=value)
    session.execute(row.on_conflict_do_update(constraint="pk_model_version_tags", set_={"value": value}))


def unset_on_version(session: Session, principal: Principal, name: str, number: int, key: str) -> None:
    """Remove one tag of a model version; removing one that is not there changes nothing.

    :raises Forbidden: the principal may not tag it.
    :raises Invalid: the key is not right.
    :raises VersionNotFound: no such version.
    """
    access.require(principal, Permission.DESCRIBE, name)
    names.check_tag_key(key)
    version = model_versions.lock(session, name, number).version
    mine = (ModelVersionTag.model_id == version.model_id) & (ModelVersionTag.number == number)
    session.execute(delete(ModelVersionTag).where(mine, ModelVersionTag.key == key))
