"""ETags of `/api/v1`: what is read again costs nothing, and nothing is changed unseen."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from bench.statements import counted
from registry.domain import registered_models
from registry.domain.access import OPERATOR, Principal
from registry.vocabulary import Role, Stage
from tests.conftest import client_with
from tests.faces.test_statements import AUTHENTICATION
from tests.factories import make_model, make_version, unique

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def name() -> str:
    """A model with a version in Production."""
    name = make_model(team="risk")
    make_version(name, stage=Stage.PRODUCTION, run="7")
    return name


READABLE = [
    "/models/{name}",
    "/models/{name}/versions/1",
    "/models/{name}/comments",
    "/models/{name}/audit",
    "/models/{name}/stages/Production",
    "/models/{name}/stages/Production/history",
    "/resolve?uri=models:/{name}/Production",
    "/whoami",
]


def problem(answer: TestResponse) -> str:
    assert answer.mimetype == "application/problem+json"
    return str(answer.get_json()["type"].rpartition(":")[2])


@pytest.mark.parametrize("path", READABLE)
def test_what_is_read_bears_a_strong_tag_and_is_not_sent_again(client: FlaskClient, name: str, path: str) -> None:
    url = "/api/v1" + path.format(name=name)
    first = client.get(url)
    tag = first.headers["ETag"]
    assert tag == client.get(url).headers["ETag"]
    assert tag.startswith('"')
    for condition in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = client.get(url, headers={"If-None-Match": condition})
        assert (again.status_code, again.data) == (304, b"")
        for header in ("ETag", "Cache-Control", "Vary"):
            assert again.headers[header] == first.headers[header]
        assert "Content-Type" not in again.headers
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert first.headers["Vary"] == "Authorization"
    assert client.get(url, headers={"If-None-Match": '"other"'}).data == first.data
    assert client.head(url).headers["ETag"] == tag
    assert client.head(url, headers={"If-None-Match": tag}).status_code == 304


def test_a_change_gives_another_tag(client: FlaskClient, name: str) -> None:
    url = f"/api/v1/resolve?uri=models:/{name}/Production"
    tag = client.get(url).headers["ETag"]
    client.post(f"/api/v1/models/{name}/versions/1/transitions", json={"to": "Archived"})
    make_version(name, stage=Stage.PRODUCTION)
    changed = client.get(url, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.get_json()["version"] == 2


def test_a_resolution_that_has_not_changed_costs_one_statement(app: Flask, client: FlaskClient, name: str) -> None:
    url = f"/api/v1/resolve?uri=models:/{name}/Production"
    tag = client.get(url).headers["ETag"]
    with counted() as sent:
        assert client.get(url, headers={"If-None-Match": tag}).status_code == 304
    assert len(sent) == AUTHENTICATION + 1


@pytest.mark.parametrize("path", ["/models/no-such", "/models/{name}/audit?limit=0", "/no-such-route"])
def test_a_refusal_bears_no_tag(client: FlaskClient, name: str, path: str) -> None:
    answer = client.get("/api/v1" + path.format(name=name), headers={"If-None-Match": "*"})
    assert answer.status_code in {400, 404}
    assert "ETag" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_mlflow_face_has_no_tags(client: FlaskClient, name: str) -> None:
    assert "ETag" not in client.get(f"/api/2.0/mlflow/registered-models/get?name={name}").headers


def test_a_change_answers_with_the_tag_that_reading_would(client: FlaskClient, name: str) -> None:
    comment = client.post(f"/api/v1/models/{name}/comments", json={"text": "words"}).headers["Location"]
    paths: dict[str, dict[str, Any]] = {
        f"/api/v1/models/{name}": {"description": "words"},
        f"/api/v1/models/{name}/versions/1": {"description": "words"},
        f"/api/v1/models/{name}/tags": {"tags": {"team": None, "owner": "ada"}},
        f"/api/v1/models/{name}/versions/1/tags": {"tags": {"run": "9"}},
        comment: {"text": "other words"},
    }
    for path, body in paths.items():
        assert client.patch(path, json=body).headers["ETag"] == client.get(path).headers["ETag"]


CREATED: list[tuple[str, dict[str, Any]]] = [
    ("/models", {"name": "{new}", "tags": {"team": "risk"}}),
    ("/models/{name}/versions", {"source": "s3://b/k", "tags": {"run": "8"}}),
    ("/models/{name}/comments", {"text": "words"}),
]


@pytest.mark.parametrize(("path", "body"), CREATED)
def test_what_was_made_bears_the_tag_that_reading_it_would(
    client: FlaskClient, name: str, path: str, body: dict[str, Any]
) -> None:
    body = {key: value.format(new=unique()) if isinstance(value, str) else value for key, value in body.items()}
    answer = client.post("/api/v1" + path.format(name=name), json=body)
    assert answer.status_code == 201
    assert answer.headers["ETag"] == client.get(answer.headers["Location"]).headers["ETag"]


def test_a_transition_bears_no_tag_for_its_url_is_not_the_version(client: FlaskClient, name: str) -> None:
    answer = client.post(f"/api/v1/models/{name}/versions/1/transitions", json={"to": "Archived"})
    assert answer.status_code == 200
    assert "ETag" not in answer.headers


CHANGES: list[tuple[str, str, Any]] = [
    ("PATCH", "/models/{name}", {"description": "mine"}),
    ("DELETE", "/models/{name}", None),
    ("PATCH", "/models/{name}/versions/1", {"description": "mine"}),
    ("DELETE", "/models/{name}/versions/1", None),
    ("POST", "/models/{name}/comments", {"text": "mine"}),
    ("PATCH", "/models/{name}/tags", {"tags": {"team": "mine"}}),
    ("PUT", "/models/{name}/tags/team", {"value": "mine"}),
    ("DELETE", "/models/{name}/versions/1/tags/run", None),
]


@pytest.mark.parametrize(("verb", "path", "body"), CHANGES)
def test_a_change_is_made_only_to_what_was_seen(
    client: FlaskClient, name: str, verb: str, path: str, body: Any
) -> None:
    url = "/api/v1" + path.format(name=name)
    tag = client.get(url).headers["ETag"]
    for outdated in ('"other"', f"W/{tag}", "", '"other", "another"'):
        refused = client.open(url, method=verb, json=body, headers={"If-Match": outdated})
        assert (refused.status_code, problem(refused)) == (412, "precondition-failed")
    assert client.get(url).headers["ETag"] == tag
    done = client.open(url, method=verb, json=body, headers={"If-Match": f'"other", {tag}'})
    assert done.status_code in {200, 201, 204}
    late = client.open(url, method=verb, json=body, headers={"If-Match": tag})
    assert late.status_code == 412


GONE = [
    ("PATCH", "/models/no-such-model", {"description": "x"}),
    ("DELETE", "/models/{name}/versions/9", None),
    ("PATCH", "/models/{name}/comments/999999999", {"text": "x"}),
    ("PUT", "/models/{name}/aliases/nobody", {"version": 1}),
]


@pytest.mark.parametrize("tag", ["*", '"something"'])
@pytest.mark.parametrize(("verb", "path", "body"), GONE)
def test_what_is_not_there_matches_nothing(
    client: FlaskClient, name: str, verb: str, path: str, body: Any, tag: str
) -> None:
    answer = client.open("/api/v1" + path.format(name=name), method=verb, json=body, headers={"If-Match": tag})
    assert (answer.status_code, problem(answer)) == (412, "precondition-failed")


def test_any_state_will_do_if_only_there_is_one(client: FlaskClient, name: str) -> None:
    path = f"/api/v1/models/{name}"
    assert client.patch(path, json={"description": "x"}, headers={"If-Match": "*"}).status_code == 200


def test_a_change_can_ask_that_nothing_be_there_yet(client: FlaskClient, name: str) -> None:
    path, nothing = f"/api/v1/models/{name}", {"If-None-Match": "*"}
    assert client.patch(path, json={"description": "x"}, headers=nothing).status_code == 412
    assert client.put(f"{path}/tags/brand-new", json={"value": "x"}, headers=nothing).status_code == 204


def test_reading_only_what_was_seen(client: FlaskClient, name: str) -> None:
    path = f"/api/v1/models/{name}"
    tag = client.get(path).headers["ETag"]
    assert client.get(path, headers={"If-Match": tag}).status_code == 200
    refused = client.get(path, headers={"If-Match": '"other"'})
    assert (refused.status_code, problem(refused)) == (412, "precondition-failed")


def test_a_precondition_gives_no_right(
    app: Flask, credentials: dict[Role, tuple[Principal, str]], name: str, session: Session
) -> None:
    viewer = client_with(app, credentials[Role.VIEWER][1])
    path = f"/api/v1/models/{name}"
    tag = viewer.get(path).headers["ETag"]
    assert viewer.patch(path, json={"description": "x"}, headers={"If-Match": tag}).status_code == 403
    assert registered_models.get(session, OPERATOR, name).model.description is None


def test_a_bad_body_with_a_good_tag_is_400_and_changes_nothing(client: FlaskClient, name: str) -> None:
    path = f"/api/v1/models/{name}"
    tag = client.get(path).headers["ETag"]
    assert client.patch(path, json={"nope": 1}, headers={"If-Match": tag}).status_code == 400
    assert client.get(path).headers["ETag"] == tag


@pytest.mark.parametrize("rivals", [2, 6])
def test_of_rivals_that_saw_the_same_one_changes_it(
    app: Flask, credentials: dict[Role, tuple[Principal, str]], rivals: int
) -> None:
    token = credentials[Role.ADMINISTRATOR][1]
    path = f"/api/v1/models/{make_model()}"
    tag = client_with(app, token).get(path).headers["ETag"]
    together = threading.Barrier(rivals)

    def describe(words: str) -> TestResponse:
        together.wait(20)
        return client_with(app, token).patch(path, json={"description": words}, headers={"If-Match": tag})

    with ThreadPoolExecutor(rivals) as pool:
        answers = list(pool.map(describe, map(str, range(rivals))))
    won = [answer for answer in answers if answer.status_code == 200]
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * (rivals - 1)
    assert client_with(app, token).get(path).headers["ETag"] == won[0].headers["ETag"]


@pytest.mark.parametrize("what", ["token", "model", "version"])
def test_of_rivals_that_saw_the_same_one_removes_it(
    app: Flask, credentials: dict[Role, tuple[Principal, str]], what: str
) -> None:
    token = credentials[Role.ADMINISTRATOR][1]
    path = removable(client_with(app, token), what)
    tag = client_with(app, token).get(path).headers["ETag"]
    together = threading.Barrier(6)

    def remove(_: int) -> int:
        together.wait(20)
        return client_with(app, token).delete(path, headers={"If-Match": tag}).status_code

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(remove, range(6))) == [204] + [412] * 5


def removable(client: FlaskClient, what: str) -> str:
    """Where a token, or something in the trash, can be removed for good."""
    if what == "token":
        made = client.post("/api/v1/tokens", json={"name": unique("robot"), "role": "viewer"})
        return f"/api/v1/tokens/{made.get_json()['id']}"
    name = make_model()
    make_version(name)
    path = f"/api/v1/trash/models/{client.get(f'/api/v1/models/{name}').get_json()['id']}"
    if what == "model":
        assert client.delete(f"/api/v1/models/{name}").status_code == 204
        return path
    assert client.delete(f"/api/v1/models/{name}/versions/1").status_code == 204
    return f"{path}/versions/1"
