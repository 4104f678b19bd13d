"""`/audit`: who changed what, when and why; for the whole registry, for one model, for one version."""

from typing import Any

from flask import Blueprint, Response, g

from registry.domain import audit
from registry.domain.audit import Question
from registry.faces.contract import MayBeOld, operation
from registry.faces.inbound import concerns, reading
from registry.faces.rest.audit_export import FILES, export, export_signed
from registry.faces.rest.audit_tail import follow
from registry.faces.rest.schemas.audit import AuditQuery, Events, ModelAuditQuery, Tail, VersionAuditQuery
from registry.faces.rest.wire import load_query

EVENTS = Events()
TAIL = Tail()
PAGE = 100
# Who follows the log waits for what comes, and is not to wait longer than it takes.
WRITTEN = MayBeOld(
    "Events are never changed: those of the last moment may be missing, as on any page.", but_with=("after",)
)
FILTERS = ("actor", "action", "subject", "since", "until", "request_id")


@operation(
    "Audit events",
    "Every change, written by the database in the transaction of the change itself. A page of JSON, or, with "
    "`format`, everything as JSON lines, byte for byte as it is stored, or as CSV, without an upper bound.",
    query=AuditQuery,
    answer=Events,
    files=FILES,
    also=(404, 409),
    replica=WRITTEN,
)
def search() -> dict[str, Any] | Response:
    """GET /audit."""
    asked = load_query(AuditQuery)
    return answer(asked, asked["model"], asked["version"])


@operation(
    "Audit events of one model",
    "Also under the names that it had before, and after it was deleted.",
    query=ModelAuditQuery,
    answer=Events,
    files=FILES,
    also=(409,),
    replica=WRITTEN,
)
def of_model(name: str) -> dict[str, Any] | Response:
    """GET /models/<name>/audit."""
    asked = load_query(ModelAuditQuery)
    return answer(asked, name, asked["version"])


@operation(
    "Audit events of one version",
    "Also after it was deleted. Empty for a version that never was.",
    query=VersionAuditQuery,
    answer=Events,
    files=FILES,
    also=(409,),
    replica=WRITTEN,
)
def of_version(name: str, number: int) -> dict[str, Any] | Response:
    """GET /models/<name>/versions/<number>/audit."""
    return answer(load_query(VersionAuditQuery), name, number)


def answer(asked: dict[str, Any], model: str | None, number: int | None) -> dict[str, Any] | Response:
    """Ask the log, for a page or for a file: a page is newest first, a file oldest first, unless they shall not be."""
    concerns(model)
    question = Question(model=model, number=number, **{name: asked[name] for name in FILTERS})
    kind, order, limit = asked["format"], asked["order"], asked["limit"]
    if asked["after"] is not None:
        return dict(TAIL.dump(follow(question, asked["after"], limit or PAGE, asked["wait"])))
    if (kind, question, limit) == ("jsonl", Question(), None) and order != "newest" and (whole := export_signed()):
        return whole
    if kind != "json":
        return export(question, kind, newest_first=order == "newest", limit=limit)
    page = audit.search(
        reading(),
        g.principal,
        question,
        newest_first=order != "oldest",
        limit=limit or PAGE,
        token=asked["page_token"],
    )
    return dict(EVENTS.dump(page))


def mount(face: Blueprint) -> None:
    """Give the face these routes."""
    face.get("/audit", endpoint="audit")(search)
    face.get("/models/<name>/audit", endpoint="model_audit")(of_model)
    face.get("/models/<name>/versions/<int:number>/audit", endpoint="version_audit")(of_version)
