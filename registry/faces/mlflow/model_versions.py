"""MLflow's routes for model versions, their stages and tags."""

from typing import Any

from flask import Blueprint, g

from registry.domain import model_versions, names, searching, stages, tags
from registry.domain.searching import Search
from registry.errors import Invalid
from registry.faces.contract import operation
from registry.faces.inbound import change, reading, rests_on
from registry.faces.mlflow import filters, schemas
from registry.faces.mlflow.wire import given_input, load

Answer = dict[str, Any]
ONE = schemas.OneModelVersion()
MANY = schemas.ManyModelVersions()
PAGE_MAX = 10_000
"""Rows in one page at the most, however many are asked for; a token leads to the rest."""


def one(version: object) -> Answer:
    """`{"model_version": …}`."""
    return dict(ONE.dump({"model_version": version}))


@operation(
    "Register a version",
    "As MLflow's model-versions/create. Numbers are never used twice.",
    body=schemas.CreateModelVersion,
    answer=schemas.OneModelVersion,
)
def create() -> Answer:
    """POST model-versions/create."""
    asked = load(schemas.CreateModelVersion)
    with change() as session:
        return one(model_versions.create(session, g.principal, **asked))


@operation(
    "Describe a version",
    "As MLflow's model-versions/update: without a description, the description is cleared.",
    body=schemas.UpdateModelVersion,
    answer=schemas.OneModelVersion,
)
def update() -> Answer:
    """PATCH model-versions/update."""
    asked = load(schemas.UpdateModelVersion)
    with change() as session:
        return one(model_versions.describe(session, g.principal, **asked))


@operation(
    "Move a version to a stage",
    "As MLflow's model-versions/transition-stage. Stages in any letter case.",
    body=schemas.TransitionModelVersionStage,
    answer=schemas.OneModelVersion,
)
def transition_stage() -> Answer:
    """POST model-versions/transition-stage."""
    asked = load(schemas.TransitionModelVersionStage)
    with change() as session:
        return one(stages.transition(session, g.principal, **asked))


@operation(
    "Delete a version",
    "As MLflow's model-versions/delete. An administrator can bring the version back.",
    body=schemas.VersionKey,
    answer=schemas.Nothing,
)
def delete() -> Answer:
    """DELETE model-versions/delete."""
    asked = load(schemas.VersionKey)
    with change() as session:
        model_versions.delete(session, g.principal, **asked)
        return {}


@operation(
    "Get a version",
    "As MLflow's model-versions/get.",
    query=schemas.VersionKey,
    answer=schemas.OneModelVersion,
)
def get() -> Answer:
    """GET model-versions/get."""
    asked = load(schemas.VersionKey)
    found = model_versions.get(reading(), g.principal, **asked)
    rests_on(found.model_id)
    return one(found)


@operation(
    "Search versions",
    "As MLflow's model-versions/search, with its grammar of filters.",
    query=schemas.SearchModelVersions,
    answer=schemas.ManyModelVersions,
)
def search() -> Answer:
    """GET model-versions/search."""
    asked = load(schemas.SearchModelVersions)
    prompts, comparisons = filters.split_prompt_mode(filters.parse_version_filter(asked["filter"]))
    order = filters.parse_version_order_by(asked["order_by"])
    limit = min(asked["max_results"], PAGE_MAX)
    page = searching.versions(reading(), g.principal, Search(comparisons, order, prompts, limit, asked["page_token"]))
    return dict(MANY.dump(page))


@operation(
    "Where the files of a version are",
    "As MLflow's model-versions/get-download-uri.",
    query=schemas.VersionKey,
    answer=schemas.DownloadUri,
)
def get_download_uri() -> Answer:
    """GET model-versions/get-download-uri. MLflow checks its two parameters differently from all others."""
    given = given_input(schemas.VersionKey)
    if not given.get("name"):
        raise names.missing("name")
    if not given.get("version"):
        raise Invalid("Parameter 'version' must be an integer, got ''.", "version")
    asked = load(schemas.VersionKey)
    return {"artifact_uri": model_versions.download_uri(reading(), g.principal, **asked)}


@operation(
    "Tag a version",
    "As MLflow's model-versions/set-tag.",
    body=schemas.SetVersionTag,
    answer=schemas.Nothing,
)
def set_tag() -> Answer:
    """POST model-versions/set-tag."""
    asked = load(schemas.SetVersionTag)
    with change() as session:
        tags.set_on_version(session, g.principal, **asked)
        return {}


@operation(
    "Remove a version's tag",
    "As MLflow's model-versions/delete-tag. Also succeeds where there is none.",
    body=schemas.VersionTagKey,
    answer=schemas.Nothing,
)
def delete_tag() -> Answer:
    """DELETE model-versions/delete-tag."""
    asked = load(schemas.VersionTagKey)
    with change() as session:
        tags.unset_on_version(session, g.principal, **asked)
        return {}


def mount(face: Blueprint) -> None:
    """Give the face these routes."""
    at = "/model-versions/"
    face.post(at + "create", endpoint="create_version")(create)
    face.patch(at + "update", endpoint="update_version")(update)
    face.post(at + "transition-stage")(transition_stage)
    face.delete(at + "delete", endpoint="delete_version")(delete)
    face.get(at + "get", endpoint="get_version")(get)
    face.get(at + "search", endpoint="search_versions")(search)
    face.get(at + "get-download-uri")(get_download_uri)
    face.post(at + "set-tag", endpoint="set_version_tag")(set_tag)
    face.delete(at + "delete-tag", endpoint="delete_version_tag")(delete_tag)
