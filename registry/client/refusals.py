"""From answers that are no success to exceptions."""

from registry.client.answers import Holder
from registry.client.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    ServiceError,
    Unauthenticated,
    Unavailable,
    UnexpectedAnswer,
)
from registry.client.reading import read

PROBLEM = "urn:model-registry:problem:"
"""What the `type` of every problem document of the registry begins with."""

CLASSES: dict[int, type[ServiceError]] = {
    400: Invalid,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    405: UnexpectedAnswer,
    409: Conflict,
    412: PreconditionFailed,
    413: Invalid,
    414: Invalid,
    415: Invalid,
    422: Invalid,
    429: Unavailable,
    431: Invalid,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
FROM_ANYBODY = frozenset({401, 403, 429, 502, 503, 504})
"""Statuses that mean the same when something between us and the service sends them."""


def error_for(status: int, document: object, where: str) -> ServiceError:
    """The exception for an answer that is not a success; `document` is its JSON, or None where it had none."""
    if not isinstance(document, dict) or not str(document.get("type", "")).startswith(PROBLEM):
        kind = CLASSES[status] if status in FROM_ANYBODY else UnexpectedAnswer
        return kind(f"{where} answers with status {status}, and not as a model registry does.", status=status)
    error = CLASSES.get(status, ServiceError)(
        str(document.get("detail", "")),
        status=status,
        type=str(document["type"]),
        request_id=document.get("request_id"),
        problem=document,
    )
    if isinstance(error, Conflict):
        error.holders = tuple(read(Holder, one) for one in document.get("holders") or ())
    return error
