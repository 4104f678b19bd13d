"""`/audit` over HTTP: filters, pages, and the log as a file."""

import csv
import hashlib
import io
import json
from datetime import datetime

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from bench.statements import counted
from registry.db import db, transaction
from registry.domain import audit_export, registered_models, stages
from registry.domain.access import OPERATOR, Principal
from registry.faces.rest.audit_export import COLUMNS
from registry.tables import AuditEvent, PrivateText
from registry.vocabulary import Role, Stage
from tests.conftest import client_with
from tests.faces.test_statements import AUTHENTICATION
from tests.factories import make_events, make_model, make_version, move, unique

pytestmark = pytest.mark.usefixtures("context")
LOG = "/api/v1/audit"


def of(name: str) -> str:
    return f"/api/v1/models/{name}/audit"


def seqs(client: FlaskClient, path: str) -> list[int]:
    return [event["seq"] for event in client.get(path).get_json()["items"]]


def bodies(name: str) -> list[str]:
    """The stored lines of a model in their order."""
    named = select(AuditEvent.model_id).where(AuditEvent.body.contains(f'"model": "{name}"')).limit(1)
    question = select(AuditEvent.body).where(AuditEvent.model_id == named.scalar_subquery())
    return list(db.session.scalars(question.order_by(AuditEvent.seq)))


def table(client: FlaskClient, path: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(client.get(path).text, newline=""), strict=True))


@pytest.fixture
def name() -> str:
    """A model with six events: registered, two versions, three moves."""
    name = make_model()
    make_version(name, stage=Stage.STAGING)
    make_version(name)
    move(name, 1, Stage.PRODUCTION)
    move(name, 2, Stage.STAGING)
    return name


FILTERS = [
    ("", [6, 5, 4, 3, 2, 1]),
    ("order=newest", [6, 5, 4, 3, 2, 1]),
    ("order=oldest", [1, 2, 3, 4, 5, 6]),
    ("version=1&order=oldest", [2, 3, 5]),
    ("action=model_version.transition", [6, 5, 3]),
    ("action=model_version.transition&version=2", [6]),
    ("actor=operator&limit=2", [6, 5]),
    ("actor=nobody", []),
]


@pytest.mark.parametrize(("query", "found"), FILTERS)
def test_each_filter_and_both_orders(client: FlaskClient, name: str, query: str, found: list[int]) -> None:
    assert seqs(client, f"{of(name)}?{query}") == found
    assert seqs(client, f"{LOG}?model={name}&{query}") == found


def test_since_is_inclusive_and_until_exclusive(client: FlaskClient, name: str) -> None:
    fourth = client.get(of(name) + "?order=oldest").get_json()["items"][3]["at"]
    assert seqs(client, f"{of(name)}?order=oldest&since={fourth}") == [4, 5, 6]
    assert seqs(client, f"{of(name)}?order=oldest&until={fourth}") == [1, 2, 3]


def test_the_events_of_one_version(client: FlaskClient, name: str) -> None:
    path = f"/api/v1/models/{name}/versions/1/audit"
    assert seqs(client, path) == [5, 3, 2]
    assert [json.loads(line)["seq"] for line in client.get(path + "?format=jsonl").text.splitlines()] == [2, 3, 5]


def test_the_events_of_one_request(client: FlaskClient) -> None:
    name, request_id = unique(), unique("request")
    body = {"name": name, "tags": {"a": "1", "b": "2"}}
    client.post("/api/v1/models", json=body, headers={"X-Request-ID": request_id})
    client.post("/api/v1/models", json={"name": unique()})
    assert seqs(client, f"{LOG}?request_id={request_id}&order=oldest") == [1, 2, 3, 1]
    assert len(client.get(f"{LOG}?request_id={request_id}&format=jsonl").text.splitlines()) == 4
    assert seqs(client, f"{LOG}?request_id={request_id}x") == []


def test_the_events_of_one_subject(client: FlaskClient, name: str) -> None:
    subject = client.get(f"{of(name)}?version=1&limit=1").get_json()["items"][0]["subject"]
    assert seqs(client, f"{LOG}?subject={subject}") == seqs(client, f"{of(name)}?subject={subject}") == [5, 3, 2]
    assert len(client.get(f"{LOG}?subject={subject}&format=csv").text.splitlines()) == 1 + 3
    assert seqs(client, f"{LOG}?subject={subject}0") == []


