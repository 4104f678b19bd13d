"""What every answer says to a browser, whoever gives it: a view, a refusal, a fault, a page, or gunicorn itself."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from registry.vocabulary import SAFE_HEADERS
from registry.worker import refusal

STRICT = "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/whoami",
        "/api/v1/models/no-such",
        "/api/2.0/mlflow/registered-models/get?name=no-such",
        "/ajax-api/2.0/mlflow/registered-models/search",
        "/nowhere",
        "/livez",
        "/health",
        "/version",
        "/docs/start.js",
    ],
)
def test_every_answer_keeps_browsers_from_guessing_running_framing_and_passing_on(
    client: FlaskClient, path: str
) -> None:
    with client.get(path) as answer:
        said = {name: answer.headers.get(name) for name in SAFE_HEADERS}
    kept = said["Cache-Control"]
    assert said == SAFE_HEADERS | {"Cache-Control": kept}
    assert kept in {"no-store", "private, no-cache"} or path.startswith("/docs")  # looked at again each time
    assert said["Content-Security-Policy"] == STRICT


def test_a_refusal_before_a_credential_and_a_fault_of_ours_say_it_too(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    refused = app.test_client().get("/api/v1/whoami")
    monkeypatch.setitem(app.view_functions, "rest.whoami", fail)
    failed = client.get("/api/v1/whoami")
    assert (refused.status_code, failed.status_code) == (401, 500)
    for answer in (refused, failed):
        assert {name: answer.headers[name] for name in SAFE_HEADERS} == SAFE_HEADERS


def test_the_page_of_the_contract_runs_its_own_scripts_and_no_others(client: FlaskClient) -> None:
    with client.get("/docs") as page:
        policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


def test_what_gunicorn_refuses_says_it_too() -> None:
    head = refusal(400, "Bad Request").partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    said = dict(line.split(": ", 1) for line in head)
    assert {name: said[name] for name in SAFE_HEADERS} == SAFE_HEADERS


def test_no_answer_sets_a_cookie(client: FlaskClient) -> None:
    for path in ("/api/v1/whoami", "/docs", "/livez", "/api/2.0/mlflow/registered-models/search"):
        with client.get(path) as answer:
            assert "Set-Cookie" not in answer.headers
