"""Tags and aliases of a version or a model, read in the question that reads the version or model itself.

SQLAlchemy's own way, a statement more for each relation, takes longer than everything else in a short request.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, TEXT
from sqlalchemy.orm import aliased
from sqlalchemy.types import TypeEngine

from registry.settled import Kind
from registry.tables import Alias, ModelVersion, ModelVersionTag, RegisteredModel, RegisteredModelTag


def with_labels(question: Select[*tuple[Any, ...]], version: type[ModelVersion]) -> Select[Any]:
    """Ask for the labels of `version` too: its tags in pairs of key and value, and its aliases, as the last columns."""
    tag, alias = aliased(ModelVersionTag), aliased(Alias)  # the question may join both itself
    tagged = (tag.model_id == version.model_id, tag.number == version.number)
    named = (alias.model_id == version.model_id, alias.number == version.number)
    return question.add_columns(
        pairs(tag, *tagged),
        array(select(alias.alias).where(*named).order_by(alias.alias)),
    )


def pairs(tag: Any, *conditions: ColumnElement[bool]) -> ColumnElement[Any]:
    """The tags of which this holds, as one array of pairs: by key and value apart they would be looked up twice."""
    return array(select(postgresql.array([tag.key, tag.value])).where(*conditions).order_by(tag.key))


def array(question: Select[Any], kind: type[TypeEngine[Any]] = TEXT) -> ColumnElement[Any]:
    """What a question finds, as one value."""
    return func.array(question.scalar_subquery(), type_=ARRAY(kind))


def labelled(row: Sequence[Any], model: RegisteredModel) -> ModelVersion:
    """Return the version of a settled row, with its model and the labels behind it as if they were loaded with it."""
    version: ModelVersion
    version, tagged, aliases = row
    key = (version.model_id, version.number)
    tags = [VERSION_TAG.made((*key, *pair)) for pair in tagged]
    named = [ALIAS.made((version.model_id, alias, version.number)) for alias in aliases]
    version.__dict__.update(model=model, tags=tags, aliases=named)
    return version


def with_model_labels(question: Select[*tuple[Any, ...]]) -> Select[Any]:
    """Ask for the labels of the model too: its tags in pairs, its aliases, and their numbers, as the last columns."""
    tag, alias = aliased(RegisteredModelTag), aliased(Alias)
    tagged, named = tag.model_id == RegisteredModel.id, alias.model_id == RegisteredModel.id
    return question.add_columns(
        pairs(tag, tagged),
        array(select(alias.alias).where(named).order_by(alias.alias)),
        array(select(alias.number).where(named).order_by(alias.alias), BIGINT),
    )


def labelled_model(row: Sequence[Any]) -> RegisteredModel:
    """Return the model of a settled row, with the labels behind it as if they had been loaded with it."""
    model: RegisteredModel
    model, tags, aliases, numbers = row
    model.__dict__.update(
        tags=[MODEL_TAG.made((model.id, *pair)) for pair in tags],
        aliases=[ALIAS.made((model.id, *pair)) for pair in zip(aliases, numbers, strict=True)],
    )
    return model


VERSION_TAG = Kind(ModelVersionTag, ("model_id", "number", "key", "value"))
MODEL_TAG = Kind(RegisteredModelTag, ("model_id", "key", "value"))
ALIAS = Kind(Alias, ("model_id", "alias", "number"))
