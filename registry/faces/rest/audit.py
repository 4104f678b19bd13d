"""`/audit`: who changed what, when and why; for the whole registry, for one model, for one version."""

from typing import Any

from flask import Blueprint, g

from registry.domain import audit
from registry.domain.audit import Question
from registry.faces.contract import operation
from registry.faces.inbound import reading
from registry.faces.rest import schemas
from registry.faces.rest.wire import load_query

EVENTS = schemas.Events()


@operation("Audit events", query=schemas.AuditQuery, answer=schemas.Events)
def search() -> dict[str, Any]:
    """GET /audit."""
    return answer(load_query(schemas.AuditQuery))


@operation("Audit events of one model", query=schemas.AuditQuery, answer=schemas.Events)
def of_model(name: str) -> dict[str, Any]:
    """GET /models/<name>/audit."""
    return answer(load_query(schemas.AuditQuery) | {"model": name})


@operation("Audit events of one version", query=schemas.AuditQuery, answer=schemas.Events)
def of_version(name: str, number: int) -> dict[str, Any]:
    """GET /models/<name>/versions/<number>/audit."""
    return answer(load_query(schemas.AuditQuery) | {"model": name, "version": number})


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Ask the log."""
    question = Question(
        model=asked["model"],
        number=asked["version"],
        actor=asked["actor"],
        action=asked["action"],
        since=asked["since"],
        until=asked["until"],
    )
    page = audit.search(
        reading(),
        g.principal,
        question,
        newest_first=asked["order"] == "newest",
        limit=asked["limit"],
        token=asked["page_token"],
    )
    return dict(EVENTS.dump(page))


def mount(face: Blueprint) -> None:
    """Give the face these routes."""
    face.get("/audit", endpoint="audit")(search)
    face.get("/models/<name>/audit", endpoint="model_audit")(of_model)
    face.get("/models/<name>/versions/<int:number>/audit", endpoint="version_audit")(of_version)
