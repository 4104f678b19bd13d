"""`Audit-Receipt`: the answer to a change names the events that it wrote; nothing else names any."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from bench.statements import counted
from registry.db import RECEIPTS, db, receipts, transaction
from registry.domain import stages, tags, tokens
from registry.domain.access import OPERATOR
from registry.ledger import verify
from registry.prepared import spelled
from registry.tables import AuditEvent
from registry.vocabulary import Role, Stage
from tests.conftest import superuser
from tests.factories import make_model, make_version, unique

pytestmark = pytest.mark.usefixtures("context")

Request = tuple[str, str, dict[str, Any]]
MLFLOW = "/api/2.0/mlflow"


def written_by(request_id: str) -> dict[str, str]:
    """The last event of each stream that a request wrote."""
    db.session.rollback()
    found = select(AuditEvent).where(AuditEvent.request_id == request_id).order_by(AuditEvent.id)
    return {event.stream: f"{event.seq}/{event.hash.hex()}" for event in db.session.scalars(found)}


def given(answer: TestResponse) -> dict[str, str]:
    """The receipts of an answer, by stream."""
    parts = [receipt.partition("/") for receipt in answer.headers["Audit-Receipt"].split(", ")]
    return {stream: event for stream, _, event in parts}


def send(client: FlaskClient, request: Request, **headers: str) -> tuple[TestResponse, str]:
    verb, path, body = request
    request_id = unique("request")
    return client.open(path, method=verb, json=body, headers={"X-Request-ID": request_id, **headers}), request_id


CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/api/v1/models", {"name": "{name}-2", "tags": {"a": "1", "b": "2"}}),
    ("PATCH", "/api/v1/models/{name}", {"description": "words"}),
    ("DELETE", "/api/v1/models/{name}", {}),
    ("POST", "/api/v1/models/{name}/versions", {"source": "s3://b/k", "stage": "Production"}),
    ("PATCH", "/api/v1/models/{name}/versions/1", {"description": "words"}),
    ("DELETE", "/api/v1/models/{name}/versions/1", {}),
    ("POST", "/api/v1/models/{name}/versions/1/transitions", {"to": "Production", "archive_existing": True}),
    ("PUT", "/api/v1/models/{name}/tags/team", {"value": "risk"}),
    ("PATCH", "/api/v1/models/{name}/versions/1/tags", {"tags": {"x": "1", "y": "2"}}),
    ("PUT", "/api/v1/models/{name}/aliases/champion", {"version": 1}),
    ("POST", "/api/v1/models/{name}/comments", {"text": "words"}),
    ("POST", MLFLOW + "/registered-models/create", {"name": "{name}-3"}),
    ("PATCH", MLFLOW + "/registered-models/update", {"name": "{name}", "description": "words"}),
    ("POST", MLFLOW + "/registered-models/rename", {"name": "{name}", "new_name": "{name}-4"}),
    ("POST", MLFLOW + "/registered-models/set-tag", {"name": "{name}", "key": "k", "value": "v"}),
    ("DELETE", MLFLOW + "/registered-models/delete", {"name": "{name}"}),
    ("POST", MLFLOW + "/registered-models/alias", {"name": "{name}", "alias": "champion", "version": "1"}),
    ("POST", MLFLOW + "/model-versions/create", {"name": "{name}", "source": "s3://b/k"}),
    ("PATCH", MLFLOW + "/model-versions/update", {"name": "{name}", "version": "1", "description": "words"}),
    ("POST", MLFLOW + "/model-versions/transition-stage", {"name": "{name}", "version": "1", "stage": "staging"}),
    ("POST", MLFLOW + "/model-versions/set-tag", {"name": "{name}", "version": "1", "key": "k", "value": "v"}),
    ("DELETE", MLFLOW + "/model-versions/delete", {"name": "{name}", "version": "1"}),
]


def about(name: str, request: Request) -> Request:
    verb, path, body = request

    def put(value: Any) -> Any:
        return value.replace("{name}", name) if isinstance(value, str) else value

    return verb, put(path), {key: put(value) for key, value in body.items()}


@pytest.fixture
def name() -> str:
    name = make_model()
    make_version(name)
    return name


@pytest.mark.parametrize("keyed", [False, True], ids=["", "keyed"])
@pytest.mark.parametrize("request_", CHANGES, ids=lambda request: " ".join(request[:2]))
def test_the_answer_to_a_change_names_the_last_event_of_each_stream(
    client: FlaskClient, name: str, request_: Request, keyed: bool
) -> None:
    headers = {"Idempotency-Key": unique("key")} if keyed else {}
    answer, request_id = send(client, about(name, request_), **headers)
    assert answer.status_code < 300, answer.text
    assert given(answer) == written_by(request_id) != {}


def test_the_auditors_program_reads_the_header_as_it_is(client: FlaskClient, name: str) -> None:
    answer, _ = send(client, ("PUT", f"/api/v1/models/{name}/tags/team", {"value": "risk"}))
    [(stream, [(seq, hash_)])] = [
        (stream, list(of.items())) for stream, of in verify.read_receipts(answer.headers["Audit-Receipt"]).items()
    ]
    assert {stream: f"{seq}/{hash_}"} == given(answer)


def test_a_replayed_answer_has_the_receipt_of_the_first_one(client: FlaskClient, name: str) -> None:
    request = ("POST", f"/api/v1/models/{name}/versions", {"source": "s3://b/k"})
    headers = {"Idempotency-Key": unique("key")}
    first, _ = send(client, request, **headers)
    send(client, ("PUT", f"/api/v1/models/{name}/tags/team", {"value": "risk"}))
    second, request_id = send(client, request, **headers)
    assert second.headers["Idempotency-Replayed"] == "true"
    assert given(second) == given(first)
    assert written_by(request_id) == {}


def test_a_change_under_a_condition_has_its_receipt(client: FlaskClient, name: str) -> None:
    path = f"/api/v1/models/{name}"
    tag = client.get(path).headers["ETag"]
    answer, request_id = send(client, ("PATCH", path, {"description": "words"}), **{"If-Match": tag})
    assert given(answer) == written_by(request_id) != {}


NOTHING: list[tuple[Request, int]] = [
    (("POST", "/api/v1/models/{name}/versions/1/transitions", {"to": "Staging", "dry_run": True}), 200),
    (("POST", "/api/v1/models/{name}/versions/1/transitions", {"to": "None"}), 200),
    (("POST", "/api/v1/models/{name}/versions/1/transitions", {"to": "Archived", "expected_current": 7}), 409),
    (("POST", "/api/v1/models/{name}/versions/9/transitions", {"to": "Staging"}), 404),
    (("POST", "/api/v1/models", {"name": "{name}"}), 409),
    (("PUT", "/api/v1/models/{name}/tags/", {}), 404),
    (("GET", "/api/v1/models/{name}", {}), 200),
    (("POST", MLFLOW + "/registered-models/create", {"name": "{name}"}), 400),
    (("POST", MLFLOW + "/model-versions/transition-stage", {"name": "{name}", "version": "1", "stage": "x"}), 400),
]


@pytest.mark.parametrize("keyed", [False, True], ids=["", "keyed"])
@pytest.mark.parametrize(("request_", "status"), NOTHING)
def test_what_has_changed_nothing_has_no_receipt(
    client: FlaskClient, name: str, request_: Request, status: int, keyed: bool
) -> None:
    headers = {"Idempotency-Key": unique("key")} if keyed else {}
    answer, request_id = send(client, about(name, request_), **headers)
    assert answer.status_code == status
    assert "Audit-Receipt" not in answer.headers
    assert written_by(request_id) == {}


def test_a_change_that_fails_at_its_commit_has_no_receipt(client: FlaskClient, name: str) -> None:
    answer = failing_at_commit(lambda: send(client, ("PUT", f"/api/v1/models/{name}/tags/k", {"value": "v"})))
    assert answer.status_code == 503
    assert "Audit-Receipt" not in answer.headers


def failing_at_commit(change: Callable[[], tuple[TestResponse, str]]) -> TestResponse:
    """What is answered where the database refuses at the very end."""
    create = (
        "CREATE FUNCTION registry.refuse_late() RETURNS trigger LANGUAGE plpgsql AS "
        "$f$BEGIN RAISE EXCEPTION USING ERRCODE = '57014'; END$f$;"
        "CREATE CONSTRAINT TRIGGER z_late AFTER INSERT ON registry.registered_model_tags "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.key = 'k') EXECUTE FUNCTION registry.refuse_late()"
    )
    with superuser() as connection:
        connection.exec_driver_sql(create)
    try:
        return change()[0]
    finally:
        with superuser() as connection:
            connection.exec_driver_sql("DROP FUNCTION registry.refuse_late() CASCADE")


def test_what_a_savepoint_took_back_has_no_receipt(name: str) -> None:
    other = make_model()
    with transaction(OPERATOR) as session:
        with transaction(OPERATOR, dry_run=True):
            tags.set_on_model(session, OPERATOR, other, "team", "risk")
            assert len(receipts(session)) == 1
        tags.set_on_model(session, OPERATOR, name, "team", "risk")
        [stream] = receipts(session)
    assert stream == f"model:{id_of(name)}"


def id_of(name: str) -> int:
    return int(db.session.scalar(text("SELECT id FROM registry.registered_models WHERE name = :n"), {"n": name}) or 0)


def test_a_block_inside_another_one_adds_to_it(name: str) -> None:
    with transaction(OPERATOR) as session:
        make_version(name)
        inner = receipts(session)
        stages.transition(session, OPERATOR, name, 1, Stage.STAGING)
        [outer] = receipts(session).values()
    assert list(inner) == [f"model:{id_of(name)}"]
    assert int(outer.partition("/")[0]) == int(inner[f"model:{id_of(name)}"].partition("/")[0]) + 1


def test_each_stream_has_one_and_there_are_at_most_sixteen() -> None:
    with transaction(OPERATOR) as session:
        issued = tokens.create(session, OPERATOR, name=unique("robot"), role=Role.VIEWER)
        assert {stream.partition(":")[0] for stream in receipts(session)} == {"principal", "token", "grant"}
        assert f"token:{issued.id}" in receipts_again(session)
    with transaction(OPERATOR) as session:
        for _ in range(20):
            tokens.create(session, OPERATOR, name=unique("robot"), role=Role.VIEWER)
        assert len(receipts(session)) == 16


def receipts_again(session: Session) -> dict[str, str]:
    session.info["wrote"] = True
    return receipts(session)


@pytest.mark.parametrize(
    ("request_", "asked"),
    [
        (("PUT", "/api/v1/models/{name}/tags/team", {"value": "risk"}), 1),
        (("POST", "/api/v1/models/{name}/versions/1/transitions", {"to": "Staging"}), 1),
        (("POST", "/api/v1/models/{name}/versions/1/transitions", {"to": "Staging", "dry_run": True}), 0),
        (("POST", "/api/v1/models/{name}/versions/1/transitions", {"to": "Archived", "expected_current": 7}), 0),
        (("GET", "/api/v1/models/{name}", {}), 0),
    ],
)
@pytest.mark.parametrize("keyed", [False, True], ids=["", "keyed"])
def test_receipts_cost_one_statement_and_none_where_nothing_was_written(
    app: Flask, client: FlaskClient, request_: Request, asked: int, keyed: bool
) -> None:
    name = make_model(was="there")
    make_version(name)
    headers = {"Idempotency-Key": unique("key")} if keyed else {}
    with counted() as sent:
        send(client, about(name, request_), **headers)
    _, receipts = spelled(RECEIPTS.text)
    assert sent.count(receipts) == asked