@pytest.mark.parametrize("column", ["request_id", "object"])
def test_the_events_of_one_request_or_subject_come_from_their_index(session: Session, column: str) -> None:
    session.execute(text("SET LOCAL enable_seqscan = off"))
    plan = session.scalars(text(f"EXPLAIN SELECT * FROM audit.event WHERE {column} = 'r' ORDER BY at_us, id LIMIT 9"))
    assert f"ix_event_{column}" in "\n".join(plan)


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_pages_lead_to_one_another(client: FlaskClient, name: str, order: str) -> None:
    seen: list[int] = []
    path: str | None = f"{of(name)}?order={order}&limit=4"
    while path is not None:
        page = client.get(path).get_json()
        seen += [event["seq"] for event in page["items"]]
        path = page["next"]
    assert seen == (list(range(6, 0, -1)) if order == "newest" else list(range(1, 7)))


REFUSED = [
    ("format=xml", "format"),
    ("format=JSONL", "format"),
    ("order=random", "order"),
    ("limit=0", "limit"),
    ("limit=1001", "limit"),
    ("limit=0&format=csv", "limit"),
    ("page_token=x&format=jsonl", "page_token"),
    ("page_token=x&format=csv", "page_token"),
    ("version=0", "version"),
    ("action=model.explode", "action"),
    ("since=yesterday", "since"),
    ("request-id=x", "request-id"),
]


@pytest.mark.parametrize(("query", "field"), REFUSED)
def test_what_makes_no_sense_is_refused_by_name(client: FlaskClient, name: str, query: str, field: str) -> None:
    answer = client.get(f"{of(name)}?{query}")
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.get_json()["errors"]] == [field]


@pytest.mark.parametrize("kind", ["json", "jsonl", "csv"])
@pytest.mark.parametrize(
    ("path", "status"), [(LOG + "?version=1", 400), (LOG + "?model=nobody", 404), (of("nobody") + "?limit=1", 404)]
)
def test_a_refusal_is_no_file(client: FlaskClient, kind: str, path: str, status: int) -> None:
    answer = client.get(f"{path}&format={kind}")
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")


def test_the_path_says_which_model_and_version(client: FlaskClient, name: str) -> None:
    assert client.get(f"{of(name)}?model=other").status_code == 400
    assert client.get(f"/api/v1/models/{name}/versions/1/audit?version=2").status_code == 400


def test_whoever_may_read_may_read_the_log(
    app: Flask, credentials: dict[Role, tuple[Principal, str]], name: str
) -> None:
    viewer = client_with(app, credentials[Role.VIEWER][1])
    for kind in ("json", "jsonl", "csv"):
        assert viewer.get(f"{of(name)}?format={kind}").status_code == 200
        assert client_with(app, None).get(f"{of(name)}?format={kind}").status_code == 401


def test_json_lines_are_the_stored_lines(client: FlaskClient) -> None:
    name = make_model(odd='é 漢 \U0001f600 "quoted"\nline\u2028end')
    make_version(name)
    answer = client.get(of(name) + "?format=jsonl")
    assert answer.data == "".join(line + "\n" for line in bodies(name)).encode()
    assert answer.headers["Content-Type"] == "application/jsonl"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=audit-")
    assert answer.headers["Content-Disposition"].endswith("Z.jsonl")
    assert "ETag" not in answer.headers
    assert "Content-Length" not in answer.headers
    hashes = [hashlib.sha256(b"\0" + line).hexdigest() for line in answer.data[:-1].split(b"\n")]
    newest_first = [event["hash"] for event in client.get(of(name)).get_json()["items"]]
    assert hashes == newest_first[::-1]


