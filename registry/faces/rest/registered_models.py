"""`/models`: registered models."""

from typing import Any, cast

from flask import Blueprint, g

from registry.domain import registered_models
from registry.domain.registered_models import Amendment
from registry.faces.contract import operation
from registry.faces.inbound import change, concerns, reading, rests_on
from registry.faces.rest.schemas.models import AmendModel, CreateModel, OneModel
from registry.faces.rest.wire import created, load_body

Answer = dict[str, Any]
New = tuple[Answer, int, dict[str, str]]
Done = tuple[str, int]
ONE = OneModel()


@operation(
    "Register a model",
    "A name, and what is known of it; versions come later. Names are compared exactly, and hold neither `/` nor `:`.",
    body=CreateModel,
    answer=OneModel,
    status=201,
    creates=True,
)
def create() -> New:
    """POST /models."""
    asked = load_body(CreateModel)
    concerns(asked["name"])
    with change() as session:
        made = registered_models.create(session, g.principal, **asked)
        return created(ONE.dump(made), "get_model", name=made.model.name)


@operation(
    "Get a model",
    "With its tags, its aliases and the newest version of each stage.",
    answer=OneModel,
)
def get(name: str) -> Answer:
    """GET /models/<name>."""
    found = registered_models.get(reading(), g.principal, name)
    rests_on(found.model.id)
    return dict(ONE.dump(found))


@operation(
    "Rename or describe a model",
    "What is left out stays. A new name takes the `rename` permission; aliases, versions and history go along.",
    body=AmendModel,
    answer=OneModel,
    also=(409,),
)
def amend(name: str) -> Answer:
    """PATCH /models/<name>."""
    asked = load_body(AmendModel)
    with change() as session:
        return dict(ONE.dump(registered_models.amend(session, g.principal, name, cast("Amendment", asked))))


@operation(
    "Delete a model",
    "With its versions. An administrator can bring it back from the trash until it is purged.",
    status=204,
)
def delete(name: str) -> Done:
    """DELETE /models/<name>."""
    with change() as session:
        registered_models.delete(session, g.principal, name)
        return "", 204


def mount(face: Blueprint) -> None:
    """Give the face these routes."""
    face.post("/models", endpoint="create_model")(create)
    face.get("/models/<name>", endpoint="get_model")(get)
    face.patch("/models/<name>", endpoint="amend_model")(amend)
    face.delete("/models/<name>", endpoint="delete_model")(delete)
