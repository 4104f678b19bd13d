"""`/models/<name>/aliases`: movable names for one version of a model."""

from typing import Any

from flask import Blueprint, g

from registry.domain import aliases
from registry.faces.contract import operation
from registry.faces.inbound import change, reading
from registry.faces.rest.schemas.labels import Aliases, AliasTarget, OneAlias
from registry.faces.rest.wire import load_body

Answer = dict[str, Any]
Done = tuple[str, int]


@operation(
    "All aliases of a model",
    "Each with the number of the version that it names.",
    answer=Aliases,
)
def get_all(name: str) -> Answer:
    """GET /models/<name>/aliases."""
    return {"aliases": aliases.all_of(reading(), g.principal, name)}


@operation(
    "The version that an alias names",
    "Its number.",
    answer=OneAlias,
)
def get(name: str, alias: str) -> Answer:
    """GET /models/<name>/aliases/<alias>."""
    return {"alias": alias, "version": aliases.get(reading(), g.principal, name, alias).number}


@operation(
    "Set an alias",
    "It names this version from now on, whatever it named before. `latest`, and words like `v1`, are reserved.",
    body=AliasTarget,
    status=204,
)
def set_one(name: str, alias: str) -> Done:
    """PUT /models/<name>/aliases/<alias>."""
    asked = load_body(AliasTarget)
    with change() as session:
        aliases.set(session, g.principal, name, alias, asked["version"])
        return "", 204


@operation(
    "Remove an alias",
    "Also succeeds where there is none.",
    status=204,
)
def unset_one(name: str, alias: str) -> Done:
    """DELETE /models/<name>/aliases/<alias>."""
    with change() as session:
        aliases.unset(session, g.principal, name, alias)
        return "", 204


def mount(face: Blueprint) -> None:
    """Give the face these routes."""
    face.get("/models/<name>/aliases", endpoint="aliases")(get_all)
    face.get("/models/<name>/aliases/<alias>", endpoint="get_alias")(get)
    face.put("/models/<name>/aliases/<alias>", endpoint="set_alias")(set_one)
    face.delete("/models/<name>/aliases/<alias>", endpoint="unset_alias")(unset_one)
