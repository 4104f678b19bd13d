"""`/models`, `/versions`, `/models/<name>/versions`: lists, narrowed by filter and words, in any order."""

from typing import Any

from flask import Blueprint, g

from registry.domain import asking, full_text, searching
from registry.domain.filtering import Node, OrderKey
from registry.domain.searching import Search
from registry.faces.contract import MayBeOld, operation
from registry.faces.inbound import reading
from registry.faces.rest.schemas.searches import Models, SearchInModelQuery, SearchQuery, Versions
from registry.faces.rest.wire import load_query

Answer = dict[str, Any]
MODELS = Models()
VERSIONS = Versions()
LISTED = MayBeOld("A list is out of date as soon as it was read: who acts on it is told by the change if it was.")


@operation(
    "Search models",
    "Page by page, in any order; without parameters, all of them by name.",
    query=SearchQuery,
    answer=Models,
    replica=LISTED,
)
def models() -> Answer:
    """GET /models."""
    asked = load_query(SearchQuery)
    where = [asking.model_filter(asked["filter"])] if asked["filter"] else []
    search = question(asked, where, asking.model_order(asked["order_by"]))
    return dict(MODELS.dump(searching.models(reading(), g.principal, search)))


@operation(
    "Search versions of all models",
    "Page by page, in any order; without parameters, those changed last come first.",
    query=SearchQuery,
    answer=Versions,
    replica=LISTED,
)
def versions() -> Answer:
    """GET /versions."""
    asked = load_query(SearchQuery)
    search = question(asked, version_filter(asked), asking.version_order(asked["order_by"]))
    return dict(VERSIONS.dump(searching.versions(reading(), g.principal, search)))


@operation(
    "Search versions of one model",
    "Page by page, in any order; without parameters, the highest number first.",
    query=SearchInModelQuery,
    answer=Versions,
    replica=LISTED,
)
def versions_of(name: str) -> Answer:
    """GET /models/<name>/versions."""
    asked = load_query(SearchInModelQuery)
    search = question(asked, version_filter(asked), asking.version_order_in_model(asked["order_by"]))
    return dict(VERSIONS.dump(searching.versions_of(reading(), g.principal, name, search)))


def version_filter(asked: dict[str, Any]) -> list[Node]:
    """The filter of versions, if one is given."""
    return [asking.version_filter(asked["filter"])] if asked["filter"] else []


def question(asked: dict[str, Any], where: list[Node], order: list[OrderKey]) -> Search:
    """What the query asks for."""
    return Search(
        where,
        order,
        prompts=asked["prompts"] != "exclude",
        others=asked["prompts"] != "only",
        words=full_text.words_of(asked["text"]) if asked["text"] is not None else (),
        total=asked["include_total"],
        limit=asked["limit"],
        token=asked["page_token"],
    )


def mount(face: Blueprint) -> None:
    """Give the face these routes."""
    face.get("/models", endpoint="search_models")(models)
    face.get("/versions", endpoint="search_versions")(versions)
    face.get("/models/<name>/versions", endpoint="search_versions_of_model")(versions_of)
