"""`models:/…` URIs: what they name, and the version they lead to, now or as of a moment in the past.

Source of the forms: MLflow's model URIs. No percent-decoding takes place: the characters of the URI are the name.
"""

import functools
import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, DateTime, ScalarSelect, Select, and_, bindparam, literal, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from registry.db import ask
from registry.domain import access, heads, lookup, names, principals, proofs, visible
from registry.domain.access import Principal as Caller
from registry.domain.principals import Actor
from registry.domain.proofs import Evidence, Named
from registry.domain.times import rfc3339
from registry.errors import AliasNotFound, Invalid, NotFound, NoVersions, Purged, StageEmpty, VersionNotFound
from registry.settled import Settled
from registry.tables import AliasInterval, AuditEvent, ModelVersion, NameInterval, Principal, StageInterval
from registry.vocabulary import Permission, Stage

REFERENCE = re.compile(
    r"models:/+(?:(?P<name>[^/]+)/(?P<suffix>[^/]+)|(?P<aliased>[^/]+)@(?P<alias>[^/@]+))", re.DOTALL
)
NOW = {"alias": lookup.ALIASED, "stage": lookup.HIGHEST_IN, "latest": lookup.HIGHEST}
"""The questions for the version of an alias, in a stage, or with the highest number."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What a `models:/` URI names: the version of this number, alias or stage, or (none of them) the latest one."""

    name: str
    number: int | None = None
    alias: str | None = None
    stage: Stage | None = None

    @property
    def kind(self) -> str:
        """Which of its fields says what it names; `latest` if none does."""
        given = (kind for kind in ("number", "alias", "stage") if getattr(self, kind) is not None)
        return next(given, "latest")


@dataclass(frozen=True, slots=True)
class Resolution:
    """The version that a reference leads to. `since` and `by`: when it came into `stage`, and who moved it there.

    `event`: the audit event of that move, where a moment or a proof was asked for.
    """

    name: str
    version: ModelVersion
    stage: Stage
    since: datetime
    by: Actor
    at: datetime | None
    event: Evidence | None

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
        lookup.find_model(session, reference.name)
        return lookup.find_version(session, reference.name, reference.number)
    values = {"name": reference.name, "alias": reference.alias, "stage": reference.stage}
    version = lookup.shown(session, NOW[reference.kind], **values)
    if version is None:
        raise dead_end(session, reference)
    return version


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


def nowhere_then(reference: Reference, at: datetime) -> NotFound:
    """What was missing at a moment; it says of which one, since it may be there now."""
    refusal = nowhere(reference)
    refusal.message = f"{refusal.message.rstrip('.')}, as of {rfc3339(at)}."
    return refusal


def resolve(
    session: Session, principal: Caller, uri: str, at: datetime | None = None, *, prove: bool = False
) -> Resolution:
    """Find the version that a `models:/` URI names, as it is now or as it was at `at`.

    One query, whatever the number of versions, and for the past one for the position of its event. A change counts
    from the instant on that its audit event bears.

    :raises Invalid: the URI does not name a registered model version.
    :raises NotFound: it leads nowhere, or to a model that the principal may not read.
    :raises Purged: it led to a version that is gone for good.
    """
    reference = parse(uri)
    if reference is None:
        raise Invalid(
            f"'{uri}' does not name a registered model version. Use models:/<name>/<version>, "
            "models:/<name>/<stage>, models:/<name>/latest or models:/<name>@<alias>.",
            "uri",
        )
    values = {"name": reference.name, "at": at, reference.kind: getattr(reference, reference.kind, None)}
    require_reading(session, principal, reference, at)
    row = None
    if reference.number is None or 1 <= reference.number <= names.HIGHEST_NUMBER:
        question = question_of(reference.kind, timed=at is not None)
        row = next(map(question.read, ask(session, question, **values)), None)
    if row is None:
        raise dead_end(session, reference) if at is None else nowhere_then(reference, at)
    version, number, stage, since, by, called, head, head_of_actor, stream, seq, digest = row
    if version is None:
        raise Purged(reference.name, number)
    heads.note(session, f"model:{version.model_id}", head)
    heads.note(session, by, head_of_actor)
    event = None
    if prove or at is not None:
        opened = Named(stream, seq, bytes(digest))  # the driver's own kind of bytes is not hashable
        [event] = proofs.evidence(session, [opened], prove=prove)
    return Resolution(reference.name, version, Stage(stage), since, Actor(by, called or by), at, event)


