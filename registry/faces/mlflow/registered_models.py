"""MLflow's routes for registered models, their tags and aliases."""

from typing import Any

from flask import Blueprint, g

from registry.domain import aliases, names, registered_models, searching, tags
from registry.domain.searching import Search
from registry.faces.contract import operation
from registry.faces.inbound import change, reading, rests_on
from registry.faces.mlflow import filters, schemas
from registry.faces.mlflow.wire import load
from registry.vocabulary import Stage

Answer = dict[str, Any]
ONE = schemas.OneRegisteredModel()
MANY = schemas.ManyRegisteredModels()
LATEST = schemas.LatestVersions()
ONE_VERSION = schemas.OneModelVersion()


def one(detail: registered_models.ModelDetail) -> Answer:
    """`{"registered_model": …}`."""
    return dict(ONE.dump({"registered_model": detail}))


@operation(
    "Register a model",
    "As MLflow's registered-models/create.",
    body=schemas.CreateRegisteredModel,
    answer=schemas.OneRegisteredModel,
    creates=True,
)
def create() -> Answer:
    """POST registered-models/create."""
    asked = load(schemas.CreateRegisteredModel)
    with change() as session:
        return one(registered_models.create(session, g.principal, **asked))


@operation(
    "Rename a model",
    "As MLflow's registered-models/rename.",
    body=schemas.RenameRegisteredModel,
    answer=schemas.OneRegisteredModel,
)
def rename() -> Answer:
    """POST registered-models/rename."""
    asked = load(schemas.RenameRegisteredModel)
    with change() as session:
        return one(registered_models.rename(session, g.principal, **asked))


@operation(
    "Describe a model",
    "As MLflow's registered-models/update: without a description, the description is cleared.",
    body=schemas.UpdateRegisteredModel,
    answer=schemas.OneRegisteredModel,
)
def update() -> Answer:
    """PATCH registered-models/update."""
    asked = load(schemas.UpdateRegisteredModel)
    with change() as session:
        return one(registered_models.describe(session, g.principal, **asked))


@operation(
    "Delete a model",
    "As MLflow's registered-models/delete. An administrator can bring the model back.",
    body=schemas.ModelName,
    answer=schemas.Nothing,
)
def delete() -> Answer:
    """DELETE registered-models/delete."""
    asked = load(schemas.ModelName)
    with change() as session:
        registered_models.delete(session, g.principal, **asked)
        return {}


@operation(
    "Get a model",
    "As MLflow's registered-models/get.",
    query=schemas.ModelName,
    answer=schemas.OneRegisteredModel,
)
def get() -> Answer:
    """GET registered-models/get."""
    asked = load(schemas.ModelName)
    found = registered_models.get(reading(), g.principal, **asked)
    rests_on(found.model.id)
    return one(found)


@operation(
    "Search models",
    "As MLflow's registered-models/search, with its grammar of filters. Prompts are left out unless the "
    "filter asks for them.",
    query=schemas.SearchRegisteredModels,
    answer=schemas.ManyRegisteredModels,
)
def search() -> Answer:
    """GET registered-models/search."""
    asked = load(schemas.SearchRegisteredModels)
    prompts, comparisons = filters.split_prompt_mode(filters.parse_model_filter(asked["filter"]))
    order = filters.parse_model_order_by(asked["order_by"])
    question = Search(comparisons, order, prompts, asked["max_results"], asked["page_token"])
    page = searching.models(reading(), g.principal, question)
    return dict(MANY.dump(page))


@operation(
    "The newest version of each stage",
    "As MLflow's registered-models/get-latest-versions, which answers both verbs.",
    body=schemas.GetLatestVersions,
    answer=schemas.LatestVersions,
)
def get_latest_versions() -> Answer:
    """POST and GET registered-models/get-latest-versions."""
    asked = load(schemas.GetLatestVersions)
    stages = [names.parse_stage(word) for word in asked["stages"]] or list(Stage)
    found = registered_models.latest_versions(reading(), g.principal, asked["name"], stages)
    if found:
        rests_on(found[0].model_id)
    return dict(LATEST.dump({"model_versions": found}))


@operation(
    "Tag a model",
    "As MLflow's registered-models/set-tag.",
    body=schemas.SetModelTag,
    answer=schemas.Nothing,
)
def set_tag() -> Answer:
    """POST registered-models/set-tag."""
    asked = load(schemas.SetModelTag)
    with change() as session:
        tags.set_on_model(session, g.principal, **asked)
        return {}


@operation(
    "Remove a model's tag",
    "As MLflow's registered-models/delete-tag. Also succeeds where there is none.",
    body=schemas.ModelTagKey,
    answer=schemas.Nothing,
)
def delete_tag() -> Answer:
    """DELETE registered-models/delete-tag."""
    asked = load(schemas.ModelTagKey)
    with change() as session:
        tags.unset_on_model(session, g.principal, **asked)
        return {}


@operation(
    "Set an alias",
    "As MLflow's registered-models/alias.",
    body=schemas.SetAlias,
    answer=schemas.Nothing,
)
def set_alias() -> Answer:
    """POST registered-models/alias."""
    asked = load(schemas.SetAlias)
    with change() as session:
        aliases.set(session, g.principal, **asked)
        return {}


@operation(
    "Remove an alias",
    "As MLflow's registered-models/alias. Also succeeds where there is none.",
    body=schemas.AliasKey,
    answer=schemas.Nothing,
)
def delete_alias() -> Answer:
    """DELETE registered-models/alias."""
    asked = load(schemas.AliasKey)
    with change() as session:
        aliases.unset(session, g.principal, **asked)
        return {}


@operation(
    "The version that an alias names",
    "As MLflow's registered-models/alias.",
    query=schemas.AliasKey,
    answer=schemas.OneModelVersion,
)
def get_by_alias() -> Answer:
    """GET registered-models/alias."""
    asked = load(schemas.AliasKey)
    version = aliases.get(reading(), g.principal, **asked)
    rests_on(version.model_id)
    return dict(ONE_VERSION.dump({"model_version": version}))


def mount(face: Blueprint) -> None:
    """Give the face these routes."""
    at = "/registered-models/"
    face.post(at + "create", endpoint="create_model")(create)
    face.post(at + "rename", endpoint="rename_model")(rename)
    face.patch(at + "update", endpoint="update_model")(update)
    face.delete(at + "delete", endpoint="delete_model")(delete)
    face.get(at + "get", endpoint="get_model")(get)
    face.get(at + "search", endpoint="search_models")(search)
    face.route(at + "get-latest-versions", methods=["GET", "POST"])(get_latest_versions)
    face.post(at + "set-tag", endpoint="set_model_tag")(set_tag)
    face.delete(at + "delete-tag", endpoint="delete_model_tag")(delete_tag)
    face.post(at + "alias")(set_alias)
    face.delete(at + "alias")(delete_alias)
    face.get(at + "alias")(get_by_alias)
