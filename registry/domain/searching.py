"""Searching models and versions: what is asked for, page by page, with everything that is shown of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.orm import Session, contains_eager

from registry.domain import access, fields, full_text, lookup, paging, visible
from registry.domain.access import Principal
from registry.domain.conditions import condition
from registry.domain.fields import Field, field_of
from registry.domain.filtering import Node, OrderKey
from registry.domain.names import PROMPT_TAG
from registry.domain.paging import Key, Page
from registry.domain.registered_models import WITH_TAGS_AND_ALIASES, ModelDetail
from registry.tables import ModelVersion, RegisteredModel, RegisteredModelTag
from registry.vocabulary import Permission, Stage


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
    question = lookup.live_models().where(*narrowed).options(*WITH_TAGS_AND_ALIASES)
    page: Page[RegisteredModel] = paged(session, question, search, fields.MODELS, "models")
    newest: dict[int, list[ModelVersion]] = {model.id: [] for model in page.items}
    for version in lookup.newest(session, page.items, list(Stage)) if page.items else ():
        newest[version.model_id].append(version)
    return Page([ModelDetail(model, newest[model.id]) for model in page.items], page.next_token, page.total)


def versions(
    session: Session, principal: Principal, search: Search, *, with_aliases: bool = False
) -> Page[ModelVersion]:
    """Find model versions, with tags.

    :raises Forbidden: the principal may not read.
    :raises Invalid: the filter or the token is not right.
    """
    access.require(session, principal, Permission.READ)
    narrowed = [*holding(search, fields.VERSIONS), *visible.models(principal)]
    if search.words:
        narrowed.append(full_text.in_version(search.words))
    if search.model_id is not None:
        narrowed.append(ModelVersion.model_id == search.model_id)
    question = (
        select(ModelVersion)
        .join(ModelVersion.model)
        .where(ModelVersion.deleted_at.is_(None), RegisteredModel.deleted_at.is_(None), *narrowed)
        .options(contains_eager(ModelVersion.model), lookup.together(ModelVersion.tags))
    )
    if with_aliases:
        question = question.options(lookup.together(ModelVersion.aliases))
    return paged(session, question, search, fields.VERSIONS, "versions")


def versions_of(session: Session, principal: Principal, name: str, search: Search) -> Page[ModelVersion]:
    """Find versions of one model, with tags and aliases; it may be a prompt.

    :raises Forbidden: the principal may not read it.
    :raises Invalid: the filter or the token is not right.
    :raises ModelNotFound: no such model.
    """
    access.require(session, principal, Permission.READ, name)
    model_id = lookup.find_model(session, name).id
    return versions(session, principal, replace(search, model_id=model_id), with_aliases=True)


def paged(session: Session, question: Select[Any], search: Search, among: dict[str, Field], kind: str) -> Page[Any]:
    """One page of a question, in the order that is asked for, after the row that the token names."""
    keys = [Key(field_of(among, key.field).column, key.descending) for key in search.order]
    mark = mark_of(kind, search)
    total = count(session, question) if search.total else None
    if search.token:
        question = question.where(paging.after(keys, paging.decode(search.token, mark, keys)))
    rows = session.scalars(question.order_by(*(key.clause for key in keys)).limit(search.limit + 1))
    page = paging.cut(list(rows), search.limit, mark, lambda row: [value_of(row, key) for key in keys])
    return replace(page, total=total)


def mark_of(kind: str, search: Search) -> str:
    """What binds a token to its question: everything that narrows or orders it."""
    narrowed = (search.others, search.words, search.model_id)
    more = () if narrowed == (True, (), None) else narrowed
    return paging.fingerprint(kind, tuple(search.comparisons), tuple(search.order), search.prompts, *more)


def count(session: Session, question: Select[Any]) -> int:
    """How many rows a question finds on all its pages together."""
    return session.scalars(question.options().with_only_columns(func.count(), maintain_column_froms=True)).one()


def value_of(row: Any, key: Key) -> Any:
    """The value that a row has in a column of its order; a version has the name of its model."""
    holder = row.model if isinstance(row, ModelVersion) and key.column.class_ is RegisteredModel else row
    return getattr(holder, key.column.key)


def holding(search: Search, among: dict[str, Field]) -> list[ColumnElement[bool]]:
    """The filters, and whether prompts are meant: registered models with the tag that says so."""
    found = [condition(node, among) for node in search.comparisons]
    tagged = exists().where(
        RegisteredModelTag.model_id == RegisteredModel.id,
        RegisteredModelTag.key == PROMPT_TAG,
        RegisteredModelTag.value == "true",
    )
    if not search.prompts:
        found.append(~tagged)
    return found if search.others else [*found, tagged]
