"""What comes from another registry: models and versions with the numbers and the times that they had there.

The log says what happened here: at the moment of the import, its actor made these rows. When they were made first is a
fact about the rows, and stands in them: `created_at` and `updated_at` are the original times. So lists and MLflow
clients show what they showed before, while questions about the past (`at=`, the history of stages, the log) begin with
the import: what was true before, nobody here has seen.

Everything can be brought again: what is here already stays as it is, whatever has become of it since.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session

from registry.db import settings_of
from registry.domain import access, model_versions, names, registered_models, sources
from registry.domain.access import Principal
from registry.domain.sources import Asked, Origin
from registry.errors import AlreadyExists, Conflict, Invalid
from registry.tables import Alias, ModelVersion, ModelVersionTag, RegisteredModel, RegisteredModelTag, StageInterval
from registry.vocabulary import Permission, Stage

LOGGED_MODEL = re.compile(r"models:/+(m-[0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Model:
    """A registered model as it was elsewhere."""

    name: str
    description: str | None
    tags: Mapping[str, str]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Version:
    """A model version as it was elsewhere; `storage_location` is where its files are, if that is not its source."""

    number: int
    stage: Stage
    source: str
    run_id: str
    run_link: str
    description: str | None
    tags: Mapping[str, str]
    storage_location: str | None
    created_at: datetime
    updated_at: datetime


def take_model(session: Session, principal: Principal, model: Model) -> bool:
    """Make a model as it was; False if an earlier import did.

    :raises Forbidden: the principal may not import.
    :raises Invalid: name, description or a tag is not right.
    :raises AlreadyExists: another model has the name, or this one was deleted here.
    :raises Conflict: versions of an earlier model of the name have its numbers.
    """
    access.require_name(session, principal, Permission.ADMINISTER, model.name)
    names.check_model_name(model.name)
    check_texts(model.description, model.tags)
    if is_here(session, model):
        return False
    used = registered_models.numbers_used(session, model.name)
    if used:
        raise Conflict(
            f"Numbers up to {used} were given under the name '{model.name}' before, and none is used twice. Import "
            "with REGISTRY_VERSION_NUMBERS=restart to give them again."
        )
    born = model.created_at
    model_id = registered_models.insert_model(session, principal, model.name, model.description, born=born)
    if model_id is None:
        raise AlreadyExists(f"Registered Model (name={model.name}) already exists.")
    session.add_all(RegisteredModelTag(model_id=model_id, key=key, value=model.tags[key]) for key in sorted(model.tags))
    session.flush()
    set_updated(session, model_id, model.updated_at)
    return True


def is_here(session: Session, model: Model) -> bool:
    """Whether an earlier import made this model: the moment of its making is the same.

    :raises AlreadyExists: another model has the name, or this one was deleted here.
    """
    same_name = select(RegisteredModel).where(RegisteredModel.name == model.name)
    found = session.scalars(same_name.order_by(RegisteredModel.deleted_at.desc().nulls_first())).all()
    live = next((row for row in found if row.deleted_at is None), None)
    if live is not None and live.created_at != model.created_at:
        raise AlreadyExists(f"Another model has the name '{model.name}' here: rename one of them.")
    if live is None and any(row.created_at == model.created_at for row in found):
        raise AlreadyExists(f"'{model.name}' was imported before and deleted here: restore it from the trash.")
    if live is not None and live.updated_at < model.updated_at:
        set_updated(session, live.id, model.updated_at)
    return live is not None


def set_updated(session: Session, model_id: int, moment: datetime) -> None:
    """Say when a model was changed last, there; this alone is no event, so the clock of its stream is set on."""
    session.execute(update(RegisteredModel).where(RegisteredModel.id == model_id).values(updated_at=moment))
    session.execute(select(func.audit.instant(f"model:{model_id}")))


def take_version(session: Session, principal: Principal, name: str, version: Version) -> bool:
    """Make a version with its number and in its stage; False if an earlier import did.

    :raises Forbidden: the principal may not import.
    :raises Invalid: the source or a text is not right, or not allowed here.
    :raises ModelNotFound: no such model.
    :raises Conflict: another version has the number here.
    """
    access.require(session, principal, Permission.ADMINISTER, name)
    if not 1 <= version.number <= names.HIGHEST_NUMBER:
        raise Invalid(f"{version.number} is no version number.", "version")
    check_texts(version.description, version.tags)
    model_versions.check_texts(version.run_id, version.run_link, version.description, dict(version.tags))
    origin = origin_of(session, principal, version)
    held = registered_models.lock(session, name)
    if was_taken(session, held.model.id, version):
        return False
    model = registered_models.entered(session, held.model)
    model.last_number = max(model.last_number, version.number)
    row = ModelVersion(
        model_id=held.model.id,
        number=version.number,
        stage=version.stage,
        source=origin.source,
        run_id=origin.run_id,
        run_link=version.run_link,
        storage_location=origin.storage_location,
        logged_model_id=origin.logged_model_id,
        description=version.description,
        created_at=version.created_at,
        updated_at=version.updated_at,
        created_by=principal.id,
    )
    row.tags = [ModelVersionTag(key=key, value=value) for key, value in sorted(version.tags.items())]
    session.add(row)
    session.flush()
    return True


def was_taken(session: Session, model_id: int, version: Version) -> bool:
    """Whether an earlier import made this version; also if it was deleted or purged since.

    :raises Conflict: another version has the number.
    """
    row = session.get(ModelVersion, (model_id, version.number))
    if row is not None and (row.created_at, row.source) != (version.created_at, version.source):
        raise Conflict(f"Number {version.number} belongs to another version here.")
    interval = StageInterval
    purged = exists().where(interval.model_id == model_id, interval.number == version.number)
    return row is not None or bool(session.scalar(select(purged)))


def origin_of(session: Session, principal: Principal, version: Version) -> Origin:
    """What is kept of a source, by the rules for any other; only that `models:/…` was followed there already.

    :raises Invalid: the source cannot be one here.
    """
    prompt = version.tags.get(names.PROMPT_TAG, "").lower() == "true"
    settings = settings_of(session)
    if prompt or sources.scheme_of(version.source) != "models":
        return sources.accept(session, principal, Asked(version.source, version.run_id, None, prompt), settings)
    names.check_text("source", version.source, names.SOURCE_MAX)
    names.check_text("source", version.storage_location, names.SOURCE_MAX)
    if version.storage_location is not None:
        sources.accept(session, principal, Asked(version.storage_location, None, None, is_prompt=False), settings)
    logged = LOGGED_MODEL.fullmatch(version.source)
    return Origin(version.source, version.run_id, logged and logged[1], version.storage_location)


def take_alias(session: Session, principal: Principal, name: str, alias: str, number: int) -> bool:
    """Set an alias; False if it is set already.

    :raises Forbidden: the principal may not import.
    :raises Invalid: the alias is not right, or reserved.
    :raises VersionNotFound: no such version.
    :raises Conflict: the alias names another version here.
    """
    access.require(session, principal, Permission.ADMINISTER, name)
    names.check_new_alias(alias)
    held = model_versions.lock(session, name, number)
    present = session.get(Alias, (held.model.id, alias))
    if present is not None and present.number != number:
        raise Conflict(f"Alias '{alias}' names version {present.number} here, and version {number} there.")
    if present is None:
        session.add(Alias(model_id=held.model.id, alias=alias, number=number))
        session.flush()
    return present is None


def here_already(
    session: Session, principal: Principal, name: str, versions: Iterable[Version]
) -> dict[int, Stage | None]:
    """Those of some versions that an earlier import made, by number, with the stage of each; None if it was deleted.

    :raises Forbidden: the principal may not read the model.
    """
    access.require(session, principal, Permission.READ, name)
    asked = {version.number: (version.created_at, version.source) for version in versions}
    row = ModelVersion
    mine = select(RegisteredModel.id).where(RegisteredModel.name == name, RegisteredModel.deleted_at.is_(None))
    question = select(row.number, row.created_at, row.source, row.stage, row.deleted_at)
    found = session.execute(question.where(row.model_id.in_(mine), row.number.in_(asked)))
    return {
        number: None if deleted_at else Stage(stage)
        for number, created_at, source, stage, deleted_at in found
        if asked[number] == (created_at, source)
    }


def fitting(tags: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The tags that can be kept here, and why not of each of the others."""
    kept, refused = {}, []
    for key, value in tags.items():
        try:
            check_texts(None, {key: value})
            kept[key] = value
        except Invalid as error:
            refused.append(f"tag '{key}': {error.message}")
    return kept, refused


def check_texts(description: str | None, tags: Mapping[str, str]) -> None:
    """:raises Invalid: one of them cannot be kept here."""
    for field, value in (("description", description or ""), *tags.items()):
        names.check_storable("key", field)
        names.check_storable(field, value)
    names.check_text("description", description, names.DESCRIPTION_MAX)
    names.check_tags(dict(tags))
