"""`Idempotency-Key` over both JSON faces: done once, answered alike, and nothing kept of what failed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask, jsonify, request
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from registry.config import Settings
from registry.db import db
from registry.domain import idempotency, registered_models
from registry.domain.access import OPERATOR, Principal
from registry.domain.audit import Question, search
from registry.faces.face import Face
from registry.faces.idempotency import keep_as, once
from registry.faces.inbound import authenticate, change
from registry.tables import IdempotencyKey
from registry.vocabulary import Role
from tests.conftest import application, client_with
from tests.factories import make_model, make_version, unique

pytestmark = pytest.mark.usefixtures("context")


@dataclass(frozen=True)
class Way:
    """How a version is registered over a face, and how that face says no."""

    prefix: str

    @property
    def mlflow(self) -> bool:
        return "mlflow" in self.prefix

    def register(self, client: FlaskClient, name: str, key: str, source: str = "s3://b/k") -> TestResponse:
        path = f"{self.prefix}/model-versions/create" if self.mlflow else f"{self.prefix}/models/{name}/versions"
        body = {"source": source} | ({"name": name} if self.mlflow else {})
        return client.post(path, json=body, headers={"Idempotency-Key": key})

    def word(self, answer: TestResponse) -> str:
        said = answer.get_json()
        return str(said["error_code"] if self.mlflow else said["type"].rpartition(":")[2])


WAYS = [Way("/api/v1"), Way("/api/2.0/mlflow"), Way("/ajax-api/2.0/mlflow")]
everywhere = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.prefix)


def versions(name: str) -> int:
    db.session.rollback()
    actions = [entry.event.action for entry in search(db.session(), OPERATOR, Question(model=name)).items]
    return actions.count("model_version.create")


def key_is_kept(key: str) -> bool:
    db.session.rollback()
    digest = idempotency.digest(key)
    return bool(db.session.scalar(select(func.count()).where(IdempotencyKey.key == digest)))


@everywhere
def test_a_request_sent_again_is_answered_again_and_not_done_again(client: FlaskClient, way: Way) -> None:
    name, key = make_model(), unique("key")
    first = way.register(client, name, key)
    second = way.register(client, name, key)
    assert first.status_code == second.status_code < 300
    assert first.data == second.data
    for header in ("Content-Type", "Location", "ETag"):
        assert first.headers.get(header) == second.headers.get(header)
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert versions(name) == 1


@everywhere
def test_another_body_under_the_same_key_is_422(client: FlaskClient, way: Way) -> None:
    name, key = make_model(), unique("key")
    way.register(client, name, key)
    refused = way.register(client, name, key, source="s3://b/other")
    assert refused.status_code == 422
    assert way.word(refused) == ("INVALID_PARAMETER_VALUE" if way.mlflow else "key-reused")
    assert versions(name) == 1


def test_another_path_or_query_under_the_same_key_is_422_too(client: FlaskClient) -> None:
    key = {"Idempotency-Key": unique("key")}
    body = {"text": "words"}
    path = f"/api/v1/models/{make_model()}/comments"
    assert client.post(path, json=body, headers=key).status_code == 201
    for other in (f"/api/v1/models/{make_model()}/comments", path + "?x=1"):
        assert client.post(other, json=body, headers=key).status_code == 422


@everywhere
def test_a_key_under_way_is_409_and_says_when_to_come_again(client: FlaskClient, steward: Principal, way: Way) -> None:
    name, key = make_model(), unique("key")
    with db.engine.connect() as elsewhere:
        elsewhere.execute(select(func.pg_advisory_xact_lock(idempotency.lock_number(steward, key))))
        refused = way.register(client, name, key)
    assert refused.status_code == 409
    assert refused.headers["Retry-After"] == "1"
    assert way.word(refused) == ("RESOURCE_CONFLICT" if way.mlflow else "in-flight")
    assert versions(name) == 0
    assert way.register(client, name, key).status_code < 300


@everywhere
@pytest.mark.parametrize("key", ["", "two words", "x" * 256, "\xe4"])
def test_what_is_no_key_is_400_and_changes_nothing(client: FlaskClient, way: Way, key: str) -> None:
    name = make_model()
    refused = way.register(client, name, key)
    assert refused.status_code == 400
    assert "Idempotency-Key" in refused.text
    assert versions(name) == 0


@everywhere
def test_a_key_belongs_to_its_principal(
    app: Flask, client: FlaskClient, credentials: dict[Role, tuple[Principal, str]], way: Way
) -> None:
    name, key = make_model(), unique("key")
    way.register(client, name, key)
    other = way.register(client_with(app, credentials[Role.CONTRIBUTOR][1]), name, key, source="s3://b/other")
    assert other.status_code < 300
    assert versions(name) == 2


@everywhere
def test_a_refusal_is_not_kept_and_the_key_can_be_used_again(client: FlaskClient, way: Way) -> None:
    name, key = unique(), unique("key")
    assert way.register(client, name, key).status_code == 404
    assert not key_is_kept(key)
    make_model(name=name)
    assert way.register(client, name, key).status_code < 300


def test_reading_and_other_verbs_take_no_notice_of_a_key(client: FlaskClient) -> None:
    name, key = make_model(), unique("key")
    path = f"/api/v1/models/{name}"
    assert client.get(path, headers={"Idempotency-Key": key}).status_code == 200
    for words in ("one", "two"):
        answer = client.patch(path, json={"description": words}, headers={"Idempotency-Key": key})
        assert answer.get_json()["description"] == words
    assert not key_is_kept(key)


def test_an_answer_again_goes_before_a_precondition_that_the_first_one_has_outdated(client: FlaskClient) -> None:
    path = f"/api/v1/models/{make_model()}/comments"
    headers = {"Idempotency-Key": unique("key"), "If-Match": client.get(path).headers["ETag"]}
    first = client.post(path, json={"text": "words"}, headers=headers)
    again = client.post(path, json={"text": "words"}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.data == again.data


def test_a_dry_run_under_a_key_is_answered_again_and_changes_nothing(client: FlaskClient) -> None:
    name, headers = make_model(), {"Idempotency-Key": unique("key")}
    make_version(name)
    path = f"/api/v1/models/{name}/versions/1"
    for _ in range(2):
        answer = client.post(f"{path}/transitions", json={"to": "Staging", "dry_run": True}, headers=headers)
        assert (answer.status_code, answer.get_json()["stage"]) == (200, "Staging")
    assert answer.headers["Idempotency-Replayed"] == "true"
    assert client.get(path).get_json()["stage"] == "None"


@contextmanager
def serving(database_url: str, path: str, view: Callable[[], Any]) -> Iterator[FlaskClient]:
    """A client of a service that has a route of the test's own."""
    with application(Settings(database_url=database_url, auth=False)) as app:
        face = Face("probe", __name__, once)
        face.before_request(authenticate)
        face.post(path)(view)
        app.register_blueprint(face)
        yield app.test_client()


