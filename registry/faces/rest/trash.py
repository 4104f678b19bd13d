"""`/trash`: what was deleted, its way back, and its way out for good; for administrators."""

from typing import Any

from flask import Blueprint, g

from registry.domain import trash
from registry.faces.contract import operation
from registry.faces.inbound import change, concerns, reading
from registry.faces.rest.schemas.models import OneModel
from registry.faces.rest.schemas.trash import (
    Restore,
    RestoreModel,
    TrashedModel,
    TrashedModels,
    TrashedVersion,
    TrashedVersions,
)
from registry.faces.rest.schemas.versions import OneVersion
from registry.faces.rest.wire import PageQuery, load_body, load_query

Answer = dict[str, Any]
Done = tuple[str, int]
MODELS, VERSIONS = TrashedModels(), TrashedVersions()
TRASHED_MODEL, TRASHED_VERSION = TrashedModel(), TrashedVersion()
ONE_MODEL, ONE_VERSION = OneModel(), OneVersion()


@operation(
    "Deleted models, latest deleted first",
    "With the number of versions that would come back with each.",
    query=PageQuery,
    answer=TrashedModels,
    also=(403,),
)
def models() -> Answer:
    """GET /trash/models."""
    asked = load_query(PageQuery)
    return dict(MODELS.dump(trash.models(reading(), g.principal, limit=asked["limit"], token=asked["page_token"])))


@operation(
    "Deleted versions of models that are there",
    "Latest deleted first.",
    query=PageQuery,
    answer=TrashedVersions,
    also=(403,),
)
def versions() -> Answer:
    """GET /trash/versions."""
    asked = load_query(PageQuery)
    return dict(VERSIONS.dump(trash.versions(reading(), g.principal, limit=asked["limit"], token=asked["page_token"])))


@operation("One deleted model", "With the number of versions that would come back.", answer=TrashedModel)
def model(model_id: int) -> Answer:
    """GET /trash/models/<id>."""
    return dict(TRASHED_MODEL.dump(trash.get_model(reading(), g.principal, model_id)))


@operation("One deleted version", "Of a model that is there: others come and go with it.", answer=TrashedVersion)
def version(model_id: int, number: int) -> Answer:
    """GET /trash/models/<id>/versions/<number>."""
    return dict(TRASHED_VERSION.dump(trash.get_version(reading(), g.principal, model_id, number)))


@operation(
    "Restore a model",
    "Its versions, tags and aliases come back as they were. With `name` it comes back under another name.",
    body=RestoreModel,
    answer=OneModel,
    creates=True,
)
def restore_model(model_id: int) -> Answer:
    """POST /trash/models/<id>/restore."""
    asked = load_body(RestoreModel)
    with change(asked["reason"]) as session:
        restored = trash.restore_model(session, g.principal, model_id, name=asked["name"])
        concerns(restored.model.name)
        return dict(ONE_MODEL.dump(restored))


@operation(
    "Restore a version",
    "It comes back without its aliases, and as Archived if it was deleted in Staging or Production.",
    body=Restore,
    answer=OneVersion,
    also=(409,),
)
def restore_version(model_id: int, number: int) -> Answer:
    """POST /trash/models/<id>/versions/<number>/restore."""
    asked = load_body(Restore)
    with change(asked["reason"]) as session:
        restored = trash.restore_version(session, g.principal, model_id, number)
        concerns(restored.model.name)
        return dict(ONE_VERSION.dump(restored))


@operation(
    "Purge a deleted model, for good",
    "With its versions. What it was stays in the audit log; nothing brings it back.",
    status=204,
)
def purge_model(model_id: int) -> Done:
    """DELETE /trash/models/<id>."""
    with change() as session:
        trash.purge_model(session, g.principal, model_id)
        return "", 204


@operation(
    "Purge a deleted version, for good",
    "What it was stays in the audit log; nothing brings it back, and its number is not used again.",
    status=204,
)
def purge_version(model_id: int, number: int) -> Done:
    """DELETE /trash/models/<id>/versions/<number>."""
    with change() as session:
        trash.purge_version(session, g.principal, model_id, number)
        return "", 204


def mount(face: Blueprint) -> None:
    """Give the face these routes."""
    one_model = "/trash/models/<int:model_id>"
    one_version = one_model + "/versions/<int:number>"
    face.get("/trash/models", endpoint="trashed_models")(models)
    face.get("/trash/versions", endpoint="trashed_versions")(versions)
    face.get(one_model, endpoint="trashed_model")(model)
    face.get(one_version, endpoint="trashed_version")(version)
    face.post(one_model + "/restore", endpoint="restore_model")(restore_model)
    face.delete(one_model, endpoint="purge_model")(purge_model)
    face.post(one_version + "/restore", endpoint="restore_version")(restore_version)
    face.delete(one_version, endpoint="purge_version")(purge_version)
