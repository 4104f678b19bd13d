"""Models, versions, aliases and comments over `/api/v1`: where new ones are found, and what PATCH leaves alone."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from registry.domain import audit
from registry.domain.access import OPERATOR, Principal
from registry.domain.audit import Question
from registry.vocabulary import Action, Role
from tests.conftest import client_with
from tests.factories import make_model, make_version, unique

pytestmark = pytest.mark.usefixtures("context")


def actions(session: Session, name: str) -> list[str]:
    found = audit.search(session, OPERATOR, Question(model=name), newest_first=False, limit=100).items
    return [entry.event.action for entry in found]


NEW: list[tuple[str, dict[str, object], Callable[[str], str]]] = [
    ("/models/{name}/versions", {"source": "s3://b/k"}, lambda name: f"/api/v1/models/{name}/versions/2"),
    ("/models/{name}/comments", {"text": "words"}, lambda name: f"/api/v1/models/{name}/comments/"),
    ("/models/{name}/versions/1/comments", {"text": "so"}, lambda name: f"/api/v1/models/{name}/versions/1/comments/"),
]


@pytest.mark.parametrize(("path", "body", "where"), NEW)
def test_what_is_new_says_where_it_is(
    client: FlaskClient, path: str, body: dict[str, object], where: Callable[[str], str]
) -> None:
    name = make_model()
    make_version(name)
    answer = client.post("/api/v1" + path.format(name=name), json=body)
    assert answer.status_code == 201
    assert answer.headers["Location"].startswith(where(name))
    assert client.get(answer.headers["Location"]).get_json() == answer.get_json()


@pytest.mark.parametrize("suffix", ["", " with spaces", "?#%2F&é"])
def test_a_new_model_is_found_under_its_name(client: FlaskClient, suffix: str) -> None:
    name = unique() + suffix
    answer = client.post("/api/v1/models", json={"name": name})
    assert answer.status_code == 201
    assert client.get(answer.headers["Location"]).get_json()["name"] == name


def test_a_model_is_renamed_and_described_in_one_transaction(client: FlaskClient, session: Session) -> None:
    name, new = make_model(), unique()

    answer = client.patch(f"/api/v1/models/{name}", json={"name": new, "description": "words"})

    assert answer.status_code == 200
    assert (answer.get_json()["name"], answer.get_json()["description"]) == (new, "words")
    assert actions(session, new)[1:] == [Action.MODEL_RENAME, Action.MODEL_DESCRIBE]
    first, second = audit.search(session, OPERATOR, Question(model=new), limit=2).items
    assert (first.at, first.event.request_id) == (second.at, second.event.request_id)
    assert client.get(f"/api/v1/models/{name}").status_code == 404


def test_what_a_patch_does_not_name_stays(client: FlaskClient, session: Session) -> None:
    name, new = make_model(), unique()
    path = f"/api/v1/models/{name}"
    client.patch(path, json={"description": "words"})
    assert client.patch(path, json={}).get_json()["description"] == "words"
    assert client.patch(path, json={"name": name}).get_json()["description"] == "words"
    assert actions(session, name)[1:] == [Action.MODEL_DESCRIBE]
    assert client.patch(path, json={"name": new}).get_json()["description"] == "words"
    assert client.patch(f"/api/v1/models/{new}", json={"description": None}).get_json()["description"] is None


def test_a_taken_name_keeps_the_description_too(client: FlaskClient, session: Session) -> None:
    name, taken = make_model(), make_model()
    answer = client.patch(f"/api/v1/models/{name}", json={"name": taken, "description": "words"})
    assert answer.status_code == 409
    assert client.get(f"/api/v1/models/{name}").get_json()["description"] is None
    assert actions(session, name) == [Action.MODEL_CREATE]


def test_who_may_describe_but_not_rename_does_neither_by_halves(
    app: Flask, session: Session, credentials: dict[Role, tuple[Principal, str]]
) -> None:
    name = make_model()
    contributor = client_with(app, credentials[Role.CONTRIBUTOR][1])
    path = f"/api/v1/models/{name}"
    assert contributor.patch(path, json={"name": unique(), "description": "words"}).status_code == 403
    assert actions(session, name) == [Action.MODEL_CREATE]
    assert contributor.patch(path, json={"name": name, "description": "words"}).status_code == 200


def test_a_version_is_described_and_an_empty_patch_changes_nothing(client: FlaskClient, session: Session) -> None:
    name = make_model()
    make_version(name)
    path = f"/api/v1/models/{name}/versions/1"
    assert client.patch(path, json={"description": "words"}).get_json()["description"] == "words"
    before = actions(session, name)
    assert client.patch(path, json={}).get_json()["description"] == "words"
    assert actions(session, name) == before
    assert client.patch(path, json={"description": None}).get_json()["description"] is None


def test_aliases_are_listed_and_read(client: FlaskClient) -> None:
    name = make_model()
    for alias in ("champion", "backup"):
        number = make_version(name)
        assert client.put(f"/api/v1/models/{name}/aliases/{alias}", json={"version": number}).status_code == 204

    at = f"/api/v1/models/{name}/aliases"
    assert client.get(at).get_json() == {"aliases": {"backup": 2, "champion": 1}}
    assert client.get(at + "/champion").get_json() == {"alias": "champion", "version": 1}
    assert client.get(at + "/latest").get_json()["version"] == 2
    assert client.get(at + "/challenger").status_code == 404
    assert client.get(f"/api/v1/models/{unique()}/aliases").status_code == 404


@pytest.mark.parametrize("subject", ["/models/{name}", "/models/{name}/versions/1"])
def test_a_comment_is_read_where_it_stands_and_nowhere_else(client: FlaskClient, subject: str) -> None:
    name = make_model()
    make_version(name)
    make_version(name)
    made = client.post("/api/v1" + subject.format(name=name) + "/comments", json={"text": "words"}).get_json()
    assert made["author_name"]
    here = "/api/v1" + subject.format(name=name) + f"/comments/{made['id']}"
    assert client.get(here).get_json() == made
    assert client.get(f"/api/v1/models/{name}/versions/2/comments/{made['id']}").status_code == 404
    assert client.get(f"/api/v1/models/{make_model()}/comments/{made['id']}").status_code == 404
