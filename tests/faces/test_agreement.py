"""Every face moves a version by the same rule and leaves the same record."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from registry.domain import audit, lookup
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
