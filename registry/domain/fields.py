"""What can be searched for: the fields of a model and of a version, what they hold, and where that is.

A filter or an order reaches a column only through these tables; it can name nothing else.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute

from registry.tables import Alias, ModelVersion, ModelVersionTag, RegisteredModel, RegisteredModelTag

Column: TypeAlias = InstrumentedAttribute[Any]


class Kind(Enum):
    """What a field holds."""

    TEXT = auto()
    """A text that is compared bytewise, so that its order is the same on every database."""
    PROSE = auto()
    """A text whose order says nothing."""
    NUMBER = auto()
    """A whole number."""
    TIME = auto()
    """A moment."""
    STAGE = auto()
    """One of the stages."""
    PRINCIPAL = auto()
    """The id of a principal, which is found by its name as well."""


EQUAL, ORDER, LIKE, LIST = ("=", "!="), ("<", "<=", ">", ">="), ("LIKE", "ILIKE"), ("IN", "NOT IN")
OPERATORS: dict[Kind, tuple[str, ...]] = {
    Kind.TEXT: EQUAL + ORDER + LIKE + LIST,
    Kind.PROSE: EQUAL + LIKE + LIST,
    Kind.NUMBER: EQUAL + ORDER + LIST,
    Kind.TIME: EQUAL + ORDER,
    Kind.STAGE: EQUAL + LIST,
    Kind.PRINCIPAL: EQUAL + LIKE + LIST,
}
"""Which operators make sense of which kind."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column of the thing itself or, with `among`, of rows that belong to it, one of which has to match.

    `key` is the column that tells which tag a row is.
    """

    kind: Kind
    column: Column
    nullable: bool = False
    sortable: bool = False
    among: tuple[ColumnElement[bool], ...] = ()
    key: Column | None = None

    @property
    def may_be_null(self) -> bool:
        """Whether a thing can be without it."""
        return self.nullable or bool(self.among)


OF_MODEL = Alias.model_id == RegisteredModel.id
OF_VERSION = (Alias.model_id == ModelVersion.model_id, Alias.number == ModelVersion.number)
LIVE_VERSION = (ModelVersion.model_id == RegisteredModel.id, ModelVersion.deleted_at.is_(None))
TAG_OF_MODEL = RegisteredModelTag.model_id == RegisteredModel.id
TAG_OF_VERSION = (ModelVersionTag.model_id == ModelVersion.model_id, ModelVersionTag.number == ModelVersion.number)

MODELS: dict[str, Field] = {
    "name": Field(Kind.TEXT, RegisteredModel.name, sortable=True),
    "description": Field(Kind.PROSE, RegisteredModel.description, nullable=True),
    "created_by": Field(Kind.PRINCIPAL, RegisteredModel.created_by),
    "created_at": Field(Kind.TIME, RegisteredModel.created_at, sortable=True),
    "updated_at": Field(Kind.TIME, RegisteredModel.updated_at, sortable=True),
    "stage": Field(Kind.STAGE, ModelVersion.stage, among=LIVE_VERSION),
    "alias": Field(Kind.TEXT, Alias.alias, among=(OF_MODEL,)),
    "tag": Field(Kind.TEXT, RegisteredModelTag.value, among=(TAG_OF_MODEL,), key=RegisteredModelTag.key),
}
VERSIONS: dict[str, Field] = {
    "name": Field(Kind.TEXT, RegisteredModel.name, sortable=True),
    "version": Field(Kind.NUMBER, ModelVersion.number, sortable=True),
    "stage": Field(Kind.STAGE, ModelVersion.stage, sortable=True),
    "alias": Field(Kind.TEXT, Alias.alias, among=OF_VERSION),
    "description": Field(Kind.PROSE, ModelVersion.description, nullable=True),
    "created_by": Field(Kind.PRINCIPAL, ModelVersion.created_by),
    "source": Field(Kind.PROSE, ModelVersion.source),
    "run_id": Field(Kind.TEXT, ModelVersion.run_id, sortable=True),
    "logged_model_id": Field(Kind.PROSE, ModelVersion.logged_model_id, nullable=True),
    "digest": Field(Kind.PROSE, ModelVersion.digest, nullable=True),
    "created_at": Field(Kind.TIME, ModelVersion.created_at, sortable=True),
    "updated_at": Field(Kind.TIME, ModelVersion.updated_at, sortable=True),
    "tag": Field(Kind.TEXT, ModelVersionTag.value, among=TAG_OF_VERSION, key=ModelVersionTag.key),
}

OTHER_NAMES = {
    "creator": "created_by",
    "creation_timestamp": "created_at",
    "last_updated_timestamp": "updated_at",
    "source_path": "source",
    "version_number": "version",
}
"""What MLflow and habit call some of them."""


def field_of(fields: dict[str, Field], name: str) -> Field:
    """The field of this name, or of this other name."""
    return fields[OTHER_NAMES.get(name, name)]
