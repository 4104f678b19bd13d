"""The questions for registered models and model versions as they are now; asked by several parts of the domain.

Nothing here asks for a permission: the functions that call these have.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Select,
    TableValuedAlias,
    Text,
    and_,
    bindparam,
    cast,
    func,
    literal,
    select,
    true,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, TEXT
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.elements import SQLCoreOperations
from sqlalchemy.sql.selectable import LateralFromClause

from registry import prepared
from registry.db import ask
from registry.domain import heads, labels, names
from registry.errors import ModelNotFound, VersionNotFound
from registry.settled import Settled
from registry.tables import Alias, ModelVersion, RegisteredModel
from registry.vocabulary import Stage

Selected = TypeVar("Selected", bound=Select[*tuple[Any, ...]])


def find_model(session: Session, name: str) -> RegisteredModel:
    """The live model of this name.

    :raises ModelNotFound: no such model.
    """
    names.check_addressable(name)
    rows = ask(session, BY_NAME, name=name)
    if not rows:
        raise ModelNotFound(name)
    model: RegisteredModel = BY_NAME.read(rows[0])[0]
    return model


def live_models() -> Select[RegisteredModel]:
    """The models that are not deleted."""
    return select(RegisteredModel).where(RegisteredModel.deleted_at.is_(None))


def live_versions() -> Select[Any]:
    """The question for the versions of the model called `:name`, with all that is shown of them: see `shown`."""
    return (
        labels.with_labels(select(RegisteredModel, heads.of_model(ModelVersion.model_id), ModelVersion), ModelVersion)
        .join_from(ModelVersion, RegisteredModel, ModelVersion.model)
        .where(
            RegisteredModel.name == bindparam("name"),
            RegisteredModel.deleted_at.is_(None),
            ModelVersion.deleted_at.is_(None),
        )
    )


def shown(session: Session, question: Settled, **values: object) -> ModelVersion | None:
    """The version that a question of `live_versions` finds, with its model, tags and aliases."""
    rows = ask(session, question, **values)
    if not rows:
        return None
    model, head, *found = question.read(rows[0])
    heads.note(session, f"model:{model.id}", head)
    return labels.labelled(found, model)


def find_version(session: Session, name: str, number: int) -> ModelVersion:
    """The live version of this number.

    :raises VersionNotFound: no such version, or no such model.
    """
    names.check_addressable(name)
    if not 1 <= number <= names.HIGHEST_NUMBER:
        raise VersionNotFound(name, number)
    version = shown(session, ONE_VERSION, name=name, number=number)
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
    rows = map(NEWEST.read, ask(session, NEWEST, models=list(by_id), stages=once))
    return [labels.labelled(row, by_id[row[0].model_id]) for row in rows]


def newest_of(session: Session, name: str, stages: Sequence[Stage]) -> list[ModelVersion]:
    """The same for the live model of this name, in one question with the model itself.

    :raises ModelNotFound: no such model.
    """
    names.check_addressable(name)
    once = list(dict.fromkeys(str(stage) for stage in stages))
    rows = list(map(NEWEST_OF.read, ask(session, NEWEST_OF, name=name, stages=once)))
    if not rows:
        raise ModelNotFound(name)
    model, head, *_ = rows[0]
    heads.note(session, f"model:{model.id}", head)
    return [labels.labelled(found, model) for _, _, *found in rows if found[0] is not None]


def newest_of_each() -> Select[Any]:
    """The question of `newest`: for each of `:models` and each of `:stages` the version with the highest number."""
    model = func.unnest(bindparam("models", type_=ARRAY(BIGINT))).table_valued("id", name="m").render_derived()
    stage = each_stage()
    top = newest_in(model.c.id, stage.c.stage)
    entity = aliased(ModelVersion, top)
    question = labels.with_labels(select(entity), entity).select_from(model).join(stage, true()).join(top, true())
    return question.order_by(top.c.model_id, top.c.number)


def newest_of_one() -> Select[Any]:
    """The question of `newest_of`: the model called `:name`, with such a version or none for each of `:stages`."""
    stage = each_stage()
    top = newest_in(RegisteredModel.id, stage.c.stage)
    entity = aliased(ModelVersion, top)
    read = select(RegisteredModel, heads.of_model(RegisteredModel.id), entity)
    question = labels.with_labels(read, entity).select_from(RegisteredModel)
    named = (RegisteredModel.name == bindparam("name"), RegisteredModel.deleted_at.is_(None))
    return question.outerjoin(stage, true()).outerjoin(top, true()).where(*named).order_by(top.c.number)


def each_stage() -> TableValuedAlias:
    """`:stages`, a row for each."""
    return func.unnest(bindparam("stages", type_=ARRAY(TEXT))).table_valued("stage", name="s").render_derived()


def newest_in(model_id: SQLCoreOperations[int], stage: ColumnElement[str]) -> LateralFromClause:
    """The version of a model with the highest number in a stage: one index look-up."""
    here = (ModelVersion.model_id == model_id, ModelVersion.stage == stage, ModelVersion.deleted_at.is_(None))
    return select(ModelVersion).where(*here).order_by(ModelVersion.number.desc()).limit(1).lateral("top")


def settled(question: Selected) -> Selected:
    """Compile a question that all threads will share, before they do.

    To build a question takes longer than to ask it, so the frequent ones are built once. But SQLAlchemy works parts of
    a statement out when it is first compiled, and threads that meet there can fail with "returned no FROM clauses".
    """
    question = prepared.marked(question)
    question.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
    return question


def held_model() -> Select[RegisteredModel, datetime]:
    """The question that locks the model called `:name` and then, under that lock, reads the clock of its stream."""
    held = live_models().where(RegisteredModel.name == bindparam("name")).with_for_update(key_share=True).cte("held")
    entity = aliased(RegisteredModel, held)
    return select(entity, func.audit.instant(literal("model:").concat(held.c.id)))


def locking() -> Select[str]:
    """The statement that locks the model called `:name`, and notes which row that is until the transaction ends."""
    held = live_models().where(RegisteredModel.name == bindparam("name")).with_for_update(key_share=True).cte("held")
    return select(func.set_config("app.held", cast(held.c.id, Text), True)).select_from(held)


def is_held() -> ColumnElement[bool]:
    """Whether a model is the one that `LOCK` has locked, of those called `:name`.

    It sees what others committed while it was waited for the lock, unlike the statement that has waited. And a model
    that has come into being since is none that is locked.
    """
    noted = cast(RegisteredModel.id, Text) == func.current_setting("app.held", True)
    return and_(RegisteredModel.name == bindparam("name"), RegisteredModel.deleted_at.is_(None), noted)


def held_version(*columns: Any) -> Select[Any]:
    """The question for something of the version `:number` of the model that is held."""
    live = (ModelVersion.number == bindparam("number"), ModelVersion.deleted_at.is_(None))
    return select(*columns).join_from(ModelVersion, RegisteredModel, ModelVersion.model).where(is_held(), *live)


def held_and_shown() -> Select[Any]:
    """The question for a held version, its model, the clock, who stands in `:stage`, and all that is shown of it."""
    other = aliased(ModelVersion)
    there = (other.model_id == RegisteredModel.id, other.stage == bindparam("stage"), other.deleted_at.is_(None))
    standing = labels.array(select(other.number).where(*there).order_by(other.number), BIGINT)
    instant = func.audit.instant(literal("model:").concat(RegisteredModel.id))
    return labels.with_labels(held_version(RegisteredModel, instant, standing, ModelVersion), ModelVersion)


LOCK = Settled(locking())
HELD = Settled(held_model())
HELD_KEY = Settled(held_version(RegisteredModel.id))
HELD_VERSION = Settled(held_and_shown())
ONE_VERSION = Settled(live_versions().where(ModelVersion.number == bindparam("number")))
HIGHEST = Settled(live_versions().order_by(ModelVersion.number.desc()).limit(1))
HIGHEST_IN = Settled(
    live_versions().where(ModelVersion.stage == bindparam("stage")).order_by(ModelVersion.number.desc()).limit(1)
)
ALIASED = Settled(
    live_versions()
    .join(Alias, (Alias.model_id == ModelVersion.model_id) & (Alias.number == ModelVersion.number))
    .where(Alias.alias == bindparam("alias"))
)
NEWEST = Settled(newest_of_each())
NEWEST_OF = Settled(newest_of_one())
BY_NAME = Settled(live_models().where(RegisteredModel.name == bindparam("name")))
LABELLED = Settled(
    labels.with_model_labels(live_models().where(RegisteredModel.name == bindparam("name"))).add_columns(
        heads.of_model(RegisteredModel.id)
    )
)
