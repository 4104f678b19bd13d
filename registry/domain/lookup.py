"""The questions for registered models and model versions as they are now; asked by several parts of the domain.

Nothing here asks for a permission: the functions that call these have.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import BindParameter, Select, bindparam, func, literal, select, true
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, TEXT
from sqlalchemy.orm import Session, aliased, contains_eager, selectinload
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.sql import ClauseElement

from registry.domain import names
from registry.errors import ModelNotFound, VersionNotFound
from registry.tables import Alias, ModelVersion, RegisteredModel
from registry.vocabulary import Stage

ROWS_MAX = 50_000
Question = TypeVar("Question", bound=ClauseElement)


def find_model(session: Session, name: str) -> RegisteredModel:
    """The live model of this name.

    :raises ModelNotFound: no such model.
    """
    names.check_addressable(name)
    model = session.scalar(BY_NAME, {"name": name})
    if model is None:
        raise ModelNotFound(name)
    return model


def live_models() -> Select[RegisteredModel]:
    """The models that are not deleted."""
    return select(RegisteredModel).where(RegisteredModel.deleted_at.is_(None))


def live_versions(name: str | BindParameter[str]) -> Select[ModelVersion]:
    """The question for the versions of the model of this name, with all that is shown of them."""
    return (
        select(ModelVersion)
        .join(ModelVersion.model)
        .where(RegisteredModel.name == name, RegisteredModel.deleted_at.is_(None), ModelVersion.deleted_at.is_(None))
        .options(
            contains_eager(ModelVersion.model),
            together(ModelVersion.tags),
            together(ModelVersion.aliases),
        )
    )


def highest(name: str) -> Select[ModelVersion]:
    """The question for the version with the highest number."""
    return live_versions(name).order_by(ModelVersion.number.desc()).limit(1)


def find_version(session: Session, name: str, number: int) -> ModelVersion:
    """The live version of this number.

    :raises VersionNotFound: no such version, or no such model.
    """
    names.check_addressable(name)
    if not 1 <= number <= names.HIGHEST_NUMBER:
        raise VersionNotFound(name, number)
    version = session.scalar(ONE_VERSION, {"name": name, "number": number})
    if version is None:
        raise VersionNotFound(name, number)
    return version


def find_subject(session: Session, name: str, number: int | None) -> int:
    """The id of the live model whose version this is, or which is itself meant where `number` is None.

    :raises NotFound: no such model or version.
    """
    return find_model(session, name).id if number is None else find_version(session, name, number).model_id


def newest(session: Session, models: Collection[RegisteredModel], stages: Sequence[Stage]) -> list[ModelVersion]:
    """For each of these models the highest-numbered version in each of these stages, with tags and aliases.

    One index look-up for each model and stage, however many versions there are.
    """
    by_id = {model.id: model for model in models}
    once = list(dict.fromkeys(str(stage) for stage in stages))
    versions = list(session.scalars(NEWEST, {"models": list(by_id), "stages": once}))
    for version in versions:
        set_committed_value(version, "model", by_id[version.model_id])
    return versions


def together(relation: Any) -> Any:
    """Load what belongs to the rows of a page in one statement, however many rows there are."""
    return selectinload(relation, chunksize=ROWS_MAX)


def aliased_version(name: str, alias: str) -> Select[ModelVersion]:
    """The question for the version that an alias names."""
    pointed = (Alias.model_id == ModelVersion.model_id) & (Alias.number == ModelVersion.number)
    return live_versions(name).join(Alias, pointed).where(Alias.alias == alias)


def newest_of_each() -> Select[ModelVersion]:
    """The question of `newest`: for each of `:models` and each of `:stages` the version with the highest number."""
    model = func.unnest(bindparam("models", type_=ARRAY(BIGINT))).table_valued("id", name="m").render_derived()
    stage = func.unnest(bindparam("stages", type_=ARRAY(TEXT))).table_valued("stage", name="s").render_derived()
    top = (
        select(ModelVersion)
        .where(
            ModelVersion.model_id == model.c.id,
            ModelVersion.stage == stage.c.stage,
            ModelVersion.deleted_at.is_(None),
        )
        .order_by(ModelVersion.number.desc())
        .limit(1)
        .lateral("top")
    )
    entity = aliased(ModelVersion, top)
    return (
        select(entity)
        .select_from(model)
        .join(stage, true())
        .join(top, true())
        .options(together(entity.tags), together(entity.aliases))
        .order_by(top.c.model_id, top.c.number)
    )


def settled(question: Question) -> Question:
    """Compile a question that all threads will share, before they do.

    To build a question takes longer than to ask it, so the frequent ones are built once. But SQLAlchemy works parts of
    a statement out when it is first compiled, and threads that meet there can fail with "returned no FROM clauses".
    """
    question.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
    return question


def held_model() -> Select[RegisteredModel, datetime]:
    """The question that locks the model called `:name` and then, under that lock, reads the clock of its stream."""
    held = live_models().where(RegisteredModel.name == bindparam("name")).with_for_update(key_share=True).cte("held")
    entity = aliased(RegisteredModel, held)
    question = select(entity, func.audit.instant(literal("model:").concat(held.c.id)))
    return question.execution_options(populate_existing=True)


HELD = settled(held_model())
ONE_VERSION = settled(
    live_versions(bindparam("name"))
    .where(ModelVersion.number == bindparam("number"))
    .execution_options(populate_existing=True)
)
NEWEST = settled(newest_of_each())
BY_NAME = settled(live_models().where(RegisteredModel.name == bindparam("name")))
