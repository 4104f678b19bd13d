"""Refusals as RFC 9457 problem documents: every class of refusal has a status here."""

import json

from flask import Response, g, request
from werkzeug.exceptions import HTTPException

from registry import errors
from registry.errors import Invalid, RegistryError, Unavailable
from registry.faces.inbound import CHALLENGE

STATUSES: dict[type[RegistryError], int] = {
    errors.Invalid: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.AlreadyExists: 409,
    errors.Conflict: 409,
    errors.Unavailable: 503,
}
FAULT = 500
TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Body too large",
    415: "Not JSON",
    503: "Try again",
}


def kind_of(error: RegistryError) -> type[RegistryError]:
    """The nearest class of a refusal that has a line above."""
    return next(kind for kind in type(error).__mro__ if kind in STATUSES)


def refuse(error: RegistryError) -> Response:
    """Render a refusal of the registry."""
    kind = kind_of(error)
    status = STATUSES[kind]
    faults = getattr(error, "faults", None)
    if faults is None and isinstance(error, Invalid) and error.field:
        faults = [{"field": error.field, "message": error.message}]
    response = render(kind.__name__, error.message, status, faults)
    if kind is errors.Unauthenticated:
        response.headers["WWW-Authenticate"] = CHALLENGE
    if isinstance(error, Unavailable):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def refuse_http(error: HTTPException) -> Response:
    """Render what the web server refuses: an unknown route, a wrong verb, a body that is too large."""
    status = error.code or 500
    return render(type(error).__name__, error.description or error.name, status, None)


def render(kind: str, detail: str, status: int, faults: list[dict[str, str]] | None) -> Response:
    """A problem document; `type` is stable and for programs, `detail` for people."""
    slug = "".join("-" + letter.lower() if letter.isupper() else letter for letter in kind).lstrip("-")
    problem: dict[str, object] = {
        "type": f"urn:model-registry:problem:{slug}",
        "title": TITLES.get(status, "Refused" if status < FAULT else "Service fault"),
        "status": status,
        "detail": detail,
        "request_id": g.get("request_id"),
    }
    if faults:
        problem["errors"] = faults
    request.environ["registry.outcome"] = slug
    return Response(json.dumps(problem), status, mimetype="application/problem+json")
