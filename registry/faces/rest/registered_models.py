"""`/models`: registered models, their tags and aliases."""

from typing import Any

from flask import Blueprint, g

from registry.domain import aliases, registered_models, tags
from registry.faces.contract import operation
from registry.faces.inbound import change, concerns, reading
from registry.faces.rest import schemas
from registry.faces.rest.wire import load_body

Answer = dict[str, Any]
Done = tuple[str, int]
ONE = schemas.OneModel()


@operation("Register a model", body=schemas.CreateModel, answer=schemas.OneModel, status=201)
def create() -> tuple[Answer, int]:
    """POST /models."""
    asked = load_body(schemas.CreateModel)
    concerns(asked["name"])
    with change() as session:
        return dict(ONE.dump(registered_models.create(session, g.principal, **asked))), 201


@operation("Get a model", answer=schemas.OneModel)
def get(name: str) -> Answer:
    """GET /models/<name>."""
    return dict(ONE.dump(registered_models.get(reading(), g.principal, name)))


@operation("Describe a model", body=schemas.Describe, answer=schemas.OneModel)
def describe(name: str) -> Answer:
    """PATCH /models/<name>."""
    asked = load_body(schemas.Describe)
    with change() as session:
        return dict(ONE.dump(registered_models.describe(session, g.principal, name, **asked)))


@operation("Delete a model", status=204)
def delete(name: str) -> Done:
    """DELETE /models/<name>."""
    with change() as session:
        registered_models.delete(session, g.principal, name)
        return "", 204


@operation("Tag a model", body=schemas.TagValue, status=204)
def set_tag(name: str, key: str) -> Done:
    """PUT /models/<name>/tags/<key>."""
    asked = load_body(schemas.TagValue)
    with change() as session:
        tags.set_on_model(session, g.principal, name, key, asked["value"])
        return "", 204


@operation("Remove a model's tag", status=204)
def unset_tag(name: str, key: str) -> Done:
    """DELETE /models/<name>/tags/<key>."""
    with change() as session:
        tags.unset_on_model(session, g.principal, name, key)
        return "", 204


@operation("Set an alias", body=schemas.AliasTarget, status=204)
def set_alias(name: str, alias: str) -> Done:
    """PUT /models/<name>/aliases/<alias>."""
    asked = load_body(schemas.AliasTarget)
    with change() as session:
        aliases.set(session, g.principal, name, alias, asked["version"])
        return "", 204


@operation("Remove an alias", status=204)
def unset_alias(name: str, alias: str) -> Done:
    """DELETE /models/<name>/aliases/<alias>."""
    with change() as session:
        aliases.unset(session, g.principal, name, alias)
        return "", 204


def mount(face: Blueprint) -> None:
    """Give the face these routes."""
    face.post("/models", endpoint="create_model")(create)
    face.get("/models/<name>", endpoint="get_model")(get)
    face.patch("/models/<name>", endpoint="describe_model")(describe)
    face.delete("/models/<name>", endpoint="delete_model")(delete)
    face.put("/models/<name>/tags/<path:key>", endpoint="set_model_tag")(set_tag)
    face.delete("/models/<name>/tags/<path:key>", endpoint="unset_model_tag")(unset_tag)
    face.put("/models/<name>/aliases/<alias>", endpoint="set_alias")(set_alias)
    face.delete("/models/<name>/aliases/<alias>", endpoint="unset_alias")(unset_alias)
