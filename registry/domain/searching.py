"""Searching models and versions: a parsed filter becomes SQL here, with every value a bound parameter.

A field of a filter reaches a column only through the tables below; a filter can name nothing else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session, contains_eager

from registry.domain import access, lookup, paging
from registry.domain.access import Principal
from registry.domain.filtering import Comparison, OrderKey
from registry.domain.names import PROMPT_TAG
from registry.domain.paging import Key, Page
from registry.domain.registered_models import WITH_TAGS_AND_ALIASES, ModelDetail
from registry.errors import Invalid
from registry.tables import ModelVersion, ModelVersionTag, RegisteredModel, RegisteredModelTag
from registry.vocabulary import Permission, Stage

INDEXED = 128  # characters of a tag's value that its index holds

MODEL_FIELDS: dict[str, InstrumentedAttribute[Any]] = {
    "name": RegisteredModel.name,
    "creation_timestamp": RegisteredModel.created_at,
    "last_updated_timestamp": RegisteredModel.updated_at,
}
VERSION_FIELDS: dict[str, InstrumentedAttribute[Any]] = {
    "name": RegisteredModel.name,
    "run_id": ModelVersion.run_id,
    "source_path": ModelVersion.source,
    "version_number": ModelVersion.number,
    "creation_timestamp": ModelVersion.created_at,
    "last_updated_timestamp": ModelVersion.updated_at,
}

OPERATORS: dict[str, Callable[[InstrumentedAttribute[Any], Any], ColumnElement[bool]]] = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
    "LIKE": lambda column, value: column.like(pattern(value)),
    "ILIKE": lambda column, value: column.collate("default").ilike(pattern(value)),  # "C" knows only the case of ASCII
    "IN": lambda column, value: column.in_(value),
    "NOT IN": lambda column, value: column.not_in(value),
}


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked: comparisons that must all hold, and an order. Prompts are left out unless they are asked for."""

    comparisons: Sequence[Comparison] = ()
    order: Sequence[OrderKey] = ()
    prompts: bool = False
    limit: int = 100
    token: str | None = None


def models(session: Session, principal: Principal, search: Search) -> Page[ModelDetail]:
    """Find registered models, with tags, aliases and newest versions.

    :raises Forbidden: the principal may not read.
    :raises Invalid: the filter or the token is not right.
    """
    access.require(principal, Permission.READ)
    conditions = [model_condition(comparison) for comparison in search.comparisons]
    question = lookup.live_models().where(*kind(search), *conditions).options(*WITH_TAGS_AND_ALIASES)
    page = paged(session, question, search, MODEL_FIELDS, "models")
    newest = lookup.newest(session, page.items, list(Stage)) if page.items else []
    details = [ModelDetail(m, [v for v in newest if v.model_id == m.id]) for m in page.items]
    return Page(details, page.next_token)


def versions(session: Session, principal: Principal, search: Search) -> Page[ModelVersion]:
    """Find model versions, with tags.

    :raises Forbidden: the principal may not read.
    :raises Invalid: the filter or the token is not right.
    """
    access.require(principal, Permission.READ)
    question = (
        select(ModelVersion)
        .join(ModelVersion.model)
        .where(
            ModelVersion.deleted_at.is_(None),
            RegisteredModel.deleted_at.is_(None),
            *kind(search),
            *(version_condition(comparison) for comparison in search.comparisons),
        )
        .options(contains_eager(ModelVersion.model), lookup.together(ModelVersion.tags))
    )
    return paged(session, question, search, VERSION_FIELDS, "versions")


def paged(
    session: Session,
    question: Select[Any],
    search: Search,
    fields: dict[str, InstrumentedAttribute[Any]],
    kind: str,
) -> Page[Any]:
    """One page of a question, in the order that is asked for, after the row that the token names."""
    keys = [Key(fields[key.field], key.descending) for key in search.order]
    mark = paging.fingerprint(kind, tuple(search.comparisons), tuple(search.order), search.prompts)
    if search.token:
        question = question.where(paging.after(keys, paging.decode(search.token, mark, keys)))
    rows = session.scalars(question.order_by(*(key.clause for key in keys)).limit(search.limit + 1))
    return paging.cut(list(rows), search.limit, mark, lambda row: [value_of(row, key) for key in keys])


def value_of(row: Any, key: Key) -> Any:
    """The value that a row has in a column of its order; a version has the name of its model."""
    holder = row.model if isinstance(row, ModelVersion) and key.column.class_ is RegisteredModel else row
    return getattr(holder, key.column.key)


def model_condition(comparison: Comparison) -> ColumnElement[bool]:
    """One comparison as a condition on registered models."""
    if comparison.field == "tag":
        return tag_condition(RegisteredModelTag, comparison, RegisteredModelTag.model_id == RegisteredModel.id)
    return compare(MODEL_FIELDS[comparison.field], comparison)


def version_condition(comparison: Comparison) -> ColumnElement[bool]:
    """One comparison as a condition on model versions."""
    if comparison.field == "tag":
        mine = (ModelVersionTag.model_id == ModelVersion.model_id) & (ModelVersionTag.number == ModelVersion.number)
        return tag_condition(ModelVersionTag, comparison, mine)
    return compare(VERSION_FIELDS[comparison.field], comparison)


def compare(column: InstrumentedAttribute[Any], comparison: Comparison) -> ColumnElement[bool]:
    """A column, an operator and a bound value."""
    return OPERATORS[comparison.op](column, comparison.value)


def tag_condition(
    table: type[RegisteredModelTag] | type[ModelVersionTag], comparison: Comparison, mine: ColumnElement[bool]
) -> ColumnElement[bool]:
    """A tag of this key exists and its value compares; who has no such tag is not found, also not by `!=`."""
    condition = [mine, table.key == comparison.key, compare(table.value, comparison)]
    if comparison.op == "=" and isinstance(comparison.value, str):
        condition.append(func.left(table.value, INDEXED) == comparison.value[:INDEXED])  # what the index holds
    return exists().where(*condition)


def kind(search: Search) -> list[ColumnElement[bool]]:
    """Who asks for models does not mean prompts, which are registered models with the tag that says so."""
    if search.prompts:
        return []  # the filter itself says which
    tagged = exists().where(
        RegisteredModelTag.model_id == RegisteredModel.id,
        RegisteredModelTag.key == PROMPT_TAG,
        RegisteredModelTag.value == "true",
    )
    return [~tagged]


def pattern(text: str) -> str:
    """:raises Invalid: a LIKE pattern that ends in the middle of an escape, which PostgreSQL refuses."""
    if (len(text) - len(text.rstrip("\\"))) % 2:
        raise Invalid(f"The pattern '{text}' must not end with a single backslash: it escapes the next character.")
    return text
