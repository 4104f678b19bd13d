"""The document: every route with its parameters, bodies, answers and refusals."""

from typing import Any

from apispec import APISpec
from flask import Flask

import registry
from registry.faces.openapi import parameters, refusals
from registry.faces.openapi.examples import add_examples, refusal_example
from registry.faces.openapi.routes import Route, routes
from registry.faces.openapi.schemas import Plugin

DESCRIPTION = """
A model registry for MLflow users. `/api/2.0/mlflow` is MLflow's own registry API, for unmodified clients; the same
routes answer under `/ajax-api/2.0/mlflow`. `/api/v1` is everything else that the service can do.

**Credentials.** A token of this registry, as Bearer or as the password of Basic authentication with any user name.

**Refusals** change nothing. Those of `/api/v1` are problem documents (RFC 9457): `type` is for programs, `detail` for
people. Besides what stands with each operation, an unknown address is a 404, another verb a 405 with `Allow`, and an
address of more than 8190 bytes a 414 of the web server itself.

**Pages** have `items` and the address of the `next` page; it is null on the last one.

**Read, then change.** `/api/v1` answers with an `ETag`. `If-None-Match` saves sending again what the caller has;
`If-Match` makes a change only to what the caller has seen.

**Sent twice, done once.** A POST may bear an `Idempotency-Key`, on both faces.

**Receipts.** The answer to a change names in `Audit-Receipt` the events that it left in the audit log; whoever keeps it
can prove later that they were there.

**Times** are RFC 3339, in UTC. Where a change can have a reason, it comes with the body, or as `X-Registry-Reason`.
""".strip()
AUDIT = ("Audit", "Who changed what, when and why; proofs of that; and the past.")
HEADINGS = {
    "registered_models": ("Models", "Registered models: named lines of versions."),
    "model_versions": ("Versions", "Model versions, and their moves between stages."),
    "stages": ("Stages", "Who stands and stood in a stage, and the way back."),
    "aliases": ("Aliases", "Movable names for one version of a model."),
    "tags": ("Tags", "Keys with values, on models and versions."),
    "comments": ("Comments", "Signed remarks on models and versions."),
    "resolve": ("Resolution", "What a `models:/` URI names, now or at a moment; and who asks."),
    "audit": AUDIT,
    "proofs": AUDIT,
    "snapshot": AUDIT,
    "trash": ("Trash", "What was deleted, and can come back; for administrators."),
    "tokens": ("Tokens", "Who may come in; for administrators."),
}
"""The headings of our own face: the subjects, by the modules of their routes."""
MLFLOW = ("MLflow", "MLflow's registry API, for its unmodified clients.")
SERVICE = ("Service", "Whether the service works, and what it is. Open to everybody.")
NOT_MODIFIED = {name: name for name in ("X-Request-ID", "ETag")}
REQUEST_ID = "X-Request-ID"
SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of this registry, or a JWT of an issuer that it knows.",
    },
    "basic": {"type": "http", "scheme": "basic", "description": "Any user name, and a token as the password."},
}


def document(app: Flask) -> dict[str, Any]:
    """The whole contract of an application."""
    found = list(routes(app))
    spec = APISpec(
        title="Model Registry",
        version=registry.__version__,
        openapi_version="3.1.0",
        info={"description": DESCRIPTION, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        servers=[{"url": "/"}],
        tags=[{"name": name, "description": text} for name, text in headings(found)],
        security=[{name: []} for name in SECURITY_SCHEMES],
        plugins=[Plugin()],
    )
    add_components(spec, found)
    for route in found:
        spec.path(route.path, operations={route.verb: describe(route)})
    return {"openapi": "3.1.0"} | spec.to_dict()


def add_components(spec: APISpec, found: list[Route]) -> None:
    """Add what many operations have in common: headers, refusals, ways to authenticate."""
    for scheme, how in SECURITY_SCHEMES.items():
        spec.components.security_scheme(scheme, how)
    for name, (text, schema) in parameters.HEADERS.items():
        spec.components.parameter(name, "header", {"name": name, "description": text, "schema": schema})
    for name, header in parameters.ANSWER_HEADERS.items():
        spec.components.header(name, header)
    common = {refusals.name(route, status): (route, status) for route in found for status in refusals.statuses(route)}
    for name, (route, status) in sorted(common.items()):
        spec.components.response(name, shown(refusals.refusal(route, status), route, status))


def shown(refusal: dict[str, Any], route: Route, status: int) -> dict[str, Any]:
    """A refusal with an example, if there is one."""
    [content] = refusal["content"].values()
    content |= refusal_example(status, mlflow=route.is_mlflow)
    return refusal


def describe(route: Route) -> dict[str, Any]:
    """One operation as OpenAPI has it."""
    operation = route.operation
    found: dict[str, Any] = {
        "operationId": route.id,
        "summary": operation.summary,
        "description": operation.description,
        "tags": [heading(route)[0]],
        "parameters": [*parameters.path_parameters(route), *query(route), *parameters.header_parameters(route)],
    }
    if route.body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": route.body}}}
    found["responses"] = answers(route)
    if not operation.secured:
        found["security"] = []
    return add_examples(found, lambda status: refusals.refusal(route, status))


def headings(found: list[Route]) -> list[tuple[str, str]]:
    """All headings that are used, in their order."""
    used = {heading(route) for route in found}
    return [each for each in dict.fromkeys((*HEADINGS.values(), MLFLOW, SERVICE)) if each in used]


def heading(route: Route) -> tuple[str, str]:
    """The heading under which an operation stands."""
    if route.is_rest:
        return HEADINGS.get(route.module, HEADINGS["registered_models"])
    return MLFLOW if route.is_mlflow else SERVICE


def query(route: Route) -> list[dict[str, Any]]:
    """The parameters of a query, by its schema."""
    return [] if route.query is None else [{"in": "query", "schema": route.query}]


def answers(route: Route) -> dict[str, Any]:
    """Everything that can be answered, by status."""
    found: dict[str, Any] = {str(route.operation.status): success(route)}
    if route.is_conditional and route.verb == "get":
        found["304"] = {"description": "The caller has this already; there is no body.", "headers": NOT_MODIFIED}
    found |= {str(status): refusals.name(route, status) for status in refusals.statuses(route)}
    for status, schema in route.operation.otherwise.items():
        said = " ".join((schema.__doc__ or "").split())
        found[str(status)] = {"description": said, "headers": {REQUEST_ID: REQUEST_ID}, "content": content(schema)}
    return found


def success(route: Route) -> dict[str, Any]:
    """What is answered when all goes well."""
    answer = route.operation.answer
    found: dict[str, Any] = {"description": "Done.", "headers": parameters.answer_headers(route)}
    if answer is not None:
        found["content"] = content(answer) | {kind: {"schema": {"type": "string"}} for kind in route.operation.files}
    return found


def content(answer: Any) -> dict[str, Any]:
    """A JSON answer by its schema, or a text by its media type."""
    if isinstance(answer, str):
        return {answer: {"schema": {"type": "string"}}}
    return {"application/json": {"schema": answer}}
