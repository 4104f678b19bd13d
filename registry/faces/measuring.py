"""Counts each request, whatever becomes of it, and what the registry refuses."""

import time

from flask import Request, Response, current_app, request

from registry.errors import RegistryError
from registry.metrics.meters import Meters

BEGAN, CLOCK, RULE = "registry.began", "registry.clock", "registry.rule"
UNMATCHED = "unmatched"
FACES = (("/api/v1/", "rest"), ("/api/", "mlflow"), ("/ajax-api/", "mlflow"))
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def meters() -> Meters:
    """What this service counts with."""
    found: Meters = current_app.extensions["meters"]
    return found


def begin() -> None:
    """Start the clock of a request."""
    now, environ = time.monotonic(), request.environ
    environ[BEGAN] = now
    environ[CLOCK] = meters().board.start_clock(now)


def refused(error: RegistryError) -> None:
    """Note which rule refuses this request."""
    request.environ[RULE] = error.rule


def end(response: Response) -> Response:
    """Count the request. The caller chooses no label: all that is unknown goes under one name."""
    asked: Request = request._get_current_object()  # type: ignore[attr-defined]
    face, environ, rule = face_of(asked.path), asked.environ, asked.url_rule
    method = asked.method if asked.method in METHODS else "other"
    counting = meters()
    seconds = time.monotonic() - environ[BEGAN]
    counting.answered(face, method, rule.rule if rule else UNMATCHED, response.status_code, seconds)
    if RULE in environ:
        counting.refused(face, environ[RULE])
    return response


def forget(_: BaseException | None) -> None:
    """Stop the clock."""
    clock = request.environ.pop(CLOCK, None)
    if clock is not None:
        meters().board.stop_clock(clock)


def face_of(path: str) -> str:
    """Which face a path points at; what belongs to none is for operators."""
    return next((face for prefix, face in FACES if path.startswith(prefix)), "operations")
