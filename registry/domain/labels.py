"""Tags and aliases of a version or a model, read in the question that reads the version or model itself.

SQLAlchemy's own way, a statement more for each relation, takes longer than everything else in a short request.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, TEXT
from sqlalchemy.orm import aliased
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.types import TypeEngine

from registry.tables import Alias, ModelVersion, ModelVersionTag, RegisteredModel, RegisteredModelTag


def with_labels(question: Select[*tuple[Any, ...]], version: type[ModelVersion]) -> Select[Any]:
    """Ask for the labels of `version` too: keys and values of its tags, and its aliases, as the last three columns."""
    tag, alias = aliased(ModelVersionTag), aliased(Alias)  # the question may join both itself
    tagged = (tag.model_id == version.model_id, tag.number == version.number)
    named = (alias.model_id == version.model_id, alias.number == version.number)
    return question.add_columns(
        array(select(tag.key).where(*tagged).order_by(tag.key)),
        array(select(tag.value).where(*tagged).order_by(tag.key)),
        array(select(alias.alias).where(*named).order_by(alias.alias)),
    )


def array(question: Select[Any], kind: type[TypeEngine[Any]] = TEXT) -> ColumnElement[Any]:
    """What a question finds, as one value."""
    return func.array(question.scalar_subquery(), type_=ARRAY(kind))


def labelled(row: Sequence[Any]) -> ModelVersion:
    """Return the version of a row, with the labels behind it as if they had been loaded with it."""
    version: ModelVersion
    version, keys, values, aliases = row
    here = {"model_id": version.model_id, "number": version.number}
    tags = [ModelVersionTag(**here, key=key, value=value) for key, value in zip(keys, values, strict=True)]
    set_committed_value(version, "tags", tags)
    set_committed_value(version, "aliases", [Alias(**here, alias=alias) for alias in aliases])
    return version


def with_model_labels(question: Select[*tuple[Any, ...]]) -> Select[Any]:
    """Ask for the labels of the model too: its tags, and its aliases with their numbers, as the last four columns."""
    tag, alias = aliased(RegisteredModelTag), aliased(Alias)
    tagged, named = tag.model_id == RegisteredModel.id, alias.model_id == RegisteredModel.id
    return question.add_columns(
        array(select(tag.key).where(tagged).order_by(tag.key)),
        array(select(tag.value).where(tagged).order_by(tag.key)),
        array(select(alias.alias).where(named).order_by(alias.alias)),
        array(select(alias.number).where(named).order_by(alias.alias), BIGINT),
    )


def labelled_model(row: Sequence[Any]) -> RegisteredModel:
    """Return the model of a row, with the labels behind it as if they had been loaded with it."""
    model: RegisteredModel
    model, keys, values, aliases, numbers = row
    tags, named = zip(keys, values, strict=True), zip(aliases, numbers, strict=True)
    set_committed_value(model, "tags", [RegisteredModelTag(model_id=model.id, key=k, value=v) for k, v in tags])
    set_committed_value(model, "aliases", [Alias(model_id=model.id, alias=a, number=n) for a, n in named])
    return model
