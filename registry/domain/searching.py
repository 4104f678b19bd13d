"""Searching models and versions: what is asked for, page by page, with everything that is shown of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.orm import Session

from registry.db import found
from registry.domain import access, fields, full_text, labels, lookup, paging, visible
from registry.domain.access import Principal
from registry.domain.conditions import condition
from registry.domain.fields import Field, field_of
from registry.domain.filtering import Node, OrderKey
from registry.domain.names import PROMPT_TAG
from registry.domain.paging import Key, Page
from registry.domain.registered_models import ModelDetail
from registry.settled import Shape
from registry.tables import ModelVersion, RegisteredModel, RegisteredModelTag
from registry.vocabulary import Permission, Stage

Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked: filters that must all hold, and an order that leaves no ties.

    `prompts`, `others`: whether prompts, and whether models that are none, are found. Each of `words` must be found
    somewhere in the texts of a thing. With `model_id`, only versions of that model; with `total`, count them all.
    """

    comparisons: Sequence[Node] = ()
    order: Sequence[OrderKey] = ()
    prompts: bool = False
    limit: int = 100
    token: str | None = None
    others: bool = True
    words: tuple[str, ...] = ()
    model_id: int | None = None
    total: bool = False


def models(session: Session, principal: Principal, search: Search) -> Page[ModelDetail]:
    """Find registered models, with tags, aliases and newest versions.

    :raises Forbidden: the principal may not read.
    :raises Invalid: the filter or the token is not right.
    """
    access.require(session, principal, Permission.READ)
    narrowed = [*holding(search, fields.MODELS), *visible.models(principal)]
    if search.words:
        narrowed.append(full_text.in_model(search.words))
    page: Page[RegisteredModel] = paged(session, MODELS.where(*narrowed), search, fields.MODELS, model_of)
    newest: dict[int, list[ModelVersion]] = {model.id: [] for model in page.items}
    for version in lookup.newest(session, page.items, list(Stage)) if page.items else ():
        newest[version.model_id].append(version)
    return Page([ModelDetail(model, newest[model.id]) for model in page.items], page.next_token, page.total)


def versions(session: Session, principal: Principal, search: Search) -> Page[ModelVersion]:
    """Find model versions, with their models, tags and aliases.

    :raises Forbidden: the principal may not read.
    :raises Invalid: the filter or the token is not right.
    """
    access.require(session, principal, Permission.READ)
    narrowed = [*holding(search, fields.VERSIONS), *visible.models(principal)]
    if search.words:
        narrowed.append(full_text.in_version(search.words))
    if search.model_id is not None:
        narrowed.append(ModelVersion.model_id == search.model_id)
    return paged(session, VERSIONS.where(*narrowed), search, fields.VERSIONS, version_of)


def versions_of(session: Session, principal: Principal, name: str, search: Search) -> Page[ModelVersion]:
    """Find versions of one model, with tags and aliases; it may be a prompt.

    :raises Forbidden: the principal may not read it.
    :raises Invalid: the filter or the token is not right.
    :raises ModelNotFound: no such model.
    """
    access.require(session, principal, Permission.READ, name)
    model_id = lookup.find_model(session, name).id
    return versions(session, principal, replace(search, model_id=model_id))


def paged(
    session: Session, question: Select[Any], search: Search, among: dict[str, Field], read: Callable[[Row], Any]
) -> Page[Any]:
    """One page of a question, in the order that is asked for, after the row that the token names."""
    keys = [Key(field_of(among, key.field).column, key.descending) for key in search.order]
    mark = mark_of("models" if among is fields.MODELS else "versions", search)
    total = count(session, question) if search.total else None
    if search.token:
        question = question.where(paging.after(keys, paging.decode(search.token, mark, keys)))
    rows = found(session, question.order_by(*(key.clause for key in keys)).limit(search.limit + 1))
    page = paging.cut([read(row) for row in rows], search.limit, mark, lambda row: [value_of(row, key) for key in keys])
    return replace(page, total=total)


def model_of(row: Row) -> RegisteredModel:
    """The model that a row of `MODELS` is of."""
    return labels.labelled_model(MODEL_ROW.read(row))


def version_of(row: Row) -> ModelVersion:
    """The version that a row of `VERSIONS` is of."""
    model, *version = VERSION_ROW.read(row)
    return labels.labelled(version, model)


def mark_of(kind: str, search: Search) -> str:
    """What binds a token to its question: everything that narrows or orders it."""
    narrowed = (search.others, search.words, search.model_id)
    more = () if narrowed == (True, (), None) else narrowed
    return paging.fingerprint(kind, tuple(search.comparisons), tuple(search.order), search.prompts, *more)


def count(session: Session, question: Select[Any]) -> int:
    """How many rows a question finds on all its pages together."""
    return session.scalars(question.with_only_columns(func.count(), maintain_column_froms=True)).one()


def value_of(row: Any, key: Key) -> Any:
    """The value that a row has in a column of its order; a version has the name of its model."""
    holder = row.model if isinstance(row, ModelVersion) and key.column.class_ is RegisteredModel else row
    return getattr(holder, key.column.key)


def holding(search: Search, among: dict[str, Field]) -> list[ColumnElement[bool]]:
    """The filters, and whether prompts are meant: registered models with the tag that says so."""
    conditions = [condition(node, among) for node in search.comparisons]
    if not search.prompts:
        conditions.append(IS_NO_PROMPT)
    return conditions if search.others else [*conditions, IS_PROMPT]


def prompt() -> ColumnElement[bool]:
    """The condition that a model is a prompt."""
    tag = RegisteredModelTag
    return exists().where(tag.model_id == RegisteredModel.id, tag.key == PROMPT_TAG, tag.value == "true")


def live_versions() -> Select[RegisteredModel, ModelVersion]:
    """The question for all versions, each behind its model."""
    live = (ModelVersion.deleted_at.is_(None), RegisteredModel.deleted_at.is_(None))
    return select(RegisteredModel, ModelVersion).join(ModelVersion.model).where(*live)


# What is the same in all searches is built once: to build takes longer than to ask.
IS_PROMPT = prompt()
IS_NO_PROMPT = ~IS_PROMPT
MODELS = labels.with_model_labels(lookup.live_models())
VERSIONS = labels.with_labels(live_versions(), ModelVersion)
MODEL_ROW, VERSION_ROW = Shape(MODELS), Shape(VERSIONS)
