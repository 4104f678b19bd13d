"""The one question that the registry may ask of a tracking server: where a logged model lies, and what run made it.

Only where REGISTRY_TRACKING_URL is set, at registration, with a short timeout. No answer means not known: the version
is registered all the same.
"""

import base64
import json
import logging
from dataclasses import dataclass
from typing import Any
from urllib.error import URLError
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import Request, urlopen

from registry.config import Settings

log = logging.getLogger(__name__)
ANSWER_MAX = 1_000_000  # bytes


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
    except (URLError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("the tracking server did not say where %s lies: %s", model_id, type(error).__name__)
        return Located()


def ask(url: str, headers: dict[str, str], timeout: float) -> dict[str, Any]:
    """GET a JSON document."""
    request = Request(url, headers=headers)  # noqa: S310 (the settings allow only http and https)
    with urlopen(request, timeout=timeout) as answer:  # noqa: S310
        found: dict[str, Any] = json.loads(answer.read(ANSWER_MAX))
    return found


def read(answer: dict[str, Any], base: str) -> Located:
    """Take location and run out of an answer of MLflow's GetLoggedModel."""
    info = answer["model"]["info"]
    location, run_id = str(info["artifact_uri"]), str(info.get("source_run_id") or "")
    if location.startswith("mlflow-artifacts:/") and not location.startswith("mlflow-artifacts://"):
        # Relative to whatever tracking server the consumer has; made absolute, it loads with any.
        path = location.removeprefix("mlflow-artifacts:/").lstrip("/")
        location = f"{base}/api/2.0/mlflow-artifacts/artifacts/{path}"
    return Located(location, run_id)


def without_credentials(url: str) -> tuple[str, dict[str, str]]:
    """Take user and password out of a URL: they go into a header, never into what consumers are told."""
    parts = urlsplit(url)
    address = parts.netloc.rpartition("@")[2]
    bare = urlunsplit((parts.scheme, address, parts.path.rstrip("/"), "", ""))
    if parts.username is None:
        return bare, {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return bare, {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
