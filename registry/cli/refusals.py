"""What the registry refuses, whether a service says so or the rules themselves, as the end of a command."""

from registry import errors
from registry.cli.faults import CONFLICT, FAULT, NOT_FOUND, REFUSED, UNREACHABLE, Failure
from registry.client import errors as answers
from registry.client.errors import ServiceError

EXIT_CODES: dict[type[Exception], int] = {
    answers.Unreachable: UNREACHABLE,
    answers.Unavailable: UNREACHABLE,
    answers.NotFound: NOT_FOUND,
    answers.Conflict: CONFLICT,
    answers.PreconditionFailed: CONFLICT,
    answers.Invalid: REFUSED,
    answers.Unauthenticated: REFUSED,
    answers.Forbidden: REFUSED,
    # the same from the rules themselves, for commands that work on the database
    errors.Unavailable: UNREACHABLE,
    errors.NotFound: NOT_FOUND,
    errors.AlreadyExists: CONFLICT,
    errors.Conflict: CONFLICT,
    errors.Invalid: REFUSED,
    errors.Unauthenticated: REFUSED,
    errors.Forbidden: REFUSED,
}


def of(error: Exception) -> Failure | None:
    """Return how a command ends after this; None if nobody could expect it."""
    if not isinstance(error, ServiceError | errors.RegistryError):
        return None
    return Failure(told(error), exit_code_of(error))


def told(error: ServiceError | errors.RegistryError) -> str:
    """What to say: the service's words, and what its operator needs to find the request."""
    if isinstance(error, errors.RegistryError) or not error.request_id:
        return str(error)
    return f"{error.detail}\n(request {error.request_id})"


def exit_code_of(error: Exception) -> int:
    """The exit code for a kind of error, that of the nearest class that has one."""
    return next((EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES), FAULT)
