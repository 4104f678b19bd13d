"""`/models/<name>/versions`: model versions, their tags, and their moves between stages."""

from typing import Any

from flask import Blueprint, g

from registry.domain import model_versions, stages, tags
from registry.faces.contract import operation
from registry.faces.inbound import change, reading
from registry.faces.rest import schemas
from registry.faces.rest.wire import load_body

Answer = dict[str, Any]
Done = tuple[str, int]
ONE = schemas.OneVersion()


@operation("Register a version", body=schemas.CreateVersion, answer=schemas.OneVersion, status=201)
def create(name: str) -> tuple[Answer, int]:
    """POST /models/<name>/versions."""
    asked = load_body(schemas.CreateVersion)
    with change() as session:
        return dict(ONE.dump(model_versions.create(session, g.principal, name, **asked))), 201


@operation("Get a version", answer=schemas.OneVersion)
def get(name: str, number: int) -> Answer:
    """GET /models/<name>/versions/<number>."""
    return dict(ONE.dump(model_versions.get(reading(), g.principal, name, number)))


@operation("Describe a version", body=schemas.Describe, answer=schemas.OneVersion)
def describe(name: str, number: int) -> Answer:
    """PATCH /models/<name>/versions/<number>."""
    asked = load_body(schemas.Describe)
    with change() as session:
        return dict(ONE.dump(model_versions.describe(session, g.principal, name, number, **asked)))


@operation("Delete a version", status=204)
def delete(name: str, number: int) -> Done:
    """DELETE /models/<name>/versions/<number>."""
    with change() as session:
        model_versions.delete(session, g.principal, name, number)
        return "", 204


@operation("Move a version to a stage", body=schemas.Transition, answer=schemas.OneVersion)
def transition(name: str, number: int) -> Answer:
    """POST /models/<name>/versions/<number>/transitions."""
    asked = load_body(schemas.Transition)
    expected = None
    if "expected_current" in asked:
        expected = [] if asked["expected_current"] is None else [asked["expected_current"]]
    with change(asked["reason"]) as session:
        version = stages.transition(
            session,
            g.principal,
            name,
            number,
            asked["to"],
            archive_others=asked["archive_existing"],
            expected=expected,
        )
        return dict(ONE.dump(version))


@operation("Tag a version", body=schemas.TagValue, status=204)
def set_tag(name: str, number: int, key: str) -> Done:
    """PUT /models/<name>/versions/<number>/tags/<key>."""
    asked = load_body(schemas.TagValue)
    with change() as session:
        tags.set_on_version(session, g.principal, name, number, key, asked["value"])
        return "", 204


@operation("Remove a version's tag", status=204)
def unset_tag(name: str, number: int, key: str) -> Done:
    """DELETE /models/<name>/versions/<number>/tags/<key>."""
    with change() as session:
        tags.unset_on_version(session, g.principal, name, number, key)
        return "", 204


def mount(face: Blueprint) -> None:
    """Give the face these routes."""
    at = "/models/<name>/versions"
    face.post(at, endpoint="create_version")(create)
    face.get(at + "/<int:number>", endpoint="get_version")(get)
    face.patch(at + "/<int:number>", endpoint="describe_version")(describe)
    face.delete(at + "/<int:number>", endpoint="delete_version")(delete)
    face.post(at + "/<int:number>/transitions", endpoint="transition")(transition)
    face.put(at + "/<int:number>/tags/<path:key>", endpoint="set_version_tag")(set_tag)
    face.delete(at + "/<int:number>/tags/<path:key>", endpoint="unset_version_tag")(unset_tag)
