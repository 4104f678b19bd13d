"""Every face moves a version by the same rule and leaves the same record."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from registry.domain import audit, lookup, trash
from registry.domain.access import Principal
from registry.domain.audit import Question
from registry.vocabulary import Action, Stage
from tests.factories import make_model, make_version

pytestmark = pytest.mark.usefixtures("context")
Send = Callable[[FlaskClient, str, int, Stage], int]


def over_rest(client: FlaskClient, name: str, number: int, to: Stage) -> int:
    path = f"/api/v1/models/{name}/versions/{number}/transitions"
    return client.post(path, json={"to": to, "archive_existing": True}).status_code


def over_mlflow(client: FlaskClient, name: str, number: int, to: Stage) -> int:
    body = {"name": name, "version": str(number), "stage": to.upper(), "archive_existing_versions": True}
    return client.post("/api/2.0/mlflow/model-versions/transition-stage", json=body).status_code


@pytest.mark.parametrize("send", [over_rest, over_mlflow])
def test_every_face_moves_the_version_and_leaves_its_events(
    send: Send, client: FlaskClient, session: Session, steward: Principal
) -> None:
    name = make_model()
    make_version(name, stage=Stage.PRODUCTION)
    make_version(name, stage=Stage.STAGING)

    assert send(client, name, 2, Stage.PRODUCTION) == 200

    assert lookup.find_version(session, name, 2).stage == Stage.PRODUCTION
    promoted, archived = audit.search(session, steward, Question(model=name), limit=2).items
    for entry, number, changes in (
        (promoted, 2, ["Staging", "Production"]),
        (archived, 1, ["Production", "Archived"]),
    ):
        assert (entry.event.actor, entry.event.action) == (steward.id, Action.VERSION_TRANSITION)
        assert (entry.event.number, entry.changes) == (number, {"stage": changes})


@pytest.mark.parametrize("send", [over_rest, over_mlflow])
def test_every_face_refuses_alike_and_leaves_nothing(send: Send, client: FlaskClient, session: Session) -> None:
    name = make_model()
    make_version(name)
    assert send(client, name, 1, Stage.ARCHIVED) == 400
    assert send(client, name, 2, Stage.PRODUCTION) == 404
    assert lookup.find_version(session, name, 1).stage == Stage.NONE


def delete_over_rest(client: FlaskClient, name: str) -> int:
    return client.delete(f"/api/v1/models/{name}/versions/1").status_code


def delete_over_mlflow(client: FlaskClient, name: str) -> int:
    body = {"name": name, "version": "1"}
    return client.delete("/api/2.0/mlflow/model-versions/delete", json=body).status_code


@pytest.mark.parametrize("delete", [delete_over_rest, delete_over_mlflow])
def test_what_any_face_deletes_lies_in_the_trash_and_comes_back_to_both(
    delete: Callable[[FlaskClient, str], int], client: FlaskClient, session: Session, steward: Principal
) -> None:
    name = make_model()
    make_version(name, stage=Stage.STAGING)

    assert delete(client, name) in {200, 204}

    found = trash.versions(session, steward, limit=1).items[0]
    assert (found.name, found.version.number, found.deleted_by and found.deleted_by.id) == (name, 1, steward.id)
    path = f"/api/v1/trash/models/{found.version.model_id}/versions/1/restore"
    assert client.post(path, json={}).get_json()["stage"] == "Archived"
    again = client.get(f"/api/2.0/mlflow/model-versions/get?name={name}&version=1").get_json()
    assert again["model_version"]["current_stage"] == "Archived"
