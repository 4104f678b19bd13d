"""What is in the log though no row has changed: refusals, rationed, and exports."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from registry.db import db, transaction, unaudited
from registry.domain import notes, tokens
from registry.domain.access import OPERATOR, Principal
from registry.errors import Forbidden
from registry.tables import AuditEvent, Token
from registry.vocabulary import Action, Role
from tests.conftest import client_with, issue, superuser
from tests.factories import make_model, make_version, unique

A_MINUTE = 10


@pytest.fixture
def viewer(app: Flask) -> tuple[Principal, str]:
    """Somebody who may only read, and of whom nothing was noted yet."""
    return issue(app, Role.VIEWER)


@pytest.fixture
def fresh(app: Flask) -> Iterator[None]:
    """An application context for looking, apart from those of requests."""
    with app.app_context():
        yield


def noted(actor: str, action: Action) -> list[dict[str, Any]]:
    """The lines of this kind that bear this actor."""
    question = select(AuditEvent.body).where(AuditEvent.actor == actor, AuditEvent.action == action)
    found = [json.loads(body) for body in db.session.scalars(question.order_by(AuditEvent.id))]
    db.session.rollback()
    return found


MLFLOW = "/api/2.0/mlflow/registered-models/create"


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("path", ["/api/v1/models", MLFLOW])
def test_refused_access_is_noted_in_every_face(app: Flask, viewer: tuple[Principal, str], path: str) -> None:
    principal, token = viewer
    name = unique()

    refused = client_with(app, token).post(path, json={"name": name}, headers={"X-Request-ID": "asked-in-vain"})

    assert refused.status_code == 403
    [line] = noted(principal.id, Action.ACCESS_REFUSE)
    assert line["stream"] == line["object"] == "system:access"
    assert line["changes"] == {"permission": [None, "register"], "model": [None, name]}
    assert (line["credential"], line["request_id"]) == (principal.credential, "asked-in-vain")


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("name", ["a\0b", "a\ud800b", "n" * 100_000, "line\nbreak"])
def test_whatever_a_caller_sends_can_be_noted(app: Flask, viewer: tuple[Principal, str], name: str) -> None:
    refuse(viewer[0], name)
    [line] = noted(viewer[0].id, Action.ACCESS_REFUSE)
    assert 3 <= len(line["changes"]["model"][1]) <= 256
    for path in ("/api/v1/models", MLFLOW):
        assert client_with(app, viewer[1]).post(path, json={"name": name}).status_code in {400, 403}


@pytest.mark.usefixtures("fresh")
def test_a_comment_of_somebody_else_is_noted_too(app: Flask, client: FlaskClient) -> None:
    principal, token = issue(app, Role.CONTRIBUTOR)
    name = make_model()
    made = client.post(f"/api/v1/models/{name}/comments", json={"text": "mine"})
    assert made.status_code == 201

    path = f"/api/v1/models/{name}/comments/{made.get_json()['id']}"
    assert client_with(app, token).patch(path, json={"text": "yours"}).status_code == 403

    assert noted(principal.id, Action.ACCESS_REFUSE)[0]["changes"] == {"permission": [None, "comment"]}


def hold_the_minute(actor: str) -> None:
    """Let what was noted of an actor be of a minute that is still to come, so that none begins while a test runs."""
    with superuser() as connection:
        connection.execute(text("UPDATE audit.noted SET minute = minute + 60 WHERE actor = :a"), {"a": actor})


@pytest.mark.usefixtures("fresh")
def test_refusals_without_end_are_ten_events_a_minute(app: Flask, viewer: tuple[Principal, str]) -> None:
    principal, token = viewer
    client = client_with(app, token)

    for _ in range(3 * A_MINUTE):
        assert client.post("/api/v1/models", json={"name": "x"}).status_code == 403
        hold_the_minute(principal.id)

    lines = noted(principal.id, Action.ACCESS_REFUSE)
    assert ["not_noted" in line["changes"] for line in lines] == [False] * (A_MINUTE - 1) + [True]


@pytest.mark.usefixtures("fresh")
def test_the_next_minute_has_ten_of_its_own_and_each_actor_too(viewer: tuple[Principal, str]) -> None:
    principal, _ = viewer
    for _ in range(A_MINUTE + 3):
        refuse(principal)
    first = len(noted(principal.id, Action.ACCESS_REFUSE))
    with superuser() as connection:
        connection.execute(text("UPDATE audit.noted SET minute = minute - 1 WHERE actor = :a"), {"a": principal.id})
    for _ in range(A_MINUTE + 3):
        refuse(principal)

    assert len(noted(principal.id, Action.ACCESS_REFUSE)) >= first + A_MINUTE
    other = Principal(unique("other:"), "other", Role.VIEWER)
    refuse(other)
    assert len(noted(other.id, Action.ACCESS_REFUSE)) == 1


def refuse(principal: Principal, model: str | None = None) -> None:
    with transaction(principal) as session:
        notes.refused(session, Forbidden("no", "register", model))


@pytest.mark.usefixtures("fresh")
def test_what_is_beyond_the_ration_writes_nothing_at_all(viewer: tuple[Principal, str]) -> None:
    principal, _ = viewer
    for _ in range(A_MINUTE):
        refuse(principal)
        hold_the_minute(principal.id)
    with transaction(principal) as session:
        session.execute(text("SET TRANSACTION READ ONLY"))
        notes.refused(session, Forbidden("no", "register"))


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("why", ["revoked", "expired"])
def test_the_use_of_a_token_that_was_good_once_is_noted(app: Flask, viewer: tuple[Principal, str], why: str) -> None:
    principal, token = viewer
    number = int(principal.credential.removeprefix("token:"))
    if why == "revoked":
        with transaction(OPERATOR) as session:
            tokens.revoke(session, OPERATOR, number)
    else:
        with transaction(OPERATOR) as session:
            session.execute(update(Token).where(Token.id == number).values(expires_at=text("now()")))

    for _ in range(2 * A_MINUTE):
        assert client_with(app, token).get("/api/v1/whoami").status_code == 401
        hold_the_minute(principal.id)

    lines = noted(principal.id, Action.TOKEN_REFUSE)
    assert len(lines) == A_MINUTE
    assert (lines[0]["stream"], lines[0]["object"]) == ("system:access", principal.credential)
    assert lines[0]["changes"] == {"why": [None, why]}
    assert token not in json.dumps(lines)


@pytest.mark.usefixtures("fresh")
def test_a_token_that_never_was_one_leaves_nothing(app: Flask) -> None:
    before = highest()
    assert client_with(app, "mreg_" + 40 * "0").get("/api/v1/whoami").status_code == 401
    assert client_with(app, None).get("/api/v1/whoami").status_code == 401
    assert highest() == before


def highest() -> int:
    found = db.session.scalars(select(AuditEvent.id).order_by(AuditEvent.id.desc()).limit(1)).one()
    db.session.rollback()
    return found


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_an_export_is_noted_before_it_is_sent(app: Flask, viewer: tuple[Principal, str], kind: str) -> None:
    principal, token = viewer
    name = make_model()
    make_version(name)

    path = f"/api/v1/models/{name}/audit?format={kind}&actor={principal.name}&limit=5"
    answer = client_with(app, token).get(path, headers={"X-Registry-Reason": "the yearly audit"})

    assert answer.status_code == 200
    [line] = noted(principal.id, Action.AUDIT_EXPORT)
    assert line["stream"] == "system:export"
    said = {"format": [None, kind], "limit": [None, 5], "model": [None, name], "actor": [None, principal.id]}
    assert line["changes"] == said
    assert principal.name not in json.dumps(line)
    assert set(line["reason"]) == {"salted_sha256"}


@pytest.mark.usefixtures("fresh")
def test_a_page_is_no_export_and_a_refused_export_is_none(app: Flask, viewer: tuple[Principal, str]) -> None:
    principal, token = viewer
    client = client_with(app, token)
    assert client.get("/api/v1/audit").status_code == 200
    assert client.get(f"/api/v1/models/{unique()}/audit?format=jsonl").status_code == 404
    assert noted(principal.id, Action.AUDIT_EXPORT) == []


@pytest.mark.usefixtures("fresh")
def test_an_export_that_cannot_be_noted_is_not_given(app: Flask, viewer: tuple[Principal, str]) -> None:
    export = "/api/v1/audit?format=jsonl&limit=1"
    assert client_with(app, viewer[1]).get(export).status_code == 200
    with superuser() as connection:  # somebody holds the stream for longer than anybody waits
        connection.execute(text("SELECT FROM audit.stream WHERE stream = 'system:export' FOR UPDATE"))
        refused = client_with(app, viewer[1]).get(export)
    assert refused.status_code == 503


@pytest.mark.parametrize("action", [action for action in Action if action.value.count(".") == 1])
def test_only_what_has_no_row_can_be_noted(context: None, action: Action) -> None:
    mine = {Action.ACCESS_REFUSE, Action.TOKEN_REFUSE, Action.AUDIT_EXPORT}
    with transaction(Principal(unique("other:"), "x", Role.VIEWER)) as session:
        if action in mine:
            notes.note(session, action, {})
        else:
            with pytest.raises(DBAPIError, match="is nothing that can be noted"):
                notes.note(session, action, {})
            session.rollback()


def test_a_note_without_an_actor_is_refused(context: None) -> None:
    with pytest.raises(DBAPIError, match="needs an actor"), unaudited() as session:
        notes.note(session, Action.AUDIT_EXPORT, {})


def test_a_note_is_no_way_to_fill_the_log(session: Session) -> None:
    with pytest.raises(DBAPIError, match="at most 16384 bytes"), transaction(OPERATOR) as change:
        change.execute(text("SELECT audit.note('audit.export', jsonb_build_object('x', repeat('y', 20000)))"))
