"""Refusals in MLflow's words: every class of refusal has a code here, and every code a status.

A missing alias is an invalid parameter on this wire, and a duplicate is a 400: clients rely on both.
"""

from flask import Response, jsonify, request
from werkzeug.exceptions import HTTPException

from registry import errors
from registry.errors import InFlight, RegistryError, TooManyAttempts, Unavailable
from registry.faces import measuring
from registry.faces.inbound import CHALLENGE

CODES: dict[type[RegistryError], tuple[str, int]] = {
    errors.Invalid: ("INVALID_PARAMETER_VALUE", 400),
    errors.Unauthenticated: ("UNAUTHENTICATED", 401),
    errors.TooManyAttempts: ("REQUEST_LIMIT_EXCEEDED", 429),
    errors.Forbidden: ("PERMISSION_DENIED", 403),
    errors.NotFound: ("RESOURCE_DOES_NOT_EXIST", 404),
    errors.AliasNotFound: ("INVALID_PARAMETER_VALUE", 400),
    errors.AlreadyExists: ("RESOURCE_ALREADY_EXISTS", 400),
    errors.Conflict: ("INVALID_PARAMETER_VALUE", 400),
    errors.PreconditionFailed: ("INVALID_PARAMETER_VALUE", 412),
    errors.InFlight: ("RESOURCE_CONFLICT", 409),
    errors.KeyReused: ("INVALID_PARAMETER_VALUE", 422),
    errors.Unavailable: ("TEMPORARILY_UNAVAILABLE", 503),
}

FAULT = 500

# Source: MLflow's error codes on the wire. What is missing here clients fill in themselves.
STATES = {
    "INVALID_PARAMETER_VALUE": ("KAM00", "INVALID_PARAMETER_VALUE"),
    "BAD_REQUEST": ("KAM00", "INVALID_PARAMETER_VALUE"),
    "RESOURCE_ALREADY_EXISTS": ("KAM00", "RESOURCE_ALREADY_EXISTS"),
    "PERMISSION_DENIED": ("KAM00", "PERMISSION_DENIED"),
    "RESOURCE_DOES_NOT_EXIST": ("KAM00", "RESOURCE_NOT_FOUND"),
    "ENDPOINT_NOT_FOUND": ("KAM00", "RESOURCE_NOT_FOUND"),
    "INTERNAL_ERROR": ("XXM00", "CLIENT_INTERNAL_ERROR"),
    "TEMPORARILY_UNAVAILABLE": ("XXM00", "CLIENT_INTERNAL_ERROR"),
}


def code_of(error: RegistryError) -> tuple[str, int]:
    """Code and status of a refusal: those of the nearest class that has a line."""
    return next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)


def refuse(error: RegistryError) -> Response:
    """Render a refusal of the registry."""
    measuring.refused(error)
    code, status = code_of(error)
    response = render(code, error.message, status)
    if code == "UNAUTHENTICATED":
        response.headers["WWW-Authenticate"] = CHALLENGE
    if isinstance(error, (Unavailable, InFlight, TooManyAttempts)):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def refuse_http(error: HTTPException) -> Response:
    """Render what the web server refuses: an unknown route, a wrong verb, a body that is too large."""
    status = error.code or 500
    if status in {404, 405}:
        message = f"No such endpoint: {request.method} {request.path}"
        return render("ENDPOINT_NOT_FOUND", message, status)
    return render("BAD_REQUEST" if status < FAULT else "INTERNAL_ERROR", error.description or error.name, status)


def render(code: str, message: str, status: int) -> Response:
    """An error as MLflow clients read it."""
    body = {"error_code": code, "message": message}
    if code in STATES:
        body["sqlstate"], body["error_class"] = STATES[code]
    response = jsonify(body)
    response.status_code = status
    request.environ["registry.outcome"] = code
    return response
