"""`models:/…` URIs: what they name, and the version they lead to, now or as of a moment in the past.

Source of the forms: MLflow's model URIs. No percent-decoding takes place: the characters of the URI are the name.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from registry.domain import access, lookup, names
from registry.domain.access import Principal
from registry.errors import AliasNotFound, Invalid, NotFound, NoVersions, StageEmpty, VersionNotFound
from registry.tables import AliasInterval, AuditEvent, ModelVersion, NameInterval, RegisteredModel, StageInterval
from registry.vocabulary import Permission, Stage

REFERENCE = re.compile(
    r"models:/+(?:(?P<name>[^/]+)/(?P<suffix>[^/]+)|(?P<aliased>[^/]+)@(?P<alias>[^/@]+))", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a `models:/` URI names: the version of this number, alias or stage, or (none of them) the latest one."""

    name: str
    number: int | None = None
    alias: str | None = None
    stage: Stage | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """The version that a reference leads to. `since` and `by`: when it came into `stage`, and who moved it there."""

    name: str
    version: ModelVersion
    stage: Stage
    since: datetime
    by: str
    at: datetime | None

    @property
    def download_uri(self) -> str:
        """Where its files are."""
        return self.version.storage_location or self.version.source


def parse(uri: str) -> Reference | None:
    """Read a URI; None if it names nothing in a registry.

    :raises Invalid: the part after the name is neither a number nor a stage.
    """
    found = REFERENCE.fullmatch(uri)
    if found is None:
        return None
    if found["alias"] is not None:
        return by_alias(found["aliased"], found["alias"])
    name, suffix = found["name"], found["suffix"]
    if suffix.isdecimal():
        return Reference(name, number=names.parse_number(suffix))
    if suffix.lower() == "latest":
        return Reference(name)
    return Reference(name, stage=names.parse_stage(suffix))


def by_alias(name: str, alias: str) -> Reference:
    """`latest` is an alias that every model has."""
    return Reference(name) if alias.lower() == "latest" else Reference(name, alias=alias)


def follow(session: Session, reference: Reference) -> ModelVersion:
    """The version that a reference leads to now.

    :raises NotFound: it leads nowhere; which class says what is missing.
    """
    if reference.number is not None:
        return lookup.find_version(session, reference.name, reference.number)
    version = session.scalar(question_now(reference))
    if version is None:
        raise dead_end(session, reference)
    return version


def question_now(reference: Reference) -> Select[ModelVersion]:
    """The question for the version of an alias, in a stage, or with the highest number."""
    if reference.alias is not None:
        return lookup.aliased_version(reference.name, reference.alias)
    question = lookup.highest(reference.name)
    return question if reference.stage is None else question.where(ModelVersion.stage == reference.stage)


def dead_end(session: Session, reference: Reference) -> NotFound:
    """Why a reference leads nowhere now."""
    lookup.find_model(session, reference.name)
    return nowhere(reference)


def nowhere(reference: Reference) -> NotFound:
    """What is missing in a model that exists."""
    if reference.number is not None:
        return VersionNotFound(reference.name, reference.number)
    if reference.alias is not None:
        return AliasNotFound(reference.alias)
    return NoVersions(reference.name) if reference.stage is None else StageEmpty(reference.name, reference.stage)


def resolve(session: Session, principal: Principal, uri: str, at: datetime | None = None) -> Resolution:
    """Find the version that a `models:/` URI names, as it is now or as it was at `at`.

    One query, each step of it an index look-up. A change counts from the instant on that its audit event bears.

    :raises Forbidden: the principal may not read the model.
    :raises Invalid: the URI does not name a registered model version.
    :raises NotFound: it leads nowhere.
    """
    reference = parse(uri)
    if reference is None:
        raise Invalid(
            f"'{uri}' does not name a registered model version. Use models:/<name>/<version>, "
            "models:/<name>/<stage>, models:/<name>/latest or models:/<name>@<alias>.",
            "uri",
        )
    access.require(principal, Permission.READ, reference.name)
    row = None
    if reference.number is None or 1 <= reference.number <= names.HIGHEST_NUMBER:
        row = session.execute(question_at(reference, at)).first()
    if row is None:
        raise dead_end(session, reference) if at is None else nowhere(reference)
    version, name, stage, since, by = row
    return Resolution(name, version, Stage(stage), since, by, at)


def question_at(reference: Reference, at: datetime | None) -> Select[ModelVersion, str, str, datetime, str]:
    """The question for the version with its name, stage, since when and by whom, at a moment (None: now)."""
    question = (
        select(ModelVersion, NameInterval.name, StageInterval.stage, StageInterval.since, AuditEvent.actor)
        .join(RegisteredModel, RegisteredModel.id == NameInterval.model_id)
        .join(StageInterval, StageInterval.model_id == NameInterval.model_id)
        .join(
            ModelVersion,
            and_(ModelVersion.model_id == StageInterval.model_id, ModelVersion.number == StageInterval.number),
        )
        .join(
            AuditEvent,
            and_(
                AuditEvent.stream == func.concat(literal("model:"), StageInterval.model_id),
                AuditEvent.seq == StageInterval.opened_seq,
            ),
        )
        .where(
            NameInterval.name == reference.name,
            during(NameInterval.since, NameInterval.until, at),
            during(StageInterval.since, StageInterval.until, at),
        )
        .order_by(StageInterval.number.desc())
        .limit(1)
    )
    if reference.number is not None:
        return question.where(StageInterval.number == reference.number)
    if reference.stage is not None:
        return question.where(StageInterval.stage == reference.stage)
    if reference.alias is None:
        return question
    pointed = and_(AliasInterval.model_id == StageInterval.model_id, AliasInterval.number == StageInterval.number)
    return question.join(AliasInterval, pointed).where(
        AliasInterval.alias == reference.alias, during(AliasInterval.since, AliasInterval.until, at)
    )


def during(
    since: InstrumentedAttribute[datetime], until: InstrumentedAttribute[datetime | None], at: datetime | None
) -> ColumnElement[bool]:
    """Whether an interval holds a moment; None asks whether it still lasts."""
    return until.is_(None) if at is None else and_(since <= at, or_(until.is_(None), until > at))
