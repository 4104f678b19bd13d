"""`…/tags` of models and versions: one, several at once, none by halves."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from registry.domain import audit
from registry.domain.access import OPERATOR, Principal
from registry.domain.audit import Question
from registry.vocabulary import Action, Role
from tests.conftest import client_with
from tests.factories import make_model, make_version

pytestmark = pytest.mark.usefixtures("context")
SUBJECTS = ["/api/v1/models/{name}", "/api/v1/models/{name}/versions/1"]


@pytest.fixture
def name() -> str:
    name = make_model(team="risk", owner="ada")
    make_version(name, team="risk", owner="ada")
    return name


def actions(session: Session, name: str) -> list[str]:
    found = audit.search(session, OPERATOR, Question(model=name), newest_first=False, limit=100).items
    return [f"{entry.event.action.partition('.')[2]} {entry.event.object.rpartition(':')[2]}" for entry in found]


@pytest.mark.parametrize("at", SUBJECTS)
def test_several_change_at_once_and_each_leaves_its_event(
    client: FlaskClient, session: Session, name: str, at: str
) -> None:
    before = len(actions(session, name))

    answer = client.patch(
        at.format(name=name) + "/tags",
        json={"tags": {"team": "fraud", "owner": None, "a/b": "", "new": "x", "never": None}},
    )

    assert answer.status_code == 200
    assert answer.get_json() == {"tags": {"a/b": "", "new": "x", "team": "fraud"}}
    assert client.get(at.format(name=name) + "/tags").get_json() == answer.get_json()
    assert sorted(actions(session, name)[before:]) == ["set a/b", "set new", "set team", "unset owner"]


@pytest.mark.parametrize("at", SUBJECTS)
@pytest.mark.parametrize("tags", [{}, {"team": "risk"}, {"never": None}])
def test_what_is_so_already_leaves_no_event(
    client: FlaskClient, session: Session, name: str, at: str, tags: dict[str, str | None]
) -> None:
    before = actions(session, name)
    answer = client.patch(at.format(name=name) + "/tags", json={"tags": tags})
    assert answer.get_json() == {"tags": {"owner": "ada", "team": "risk"}}
    assert actions(session, name) == before


@pytest.mark.parametrize("at", SUBJECTS)
def test_one_bad_tag_keeps_all_from_changing(client: FlaskClient, session: Session, name: str, at: str) -> None:
    before = actions(session, name)
    answer = client.patch(at.format(name=name) + "/tags", json={"tags": {"team": "fraud", "a*b": "x"}})
    assert answer.status_code == 400
    assert client.get(at.format(name=name) + "/tags").get_json()["tags"]["team"] == "risk"
    assert actions(session, name) == before


@pytest.mark.parametrize("at", SUBJECTS)
def test_one_tag_is_set_read_and_removed(client: FlaskClient, name: str, at: str) -> None:
    path = at.format(name=name) + "/tags/data/split"
    assert client.get(path).status_code == 404
    assert client.put(path, json={"value": "2026"}).status_code == 204
    assert client.get(path).get_json() == {"key": "data/split", "value": "2026"}
    assert [client.delete(path).status_code for _ in range(2)] == [204, 204]
    assert client.get(path).status_code == 404


def test_a_missing_tag_is_named(client: FlaskClient, name: str) -> None:
    assert client.get(f"/api/v1/models/{name}/tags/stage").get_json()["detail"] == "Tag stage not found."


@pytest.mark.parametrize("at", ["/api/v1/models/{name}-x", "/api/v1/models/{name}/versions/9"])
def test_what_is_not_there_has_no_tags(client: FlaskClient, name: str, at: str) -> None:
    path = at.format(name=name) + "/tags"
    assert client.get(path).status_code == 404
    assert client.get(path + "/team").status_code == 404
    assert client.patch(path, json={"tags": {"k": "v"}}).status_code == 404


@pytest.mark.parametrize("at", SUBJECTS)
def test_a_viewer_reads_and_changes_nothing(
    app: Flask, session: Session, credentials: dict[Role, tuple[Principal, str]], name: str, at: str
) -> None:
    viewer = client_with(app, credentials[Role.VIEWER][1])
    before = actions(session, name)
    path = at.format(name=name) + "/tags"
    assert viewer.get(path).status_code == viewer.get(path + "/team").status_code == 200
    assert viewer.patch(path, json={"tags": {"team": None}}).status_code == 403
    assert viewer.put(path + "/team", json={"value": "x"}).status_code == 403
    assert viewer.delete(path + "/team").status_code == 403
    assert actions(session, name) == before
    assert Action.MODEL_TAG_UNSET not in before
