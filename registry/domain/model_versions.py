"""Model versions: the builds of a registered model, numbered by the registry."""

from dataclasses import dataclass
from datetime import datetime
from typing import NotRequired, TypedDict

from sqlalchemy import delete as sql_delete
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from registry.db import settings_of
from registry.domain import access, lookup, names, registered_models, sources
from registry.domain.access import Principal
from registry.errors import ModelNotFound, VersionNotFound
from registry.tables import Alias, ModelVersion, ModelVersionTag, RegisteredModel
from registry.vocabulary import Permission, Stage


@dataclass(frozen=True, slots=True)
class Locked:
    """A version of a model whose row this transaction holds, and the instant that all its changes share."""

    version: ModelVersion
    model: RegisteredModel
    instant: datetime


class Amendment(TypedDict, total=False):
    """What becomes different; what is not in it stays."""

    description: str | None


class Registration(TypedDict):
    """What `create` is told of a version."""

    source: str
    run_id: NotRequired[str | None]
    run_link: NotRequired[str]
    description: NotRequired[str | None]
    logged_model_id: NotRequired[str | None]
    digest: NotRequired[str | None]
    tags: dict[str, str]


def get(session: Session, principal: Principal, name: str, number: int) -> ModelVersion:
    """One version with its tags and aliases.

    :raises Forbidden: the principal may not read it.
    :raises VersionNotFound: no such version, or no such model.
    """
    access.require(session, principal, Permission.READ, name, number=number)
    return lookup.find_version(session, name, number)


def lock(session: Session, name: str, number: int) -> Locked:
    """Lock the row of the model, then read the version.

    :raises VersionNotFound: no such version, or no such model.
    """
    try:
        held = registered_models.lock(session, name)
    except ModelNotFound:
        raise VersionNotFound(name, number) from None
    return Locked(lookup.find_version(session, name, number), held.model, held.instant)


def create(
    session: Session,
    principal: Principal,
    name: str,
    *,
    source: str,
    run_id: str | None = None,
    run_link: str = "",
    description: str | None = None,
    logged_model_id: str | None = None,
    digest: str | None = None,
    tags: dict[str, str],
) -> ModelVersion:
    """Register one more version of a model, in stage None, with the next number.

    `digest` is kept as it is given, never computed; without it, a copy has that of the version it is a copy of.

    :raises Forbidden: the principal may not register versions of it.
    :raises Invalid: source, a text, the digest or a tag is not right.
    :raises NotFound: no such model, or the source names a version that does not exist.
    """
    access.require(session, principal, Permission.REGISTER, name)
    check_texts(run_id, run_link, description, tags)
    names.check_digest(digest)
    is_prompt = tags.get(names.PROMPT_TAG, "").lower() == "true"
    asked = sources.Asked(source, run_id, logged_model_id, is_prompt, digest)
    origin = sources.accept(session, principal, asked, settings_of(session))
    held = registered_models.lock(session, name)
    number = held.model.last_number + 1
    held.model.last_number = number
    held.model.updated_at = held.instant
    version = ModelVersion(
        model_id=held.model.id,
        number=number,
        stage=Stage.NONE,
        source=origin.source,
        run_id=origin.run_id,
        run_link=run_link,
        storage_location=origin.storage_location,
        logged_model_id=origin.logged_model_id,
        digest=digest or origin.digest,
        description=description,
        created_at=held.instant,
        updated_at=held.instant,
        created_by=principal.id,
    )
    version.tags = [ModelVersionTag(key=key, value=value) for key, value in sorted(tags.items())]
    session.add(version)
    session.flush()  # what the database has to say against it, it says now
    set_committed_value(version, "model", held.model)
    set_committed_value(version, "aliases", [])
    return version


def check_texts(run_id: str | None, run_link: str, description: str | None, tags: dict[str, str]) -> None:
    """:raises Invalid: one of them is too long or otherwise not right."""
    names.check_text("run_id", run_id, names.RUN_ID_MAX)
    names.check_text("run_link", run_link, names.RUN_LINK_MAX)
    names.check_text("description", description, names.DESCRIPTION_MAX)
    names.check_tags(tags)


def describe(session: Session, principal: Principal, name: str, number: int, description: str | None) -> ModelVersion:
    """Replace the description of a version.

    :raises Forbidden: the principal may not describe it.
    :raises Invalid: the description is too long.
    :raises VersionNotFound: no such version.
    """
    access.require(session, principal, Permission.DESCRIBE, name, number=number)
    names.check_text("description", description, names.DESCRIPTION_MAX)
    held = lock(session, name, number)
    held.version.description = description
    held.version.updated_at = held.instant
    session.flush()
    return held.version


def amend(session: Session, principal: Principal, name: str, number: int, amendment: Amendment) -> ModelVersion:
    """Change what is given of a version; nothing given, nothing changed.

    :raises Forbidden: the principal may not describe it.
    :raises Invalid: the description is too long.
    :raises VersionNotFound: no such version.
    """
    if "description" in amendment:
        return describe(session, principal, name, number, amendment["description"])
    return get(session, principal, name, number)


def delete(session: Session, principal: Principal, name: str, number: int) -> None:
    """Take a version off every face, and its aliases with it. Its row stays; its number is not given again.

    One in Production leaves it with that, which takes the right to have it do so.

    :raises Forbidden: the principal may not delete it.
    :raises VersionNotFound: no such version.
    """
    access.require(session, principal, Permission.DELETE, name, number=number)
    held = lock(session, name, number)
    if held.version.stage == Stage.PRODUCTION:
        access.require(session, principal, Permission.PROMOTE, name, number=number, stage_from=Stage.PRODUCTION)
    session.execute(sql_delete(Alias).where(Alias.model_id == held.model.id, Alias.number == number))
    held.version.deleted_at = held.instant
    held.version.updated_at = held.instant
    held.model.updated_at = held.instant


def download_uri(session: Session, principal: Principal, name: str, number: int) -> str:
    """Where the files of a version are: the location resolved at registration, or else the source as it was given.

    :raises Forbidden: the principal may not read it.
    :raises VersionNotFound: no such version.
    """
    version = get(session, principal, name, number)
    return version.storage_location or version.source