def require_reading(session: Session, principal: Caller, reference: Reference, at: datetime | None) -> None:
    """Go on only if the principal may read the model under this name; of a past one, also under the name it has now.

    :raises NotFound: it may not; in the words of a model that is not there, or was not then.
    """
    there = access.may(session, principal, Permission.READ, reference.name)
    if there and at is not None and not visible.sees_all(principal):
        model_id = session.scalar(model_called(timed=True), {"name": reference.name, "at": at})
        there = model_id is None or visible.is_there(session, principal, model_id)
    if not there:
        raise access.absent(reference.name) if at is None else nowhere_then(reference, at)


@functools.cache
def question_of(kind: str, *, timed: bool) -> Settled:
    """The question for the version (none if it was purged) with number, stage, since when and by whom, now or `:at`.

    Behind that stands what names the event of that move.
    First the model, then its one interval, then version and event of that: each step is one index look-up, and the
    database is left no other order. Put together once for each kind of reference.
    """
    model_id = model_called(timed=timed).scalar_subquery()
    picked = (
        select(StageInterval)
        .where(
            StageInterval.model_id == model_id,
            during(StageInterval.since, StageInterval.until, timed=timed),
            *which(kind, model_id, timed=timed),
        )
        .order_by(StageInterval.number.desc())
        .limit(1)
        .subquery("picked")
    )
    opening = and_(
        AuditEvent.stream == literal("model:").concat(picked.c.model_id), AuditEvent.seq == picked.c.opened_seq
    )
    own = and_(ModelVersion.model_id == picked.c.model_id, ModelVersion.number == picked.c.number)
    moved = (picked.c.number, picked.c.stage, picked.c.since, AuditEvent.actor, Principal.name)
    now = (heads.of_model(picked.c.model_id), heads.of(AuditEvent.actor))
    question = (
        select(ModelVersion, *moved, *now, *proofs.NAMED)
        .select_from(picked)
        .outerjoin(ModelVersion, own)
        .join(AuditEvent, opening)
        .outerjoin(Principal, principals.is_actor(AuditEvent.actor))
    )
    return Settled(question)


def model_called(*, timed: bool) -> Select[int]:
    """The question for the model that has the name `:name`, or had it at the moment `:at`.

    Each model has a clock of its own, so two may seem to have had the name at once; the one that came last counts.
    """
    named = NameInterval.name == bindparam("name")
    question = select(NameInterval.model_id).where(named, during(NameInterval.since, NameInterval.until, timed=timed))
    return question.order_by(NameInterval.since.desc()).limit(1)


def which(kind: str, model_id: ScalarSelect[int], *, timed: bool) -> list[ColumnElement[bool]]:
    """What makes an interval the one that a reference of this kind means; nothing for the latest version."""
    if kind == "number":
        return [StageInterval.number == bindparam("number")]
    if kind == "stage":
        return [StageInterval.stage == bindparam("stage")]
    if kind == "latest":
        return []
    pointed = select(AliasInterval.number).where(
        AliasInterval.model_id == model_id,
        AliasInterval.alias == bindparam("alias"),
        during(AliasInterval.since, AliasInterval.until, timed=timed),
    )
    return [StageInterval.number == pointed.scalar_subquery()]


def during(
    since: InstrumentedAttribute[datetime], until: InstrumentedAttribute[datetime | None], *, timed: bool
) -> ColumnElement[bool]:
    """Whether an interval holds the moment `:at`; where no moment is asked for, whether it still lasts."""
    at = bindparam("at", type_=DateTime(timezone=True))
    return and_(since <= at, or_(until.is_(None), until > at)) if timed else until.is_(None)
