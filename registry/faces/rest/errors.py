"""Refusals as RFC 9457 problem documents: every class of refusal has a status here."""

import dataclasses
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import Response, current_app, g, request
from werkzeug.exceptions import HTTPException

from registry import errors
from registry.domain.times import rfc3339
from registry.errors import Conflict, InFlight, Invalid, RegistryError, TooManyAttempts, Unavailable
from registry.faces import measuring
from registry.faces.inbound import CHALLENGE
from registry.vocabulary import HTTP_PROBLEMS, http_problem

STATUSES: dict[type[RegistryError], int] = {
    errors.Invalid: 400,
    errors.Unauthenticated: 401,
    errors.TooManyAttempts: 429,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Purged: 410,
    errors.AlreadyExists: 409,
    errors.Conflict: 409,
    errors.PreconditionFailed: 412,
    errors.InFlight: 409,
    errors.KeyReused: 422,
    errors.Unavailable: 503,
    errors.Uncertain: 503,
}
FAULT = 500
TYPE = "urn:model-registry:problem:"
TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    408: "Request took too long",
    409: "Conflict",
    410: "Gone for good",
    411: "Length required",
    412: "Changed meanwhile",
    413: "Body too large",
    414: "Address too long",
    415: "Not JSON",
    416: "No such range",
    417: "Expectation failed",
    422: "Key already used",
    429: "Too many attempts",
    431: "Headers too large",
    500: "Service fault",
    501: "Not implemented",
    503: "Try again",
}


def slug_of(kind: type[RegistryError]) -> str:
    """What a class of refusals is called on the wire."""
    return "".join("-" + letter.lower() if letter.isupper() else letter for letter in kind.__name__).lstrip("-")


def types() -> dict[str, int]:
    """Every `type` that a problem document can have, with its status."""
    own = {TYPE + slug_of(kind): status for kind, status in STATUSES.items()}
    return own | {TYPE + slug: status for status, slug in HTTP_PROBLEMS.items()}


def kind_of(error: RegistryError) -> type[RegistryError]:
    """The nearest class of a refusal that has a line above."""
    return next(kind for kind in type(error).__mro__ if kind in STATUSES)


def refuse(error: RegistryError) -> Response:
    """Render a refusal of the registry."""
    measuring.refused(error)
    kind = kind_of(error)
    response = render(slug_of(kind), error.message, STATUSES[kind], members(error))
    if kind is errors.Unauthenticated:
        response.headers["WWW-Authenticate"] = CHALLENGE
    if isinstance(error, (Unavailable, InFlight, TooManyAttempts)):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def members(error: RegistryError) -> dict[str, Any]:
    """What a problem document says beside its text: the fields that are not right, or how things stand instead."""
    if isinstance(error, Conflict):
        return error.details
    faults = getattr(error, "faults", None)
    if faults is None and isinstance(error, Invalid) and error.field:
        faults = [{"field": error.field, "message": error.message}]
    return {"errors": faults} if faults else {}


def refuse_http(error: HTTPException) -> Response:
    """Render what the web server refuses: an unknown route, a wrong verb, a body that is too large."""
    status = error.code or 500
    return render(http_problem(status), detail_of(error, status), status, {})


def detail_of(error: HTTPException, status: int) -> str:
    """What to say of it: our own words where the web server's are meant for people before a browser."""
    if error.description and error.description != type(error).description:
        return error.description
    own = {
        400: "This is no well-formed request.",
        404: f"There is nothing at {request.path}.",
        405: f"{request.path} does not take {request.method}; the header Allow lists what it takes.",
        413: f"The body is longer than {current_app.config['MAX_CONTENT_LENGTH']} bytes.",
    }
    return own.get(status, error.description or error.name)


def render(slug: str, detail: str, status: int, extra: Mapping[str, Any]) -> Response:
    """A problem document; `type` is stable and for programs, `detail` for people."""
    problem = {
        "type": TYPE + slug,
        "title": TITLES.get(status, "Refused" if status < FAULT else "Service fault"),
        "status": status,
        "detail": detail,
        "request_id": g.get("request_id"),
        **extra,
    }
    request.environ["registry.outcome"] = slug
    return Response(json.dumps(problem, default=plain), status, mimetype="application/problem+json")


def plain(value: object) -> object:
    """A value of the domain as JSON has it: times in RFC 3339, records as objects."""
    if isinstance(value, datetime):
        return rfc3339(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)
