"""The one question that the registry may ask of a tracking server: where a logged model lies, and what run made it.

Only where REGISTRY_TRACKING_URL is set, at registration, with a short timeout. No answer means not known: the version
is registered all the same.
"""

import base64
import json
import logging
import time
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import Request, urlopen

from registry.config import Settings
from registry.domain import names
from registry.errors import Invalid

log = logging.getLogger(__name__)
ANSWER_MAX = 1_000_000  # bytes
CHUNK = 65_536  # bytes

# No answer; no HTTP; no JSON; JSON nested beyond measure; not the JSON that was asked for; texts that cannot be kept.
UNUSABLE = (OSError, HTTPException, ValueError, RecursionError, KeyError, TypeError, AttributeError, Invalid)


@dataclass(frozen=True, slots=True)
class Located:
    """What the tracking server knows of a logged model; empty where it does not say."""

    storage_location: str | None = None
    run_id: str = ""


def locate(settings: Settings, model_id: str) -> Located:
    """Ask the tracking server for a logged model; never fails."""
    if settings.tracking_url is None:
        return Located()
    base, headers = without_credentials(settings.tracking_url)
    try:
        info = ask(f"{base}/api/2.0/mlflow/logged-models/{quote(model_id)}", headers, settings.tracking_timeout_seconds)
        return read(info, base)
    except UNUSABLE as error:
        log.warning("the tracking server did not say where %s lies: %s", model_id, type(error).__name__)
        return Located()


def ask(url: str, headers: dict[str, str], timeout: float) -> dict[str, Any]:
    """GET a JSON document."""
    request = Request(url)  # noqa: S310 (the settings allow only http and https)
    for name, value in headers.items():
        request.add_unredirected_header(name, value)  # a redirect may lead to somebody else
    until = time.monotonic() + timeout
    with urlopen(request, timeout=timeout) as answer:  # noqa: S310
        found: dict[str, Any] = json.loads(body(answer, until))
    return found


def body(answer: HTTPResponse, until: float) -> bytes:
    """Read an answer to its end, unless it is too long or not there in time: `timeout` is for each packet alone."""
    found = b""
    while chunk := answer.read1(CHUNK):
        found += chunk
        if len(found) > ANSWER_MAX or time.monotonic() > until:
            raise TimeoutError
    return found


def read(answer: dict[str, Any], base: str) -> Located:
    """Take location and run out of an answer of MLflow's GetLoggedModel."""
    info = answer["model"]["info"]
    location = checked("artifact_uri", info["artifact_uri"], names.SOURCE_MAX)
    run_id = checked("source_run_id", info.get("source_run_id") or "", names.RUN_ID_MAX)
    if location.startswith("mlflow-artifacts:/") and not location.startswith("mlflow-artifacts://"):
        # Relative to whatever tracking server the consumer has; made absolute, it loads with any.
        path = location.removeprefix("mlflow-artifacts:/").lstrip("/")
        location = f"{base}/api/2.0/mlflow-artifacts/artifacts/{path}"
    if not location:
        raise ValueError
    return Located(location, run_id)


def checked(field: str, value: object, limit: int) -> str:
    """A text of the answer, if it is one that the registry can keep."""
    if not isinstance(value, str):
        raise TypeError
    names.check_text(field, value, limit)
    names.check_storable(field, value)
    return value


def without_credentials(url: str) -> tuple[str, dict[str, str]]:
    """Take user and password out of a URL: they go into a header, never into what consumers are told."""
    parts = urlsplit(url)
    address = parts.netloc.rpartition("@")[2]
    bare = urlunsplit((parts.scheme, address, parts.path.rstrip("/"), "", ""))
    if parts.username is None:
        return bare, {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return bare, {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