def test_csv_has_a_header_and_these_columns(client: FlaskClient, steward: Principal) -> None:
    name = make_model(steward)
    make_version(name, steward)
    with transaction(steward, reason='passed, "mostly"\r\nall of it', request_id="r-77") as change:
        stages.transition(change, steward, name, 1, Stage.PRODUCTION)
    answer = client.get(of(name) + "?format=csv")
    event = client.get(of(name) + "?limit=1").get_json()["items"][0]

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["Content-Disposition"].endswith("Z.csv")
    assert answer.text.startswith(",".join(COLUMNS) + "\r\n")
    assert table(client, of(name) + "?format=csv")[-1] == {
        "time": event["at"],
        "stream": event["stream"],
        "seq": "3",
        "actor": steward.id,
        "actor_name": steward.name,
        "credential": steward.credential,
        "action": "model_version.transition",
        "subject": event["subject"],
        "model": name,
        "version": "1",
        "changes": '{"stage":["None","Production"]}',
        "reason": 'passed, "mostly"\r\nall of it',
        "request_id": "r-77",
        "hash": event["hash"],
        "position": "",
    }
    assert datetime.fromisoformat(event["at"]).tzinfo is not None


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "='a','b'"]


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_cell_is_a_formula(client: FlaskClient, formula: str) -> None:
    name = make_model()
    with transaction(OPERATOR, reason=formula, request_id="=" + unique()) as change:
        registered_models.describe(change, OPERATOR, name, formula)
    row = table(client, of(name) + "?format=csv")[-1]
    assert row["reason"] == "'" + formula
    assert row["request_id"].startswith("'=")
    assert json.loads(row["changes"]) == {"description": [None, formula]}


def test_csv_has_the_texts_and_json_lines_never_have_them(client: FlaskClient) -> None:
    name, words, why = make_model(), unique("about a person"), unique("because")
    with transaction(OPERATOR, reason=why) as change:
        registered_models.describe(change, OPERATOR, name, words)
    row = table(client, of(name) + "?format=csv")[-1]
    assert json.loads(row["changes"]) == {"description": [None, words]}
    assert row["reason"] == why
    lines = client.get(of(name) + "?format=jsonl").text
    assert words not in lines
    assert why not in lines


def test_a_text_that_was_erased_is_shown_as_its_digest(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    name = make_model()
    with transaction(OPERATOR, reason="a reason") as change:
        registered_models.describe(change, OPERATOR, name, "words")
    kept = db.session.scalars(
        select(PrivateText)
        .join(AuditEvent, AuditEvent.id == PrivateText.event_id)
        .where(AuditEvent.body.contains(f'"model": "{name}"'))
    )
    digests = {
        text.field: {"salted_sha256": hashlib.sha256(text.salt + text.content.encode()).hexdigest()} for text in kept
    }
    monkeypatch.setattr("registry.domain.audit.texts_of", lambda *_: {})  # as if the rows were gone

    event = client.get(of(name)).get_json()["items"][0]
    row = table(client, of(name) + "?format=csv")[-1]

    assert event["changes"] == json.loads(row["changes"]) == {"description": [None, digests["description"]]}
    assert event["reason"] == row["reason"]
    assert json.loads(row["reason"]) == digests["reason"]


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_files_may_have_a_limit_an_order_and_nothing_in_them(client: FlaskClient, name: str, kind: str) -> None:
    def found(query: str) -> list[int]:
        if kind == "csv":
            return [int(row["seq"]) for row in table(client, f"{of(name)}?format=csv&{query}")]
        return [json.loads(line)["seq"] for line in client.get(f"{of(name)}?format=jsonl&{query}").text.splitlines()]

    assert found("") == [1, 2, 3, 4, 5, 6]
    assert found("limit=2") == [1, 2]
    assert found("limit=2&order=newest") == [6, 5]
    assert found("limit=100000") == [1, 2, 3, 4, 5, 6]
    assert found("actor=nobody") == []


@pytest.mark.parametrize(("kind", "each"), [("jsonl", 1), ("csv", 3)])
def test_an_export_takes_as_many_statements_for_each_batch(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, kind: str, each: int
) -> None:
    monkeypatch.setattr(audit_export, "BATCH", 50)
    counts = []
    for count in (49, 149):  # and the event of the model
        [name] = make_events(count)
        with counted() as sent:
            assert client.get(f"{of(name)}?format={kind}").text.count("\n") >= count
        counts.append(len(sent) - AUTHENTICATION)
    assert counts[1] - counts[0] == 2 * each, sent
    assert counts[0] <= 5 + 2 * each  # two of them note that there is an export
