"""Aliases: movable names for one version of a model."""

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from registry.domain import access, lookup, model_versions, names, registered_models
from registry.domain.access import Principal
from registry.errors import AliasNotFound, NoVersions
from registry.tables import Alias, ModelVersion
from registry.vocabulary import Permission


def set(session: Session, principal: Principal, name: str, alias: str, number: int) -> None:  # noqa: A001
    """Point an alias to a version; an alias that exists moves.

    :raises Forbidden: the principal may not set aliases.
    :raises Invalid: the alias is not right, or reserved.
    :raises VersionNotFound: no such version.
    """
    access.require(session, principal, Permission.ALIAS, name, number=number)
    names.check_new_alias(alias)
    model_id = model_versions.lock_key(session, name, number)
    row = insert(Alias).values(model_id=model_id, alias=alias, number=number)
    session.execute(
        row.on_conflict_do_update(constraint="pk_aliases", set_={"number": number}, where=Alias.number != number)
    )


def unset(session: Session, principal: Principal, name: str, alias: str) -> None:
    """Remove an alias; removing one that is not there changes nothing.

    :raises Forbidden: the principal may not unset aliases.
    :raises Invalid: the alias is not right.
    :raises ModelNotFound: no such model.
    """
    access.require(session, principal, Permission.ALIAS, name)
    names.check_alias(alias)
    model = registered_models.lock(session, name).model
    session.execute(delete(Alias).where(Alias.model_id == model.id, Alias.alias == alias))


def get(session: Session, principal: Principal, name: str, alias: str) -> ModelVersion:
    """The version that an alias names; `latest`, in any letter case, names the highest-numbered one.

    :raises Forbidden: the principal may not read the model.
    :raises Invalid: the alias is not right.
    :raises ModelNotFound: no such model.
    :raises AliasNotFound: no such alias.
    :raises NoVersions: `latest` of a model without versions.
    """
    access.require(session, principal, Permission.READ, name)
    names.check_alias(alias)
    latest = alias.lower() == "latest"
    version = lookup.shown(session, lookup.HIGHEST if latest else lookup.ALIASED, name=name, alias=alias)
    if version is not None:
        return version
    lookup.find_model(session, name)
    raise NoVersions(name) if latest else AliasNotFound(alias)


def all_of(session: Session, principal: Principal, name: str) -> dict[str, int]:
    """Every alias of a model with the number of the version that it names, by alias.

    :raises Forbidden: the principal may not read the model.
    :raises ModelNotFound: no such model.
    """
    access.require(session, principal, Permission.READ, name)
    model = lookup.find_model(session, name)
    rows = session.scalars(select(Alias).where(Alias.model_id == model.id).order_by(Alias.alias))
    return {row.alias: row.number for row in rows}
