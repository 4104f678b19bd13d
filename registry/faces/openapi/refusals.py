"""With which statuses a route can refuse, and in what form. It follows from verb, path and input wherever it can."""

from collections.abc import Callable
from typing import Any

from registry.faces.mlflow.schemas import ErrorAnswer
from registry.faces.openapi.parameters import ANSWER_HEADERS
from registry.faces.openapi.routes import Route
from registry.faces.rest.schemas.problems import Problem

MEANINGS = {
    400: "The request is not right; the text says which part of it and why.",
    401: "There is no credential, or none that opens the door.",
    403: "The caller may not do this. The text says which grant denies it, or what is missing and who could give it.",
    404: "What the request names does not exist, or was deleted.",
    409: "The state of the registry is not the one that the request needs, or expects; or a request with the same "
    "`Idempotency-Key` is under way, and `Retry-After` says when to try again.",
    410: "The version that was meant has been purged. The audit log still describes it.",
    412: "It has changed since the caller read it: the `ETag` is not the one of `If-Match`.",
    413: "The body is larger than the service takes.",
    415: "The body is not declared as JSON.",
    422: "The `Idempotency-Key` was used before, for another request.",
    429: "Too many credentials that open no door came from the caller's address, or this one too often. Another "
    "attempt is looked at after the seconds of `Retry-After`; a good credential passes at any time.",
    503: "The database cannot answer now. The same request may succeed after the seconds of `Retry-After`.",
}
MLFLOW_MEANINGS = {
    400: "The request is not right, the name is taken, the alias does not exist, or the state is not the one needed: "
    "on this wire all of them are one. `error_code` and the text tell them apart.",
    409: "A request with the same `Idempotency-Key` is under way; try again after the seconds of `Retry-After`.",
}
RULES: dict[int, Callable[[Route], bool]] = {
    400: lambda route: bool(route.parts or route.query or route.body or route.writes),
    401: lambda route: route.operation.secured,
    403: lambda route: route.operation.secured and route.writes,
    404: lambda route: bool(route.parts) or names_a_model(route),
    409: lambda route: route.is_idempotent_by_key or (route.operation.creates and route.is_rest),
    412: lambda route: route.is_conditional and route.writes,
    413: lambda route: route.body is not None,
    415: lambda route: route.body is not None and route.is_rest,
    422: lambda route: route.is_idempotent_by_key,
    429: lambda route: route.operation.secured,
    503: lambda route: route.operation.secured,
}
NAMES = {
    400: "Invalid",
    401: "Unauthenticated",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Purged",
    412: "PreconditionFailed",
    413: "TooLarge",
    415: "NotJson",
    422: "KeyReused",
    429: "TooManyAttempts",
    503: "Unavailable",
}
IN_FLIGHT = 409
HEADERS = {401: ["WWW-Authenticate"], 429: ["Retry-After"], 503: ["Retry-After"]}


def names_a_model(route: Route) -> bool:
    """Whether the input names a model that must be there, as MLflow's does, which has nothing in its paths."""
    taken = route.query or route.body
    return route.is_mlflow and taken is not None and "name" in taken().fields and not route.operation.creates


def statuses(route: Route) -> list[int]:
    """The statuses with which a route can refuse."""
    found = {status for status, applies in RULES.items() if applies(route)}
    return sorted(found | set(route.operation.also))


def name(route: Route, status: int) -> str:
    """The name of the component that describes a refusal, such as `MlflowNotFound`."""
    return ("Mlflow" if route.is_mlflow else "") + NAMES[status]


def refusal(route: Route, status: int) -> dict[str, Any]:
    """A refusal in the words of the face."""
    kind, schema = ("application/json", ErrorAnswer) if route.is_mlflow else ("application/problem+json", Problem)
    meanings = MEANINGS | MLFLOW_MEANINGS if route.is_mlflow else MEANINGS
    headers: dict[str, Any] = {header: header for header in ("X-Request-ID", *HEADERS.get(status, []))}
    if status == IN_FLIGHT:
        headers["Retry-After"] = ANSWER_HEADERS["Retry-After"] | {"required": False}
    return {
        "description": meanings[status],
        "headers": headers,
        "content": {kind: {"schema": schema}},
    }
