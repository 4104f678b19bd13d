"""Who calls, under which request id, and why."""

import base64
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from registry.config import Settings
from registry.db import db
from registry.domain import tokens
from registry.domain.access import Principal
from registry.errors import Unavailable
from registry.tables import AuditEvent, Token
from registry.vocabulary import Role
from tests.conftest import application, client_with
from tests.factories import make_model, make_version, unique

WHOAMI = "/api/v1/whoami"


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_a_token_is_taken_as_bearer_and_as_basic_password(
    app: Flask, credentials: dict[Role, tuple[Principal, str]]
) -> None:
    principal, token = credentials[Role.APPROVER]
    for header in (f"Bearer {token}", f"bearer {token}", basic("anybody", token), basic("", token)):
        answer = client_with(app, None).get(WHOAMI, headers={"Authorization": header})
        assert answer.get_json() == {
            "id": principal.id,
            "name": principal.name,
            "role": "approver",
            "groups": [],
            "credential": principal.credential,
        }


NO_CREDENTIALS = [
    "",
    "Bearer",
    "Bearer ",
    "Bearer mreg_0000000000000000000000000000000000000000",
    "Bearer \xff\xfe",
    "Basic",
    "Basic !!!",
    "Basic " + base64.b64encode(b"no-colon").decode(),
    "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
    basic("admin", ""),
    basic("admin", "\x00"),
    "Digest username=x",
    "Token abc",
    "Bearer " + "x" * 5000,
]


@pytest.mark.parametrize("header", NO_CREDENTIALS)
@pytest.mark.parametrize("path", [WHOAMI, "/api/2.0/mlflow/registered-models/get?name=x"])
def test_what_is_no_credential_gets_401_in_the_words_of_the_face(app: Flask, path: str, header: str) -> None:
    answer = client_with(app, None).get(path, headers={"Authorization": header})
    assert answer.status_code == 401
    said = answer.get_json()
    assert (said.get("error_code") or said["type"].rpartition(":")[2]) in {"UNAUTHENTICATED", "unauthenticated"}


def test_without_authentication_everybody_is_anonymous_and_the_log_says_so(database_url: str) -> None:
    with application(Settings(database_url=database_url, auth=False)) as app:
        client = app.test_client()
        name = unique()
        assert client.post("/api/v1/models", json={"name": name}).status_code == 201
        [event] = client.get(f"/api/v1/models/{name}/audit").get_json()["items"]
        assert event["actor"] == {"id": "anonymous", "name": "anonymous"}


HOSTS = {
    "localhost": 200,
    "localhost:5000": 200,
    "LOCALHOST": 200,
    "127.0.0.1:5000": 200,
    "[::1]:5000": 200,
    "rebound.example": 401,
    "rebound.example:5000": 401,
    "localhost.rebound.example": 401,
    "192.0.2.1": 401,
    "[::1": 401,
}


@pytest.mark.parametrize("prefix", ["/api/v1/models", "/api/2.0/mlflow/registered-models/search"])
def test_without_authentication_only_names_that_this_machine_alone_has_are_answered(
    database_url: str, prefix: str
) -> None:
    """Or else a page of another site could call it in the browser of somebody who works here."""
    with application(Settings(database_url=database_url, auth=False)) as app:
        client = app.test_client()
        answers = {host: client.get(prefix, headers={"Host": host}).status_code for host in HOSTS}
    assert answers == HOSTS


def test_a_request_id_is_taken_over_and_given_back_and_recorded(client: FlaskClient) -> None:
    name = unique()
    answer = client.post("/api/v1/models", json={"name": name}, headers={"X-Request-ID": "ci-run-4711"})
    assert answer.headers["X-Request-ID"] == "ci-run-4711"
    events = client.get(f"/api/v1/models/{name}/audit").get_json()["items"]
    assert {event["request_id"] for event in events} == {"ci-run-4711"}


@pytest.mark.parametrize("given", ["", "two words", "x" * 129, "<script>"])
def test_what_does_not_look_like_a_request_id_is_replaced(client: FlaskClient, given: str) -> None:
    answer = client.get(WHOAMI, headers={"X-Request-ID": given})
    assert len(answer.headers["X-Request-ID"]) == 36


@pytest.mark.usefixtures("context")
def test_a_reason_comes_by_header_on_the_mlflow_wire(client: FlaskClient) -> None:
    name = make_model()
    make_version(name)
    client.post(
        "/api/2.0/mlflow/model-versions/transition-stage",
        json={"name": name, "version": "1", "stage": "Staging"},
        headers={"X-Registry-Reason": quote("schön gemessen")},
    )
    event = client.get(f"/api/v1/models/{name}/audit").get_json()["items"][0]
    assert (event["action"], event["reason"]) == ("model_version.transition", "schön gemessen")


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("reason", ["x" * 4097, "a%00b"])
def test_a_reason_that_cannot_be_kept_is_refused_and_nothing_changes(client: FlaskClient, reason: str) -> None:
    name = make_model()
    answer = client.delete(f"/api/v1/models/{name}", headers={"X-Registry-Reason": reason})
    assert answer.status_code == 400
    assert "X-Registry-Reason" in answer.get_json()["detail"]
    assert client.get(f"/api/v1/models/{name}").status_code == 200


@pytest.mark.parametrize("face", ["mlflow", "rest", "rest path"])
def test_the_access_log_learns_who_and_what(
    app: Flask, client: FlaskClient, steward: Principal, monkeypatch: pytest.MonkeyPatch, face: str
) -> None:
    environ: dict[str, Any] = {}
    inner = app.wsgi_app

    def outer(given: dict[str, Any], start: Any) -> Any:
        answer = inner(given, start)
        environ.update(given)
        return answer

    monkeypatch.setattr(app, "wsgi_app", outer)
    name = unique()
    if face == "mlflow":
        answer = client.post("/api/2.0/mlflow/registered-models/create", json={"name": name})
    elif face == "rest":
        answer = client.post("/api/v1/models", json={"name": name})
    else:
        answer = client.get(f"/api/v1/models/{name}")
    principal = steward
    assert environ["registry.actor"] == principal.id
    assert environ["registry.credential"] == principal.credential
    assert environ["registry.model"] == name
    assert environ["registry.request_id"] == answer.headers["X-Request-ID"]


@pytest.mark.usefixtures("context")
def test_a_database_that_takes_no_writes_still_knows_the_tokens(
    app: Flask, credentials: dict[Role, tuple[Principal, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise Unavailable("read only")

    _, token = credentials[Role.CONTRIBUTOR]
    monkeypatch.setattr(tokens, "note_use", refuse)
    assert client_with(app, token).get(WHOAMI).status_code == 200


@pytest.mark.usefixtures("context")
def test_the_use_of_a_token_is_noted_once_in_a_while_and_is_no_event(
    app: Flask, credentials: dict[Role, tuple[Principal, str]]
) -> None:
    principal, token = credentials[Role.VIEWER]
    number = int(principal.credential.partition(":")[2])
    events = db.session.query(AuditEvent).filter_by(object=principal.credential).count()
    for _ in range(2):
        assert client_with(app, token).get(WHOAMI).status_code == 200
    db.session.rollback()
    noted = db.session.get_one(Token, number).last_used_at
    assert noted is not None
    client_with(app, token).get(WHOAMI)
    db.session.rollback()
    db.session.expire_all()
    assert db.session.get_one(Token, number).last_used_at == noted
    assert db.session.query(AuditEvent).filter_by(object=principal.credential).count() == events
