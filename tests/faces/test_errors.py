"""Refusals and faults: in the words of the face, never with anything from inside."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from flask import Flask
from flask.testing import FlaskClient
from psycopg2 import OperationalError
from sqlalchemy import text
from werkzeug.exceptions import HTTPException, default_exceptions

from registry.config import Settings
from registry.db import db, unaudited
from registry.domain.principals import Actor
from registry.errors import Conflict
from registry.faces import rest
from registry.silence import WatchedCursor
from tests.conftest import application
from tests.factories import make_model, make_version

MLFLOW = "/api/2.0/mlflow/registered-models/get?name=x"
REST = "/api/v1/models/x"


@contextmanager
def broken_by(code: str | None, message: str) -> Iterator[None]:
    """Let every statement fail as the server would make it fail."""

    class Fault(OperationalError):
        pgcode = code

    def fail(*_: object) -> None:
        raise Fault(f"{message} at SELECT secret_column")

    with patch.object(WatchedCursor, "execute", fail):
        yield


@pytest.mark.parametrize("code", ["53300", "57P01", "40001", "40P01", "57014", "55P03", "25006", None])
@pytest.mark.parametrize("path", [MLFLOW, REST])
def test_a_passing_fault_of_the_database_is_503_with_retry_after(
    client: FlaskClient, path: str, code: str | None
) -> None:
    with broken_by(code, "driver text"):
        answer = client.get(path)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.is_json
    assert "secret_column" not in answer.text
    assert "driver text" not in answer.text


@pytest.mark.parametrize("path", [MLFLOW, REST])
def test_a_fault_of_ours_is_500_without_anything_from_inside(
    client: FlaskClient, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    with broken_by("42703", "driver text"), caplog.at_level(logging.ERROR):
        answer = client.get(path, headers={"X-Request-ID": "find-me"})
    assert answer.status_code == 500
    assert "secret_column" not in answer.text
    assert "Traceback" not in answer.text
    assert "find-me" in caplog.text


def test_an_unreachable_database_is_503(database_url: str) -> None:
    nowhere = "postgresql+psycopg2://nobody@127.0.0.1:1/nothing"
    with application(Settings(database_url=nowhere, auth=False)) as app:
        client = app.test_client()
        for path in (MLFLOW, REST):
            assert client.get(path).status_code == 503
        assert client.get("/livez").status_code == 200
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert ready.get_json()["problems"]


def test_a_database_without_the_schema_is_not_ready_and_the_answer_says_what_to_do(bare_database_url: str) -> None:
    with application(Settings(database_url=bare_database_url, auth=False)) as app:
        client = app.test_client()
        ready = client.get("/readyz")
        assert client.get("/livez").status_code == 200
    assert ready.status_code == 503
    assert "run `registry db upgrade`" in ready.text


def test_a_busy_pool_is_503(database_url: str) -> None:
    settings = Settings(database_url=database_url, auth=False, pool_size=1, connect_timeout_seconds=2)
    with application(settings) as app, app.app_context(), db.engine.connect() as taken:
        taken.execute(text("SELECT 1"))
        assert app.test_client().get(REST).status_code == 503


@pytest.mark.usefixtures("context")
def test_a_lock_that_does_not_come_free_is_503_and_changes_nothing(database_url: str) -> None:
    name = make_model()
    make_version(name)
    with application(Settings(database_url=database_url, auth=False, lock_timeout_ms=50)) as app:
        client = app.test_client()
        with unaudited() as session:
            session.execute(text("SELECT FROM registry.registered_models WHERE name = :n FOR UPDATE"), {"n": name})
            answer = client.post(f"/api/v1/models/{name}/versions/1/transitions", json={"to": "Staging"})
        assert answer.status_code == 503
        assert client.get(f"/api/v1/models/{name}/versions/1").get_json()["stage"] == "None"


UNKNOWN = [
    ("GET", "/api/2.0/mlflow/nope", 404),
    ("GET", "/api/2.0/mlflow/registered-models/get/", 404),
    ("GET", "/api/2.0/preview/mlflow/registered-models/get", 404),
    ("GET", "/api/2.0/mlflow/registered-models/list", 404),
    ("PUT", "/api/2.0/mlflow/registered-models/get", 405),
    ("GET", "/ajax-api/2.0/mlflow/nope", 404),
    ("GET", "/api/2.0/mlflow", 404),
    ("GET", "/api/v1/nope", 404),
    ("PUT", "/api/v1/whoami", 405),
    ("GET", "/nope", 404),
]


@pytest.mark.parametrize(("verb", "path", "status"), UNKNOWN)
def test_what_nobody_matches_is_refused_in_json(client: FlaskClient, verb: str, path: str, status: int) -> None:
    answer = client.open(path, method=verb)
    assert answer.status_code == status
    said = answer.get_json()
    if "mlflow" in path:
        assert said["error_code"] == "ENDPOINT_NOT_FOUND"
    else:
        assert answer.mimetype == "application/problem+json"
        assert said["status"] == status
    if status == 405:
        assert "GET" in answer.headers["Allow"]


def test_a_body_over_the_limit_is_413(client: FlaskClient, app: Flask) -> None:
    body = b'{"name": "' + b"x" * app.config["REGISTRY"].max_body_bytes + b'"}'
    for path in ("/api/2.0/mlflow/registered-models/create", "/api/v1/models"):
        answer = client.post(path, data=body, content_type="application/json")
        assert answer.status_code == 413
        assert answer.is_json


PROBLEMS = {
    "invalid": 400,
    "unauthenticated": 401,
    "too-many-attempts": 429,
    "forbidden": 403,
    "not-found": 404,
    "purged": 410,
    "already-exists": 409,
    "conflict": 409,
    "precondition-failed": 412,
    "in-flight": 409,
    "key-reused": 422,
    "unavailable": 503,
    "uncertain": 503,
    "bad-request": 400,
    "method-not-allowed": 405,
    "not-acceptable": 406,
    "request-timeout": 408,
    "length-required": 411,
    "request-entity-too-large": 413,
    "uri-too-long": 414,
    "unsupported-media-type": 415,
    "expectation-failed": 417,
    "request-header-fields-too-large": 431,
    "internal-server-error": 500,
    "not-implemented": 501,
}
"""Programs rely on these words: more may come, none may go or change."""


def test_the_types_of_problems_are_these_and_stay() -> None:
    assert rest.types() == {f"urn:model-registry:problem:{word}": status for word, status in PROBLEMS.items()}


@pytest.mark.parametrize("kind", [*default_exceptions.values()])
def test_what_the_web_server_refuses_has_a_known_type(app: Flask, kind: type[HTTPException]) -> None:
    with app.test_request_context("/api/v1/models"):
        problem = rest.refuse_http(kind()).get_json()
    known = rest.types()[problem["type"]]
    assert known == problem["status"] or known == (400 if problem["status"] < 500 else 500)


def test_a_conflict_says_by_name_how_things_stand(app: Flask) -> None:
    since = datetime(2026, 3, 3, 14, 3, tzinfo=UTC)
    holder = {"version": 7, "since": since, "by": Actor("principal:1", "ada")}
    with app.test_request_context("/api/v1/models"):
        problem = rest.refuse(Conflict("Held by another.", holders=[holder])).get_json()
    assert problem["type"] == "urn:model-registry:problem:conflict"
    assert problem["holders"] == [
        {"version": 7, "since": "2026-03-03T14:03:00Z", "by": {"id": "principal:1", "name": "ada"}}
    ]
