"""What can go wrong with a call: one tree of exceptions under `ServiceError`."""

from collections.abc import Mapping
from typing import Any

from registry.client.answers import Holder


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
    """We may not do this: a grant denies it, or none gives it, or the token is too narrow; `detail` says which."""


class NotFound(ServiceError):
    """The thing named does not exist, or was deleted."""


class Conflict(ServiceError):
    """The state of the registry is not the expected one, or the name is taken.

    `holders` says who stands in the stage instead of the version expected there.
    """

    holders: tuple[Holder, ...] = ()


class PreconditionFailed(ServiceError):
    """The thing has changed since it was read: its ETag is not the one given as `if_match`."""


class Unavailable(ServiceError):
    """The service cannot answer now; it was tried again until patience ran out."""


class Unreachable(ServiceError):
    """No answer came at all."""


class UnexpectedAnswer(ServiceError):
    """What answered is not a registry, or one that this client does not understand."""
