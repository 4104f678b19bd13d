"""Cross-origin requests: nothing without the setting, and with it the named origins alone, without credentials."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from registry.config import Settings
from tests.conftest import application, client_with

OURS, THEIRS = "https://ui.example.com", "https://evil.example.com"
ASK = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization, if-match, x-evil"}


@pytest.fixture
def open_app(database_url: str) -> Iterator[Flask]:
    with application(Settings(database_url=database_url, cors_origins=frozenset({OURS}))) as app:
        yield app


def cors_headers(headers: object) -> dict[str, str]:
    return {name: value for name, value in dict(headers).items() if name.startswith("Access-Control-")}  # type: ignore[call-overload]


@pytest.mark.parametrize("path", ["/api/v1/whoami", "/api/v1/nope", "/api/2.0/mlflow/registered-models/get?name=x"])
@pytest.mark.parametrize("verb", ["GET", "OPTIONS"])
def test_without_the_setting_no_header_says_anything(client: FlaskClient, verb: str, path: str) -> None:
    answer = client.open(path, method=verb, headers={"Origin": OURS, **ASK})
    assert cors_headers(answer.headers) == {}
    assert "Origin" not in answer.vary


def test_a_preflight_needs_no_token(open_app: Flask) -> None:
    answer = client_with(open_app, None).options("/api/v1/models/x", headers={"Origin": OURS, **ASK})
    assert (answer.status_code, answer.data) == (204, b"")
    assert cors_headers(answer.headers) == {
        "Access-Control-Allow-Origin": OURS,
        "Access-Control-Allow-Headers": "authorization, if-match",
        "Access-Control-Allow-Methods": "DELETE, GET, HEAD, PATCH, POST, PUT",
        "Access-Control-Expose-Headers": (
            "Audit-Receipt, ETag, Idempotency-Replayed, Location, Retry-After, X-Request-ID"
        ),
        "Access-Control-Max-Age": "600",
    }
    assert "Origin" in answer.vary


@pytest.mark.parametrize("path", ["/api/v1/whoami", "/api/v1/nope"])
def test_answers_and_refusals_can_be_read_by_the_named_origin(open_app: Flask, path: str) -> None:
    answer = client_with(open_app, None).get(path, headers={"Origin": OURS})
    assert answer.status_code in {401, 404}
    assert answer.headers["Access-Control-Allow-Origin"] == OURS
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin", [THEIRS, "null", "", OURS + ".evil.example.com", OURS + ":8443", "http://ui.example.com", "*"]
)
@pytest.mark.parametrize("verb", ["GET", "OPTIONS"])
def test_other_origins_are_told_nothing(open_app: Flask, verb: str, origin: str) -> None:
    answer = client_with(open_app, None).open("/api/v1/whoami", method=verb, headers={"Origin": origin, **ASK})
    assert cors_headers(answer.headers) == {}
    assert "Origin" in answer.vary


@pytest.mark.parametrize("path", ["/api/2.0/mlflow/registered-models/get?name=x", "/livez", "/api/v1x"])
def test_other_faces_stay_closed(open_app: Flask, path: str) -> None:
    assert cors_headers(client_with(open_app, None).get(path, headers={"Origin": OURS}).headers) == {}


def test_without_an_origin_there_is_nothing_to_say(open_app: Flask) -> None:
    assert cors_headers(client_with(open_app, None).get("/api/v1/whoami").headers) == {}
