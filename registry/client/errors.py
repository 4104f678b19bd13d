"""What can go wrong with a call: one tree of exceptions under `ServiceError`."""

from collections.abc import Mapping
from typing import Any

PROBLEM = "urn:model-registry:problem:"
"""What the `type` of every problem document of the registry begins with."""


class ServiceError(Exception):
    """The service refused, failed, gave an answer that makes no sense, or none.

    `detail` says what to do. `status` is the HTTP status (None: no answer came), `type` the stable name of the problem,
    `request_id` what the service's log and audit events call the request, `problem` the whole problem document.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        type: str = "",  # noqa: A002 (the word of RFC 9457)
        request_id: str | None = None,
        problem: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.type = type
        self.request_id = request_id
        self.problem = problem or {}


class Invalid(ServiceError):
    """The request makes no sense, whatever the state of the registry."""


class Unauthenticated(ServiceError):
    """No token, or one that is unknown, expired or revoked."""


class Forbidden(ServiceError):
    """The token's role does not include the permission."""


class NotFound(ServiceError):
    """The thing named does not exist, or was deleted."""


class Conflict(ServiceError):
    """The state of the registry is not the expected one, or the name is taken."""

    @property
    def holders(self) -> tuple[Mapping[str, Any], ...]:
        """Who holds the stage instead of those expected: `version`, `since` and `by` of each."""
        found = self.problem.get("holders")
        return tuple(found) if isinstance(found, list) else ()


class PreconditionFailed(ServiceError):
    """The thing has changed since it was read: its ETag is not the one given as `if_match`."""


class Unavailable(ServiceError):
    """The service cannot answer now; it was tried again until patience ran out."""


class Unreachable(ServiceError):
    """No answer came at all."""


class UnexpectedAnswer(ServiceError):
    """What answered is not a registry, or one that this client does not understand."""


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
    return CLASSES.get(status, ServiceError)(
        str(document.get("detail", "")),
        status=status,
        type=str(document["type"]),
        request_id=document.get("request_id"),
        problem=document,
    )
