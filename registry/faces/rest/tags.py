"""`…/tags`: keys with values, on a model or on one of its versions."""

from typing import Any

from flask import Blueprint, g

from registry.domain import tags
from registry.faces.contract import operation
from registry.faces.inbound import change, reading
from registry.faces.rest.schemas.labels import OneTag, TagChanges, Tags, TagValue
from registry.faces.rest.wire import load_body

Answer = dict[str, Any]
Done = tuple[str, int]


@operation(
    "All tags",
    "By key.",
    answer=Tags,
)
def get_all(name: str, number: int | None = None) -> Answer:
    """GET …/tags."""
    return {"tags": tags.all_of(reading(), g.principal, name, number)}


@operation(
    "Set and remove several tags",
    "In one transaction: all of it is done, or nothing. Keys that are not named stay.",
    body=TagChanges,
    answer=Tags,
)
def change_several(name: str, number: int | None = None) -> Answer:
    """PATCH …/tags."""
    asked = load_body(TagChanges)
    with change() as session:
        return {"tags": tags.change(session, g.principal, name, number, asked["tags"])}


@operation(
    "One tag",
    "Its value.",
    answer=OneTag,
)
def get(name: str, key: str, number: int | None = None) -> Answer:
    """GET …/tags/<key>."""
    return {"key": key, "value": tags.get(reading(), g.principal, name, number, key)}


@operation(
    "Set a tag",
    "Whatever its value was before.",
    body=TagValue,
    status=204,
)
def set_one(name: str, key: str, number: int | None = None) -> Done:
    """PUT …/tags/<key>."""
    asked = load_body(TagValue)
    with change() as session:
        tags.change(session, g.principal, name, number, {key: asked["value"]})
        return "", 204


@operation(
    "Remove a tag",
    "Also succeeds where there is none.",
    status=204,
)
def unset_one(name: str, key: str, number: int | None = None) -> Done:
    """DELETE …/tags/<key>."""
    with change() as session:
        tags.change(session, g.principal, name, number, {key: None})
        return "", 204


def mount(face: Blueprint) -> None:
    """Give the face these routes, for models and for versions."""
    for subject, at in {"model": "/models/<name>", "version": "/models/<name>/versions/<int:number>"}.items():
        face.get(f"{at}/tags", endpoint=f"{subject}_tags")(get_all)
        face.patch(f"{at}/tags", endpoint=f"change_{subject}_tags")(change_several)
        face.get(f"{at}/tags/<path:key>", endpoint=f"get_{subject}_tag")(get)
        face.put(f"{at}/tags/<path:key>", endpoint=f"set_{subject}_tag")(set_one)
        face.delete(f"{at}/tags/<path:key>", endpoint=f"unset_{subject}_tag")(unset_one)