def test_a_view_that_fails_after_the_change_leaves_neither_the_change_nor_the_key(
    database_url: str, session: Session
) -> None:
    name, key = unique(), unique("key")

    def fail() -> Any:
        with change() as inner:
            registered_models.create(inner, OPERATOR, name, tags={})
        if request.get_json()["fail"]:
            raise ZeroDivisionError
        return jsonify(done=True), 201

    headers = {"Idempotency-Key": key}
    with serving(database_url, "/api/v1/fail", fail) as client:
        assert client.post("/api/v1/fail", json={"fail": True}, headers=headers).status_code == 500
        assert not key_is_kept(key)
        # The name is still free, and so is the key.
        assert client.post("/api/v1/fail", json={"fail": False}, headers=headers).status_code == 201
    assert key_is_kept(key)
    assert registered_models.get(session, OPERATOR, name).model.name == name


def test_a_secret_is_answered_once_and_kept_nowhere(database_url: str, session: Session) -> None:
    key, secret = unique("key"), unique("secret")

    def tell() -> Any:
        answer = {"id": 7, "secret": secret}
        keep_as(answer | {"secret": None})
        return answer, 201, {"Location": "/there"}

    with serving(database_url, "/api/v1/tell", tell) as client:
        first, again = (client.post("/api/v1/tell", json={}, headers={"Idempotency-Key": key}) for _ in range(2))
    assert first.get_json() == {"id": 7, "secret": secret}
    assert again.get_json() == {"id": 7, "secret": None}
    assert (first.status_code, first.headers["Location"]) == (again.status_code, again.headers["Location"])
    row = session.scalars(select(IdempotencyKey).where(IdempotencyKey.key == idempotency.digest(key))).one()
    assert secret.encode() not in row.body
