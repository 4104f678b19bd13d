"""Transitions, rollbacks and their records over `/api/v1`."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from registry.domain.access import Principal
from registry.vocabulary import Role, Stage
from tests.conftest import client_with
from tests.factories import make_model, make_version, move

pytestmark = pytest.mark.usefixtures("context")
DIGEST = "sha256:" + "0a" * 32


@pytest.fixture
def name() -> str:
    """Version 1 was in Production before version 2, 3 is new."""
    name = make_model()
    for _ in range(2):
        move(name, make_version(name), Stage.PRODUCTION, archive_others=True)
    make_version(name)
    return name


def post(client: FlaskClient, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
    answer = client.post("/api/v1" + path, json=body)
    return answer.status_code, answer.get_json()


def holders(client: FlaskClient, name: str) -> list[int]:
    return [one["version"] for one in client.get(f"/api/v1/models/{name}/stages/Production").get_json()["items"]]


def events(client: FlaskClient, name: str) -> list[Any]:
    found: list[Any] = client.get(f"/api/v1/models/{name}/audit?limit=1000").get_json()["items"]
    return found


PROMOTE = {"to": "Production", "archive_existing": True}
CONFLICTS: list[tuple[str, dict[str, Any]]] = [
    ("/models/{name}/versions/3/transitions", PROMOTE | {"expected_current": 1}),
    ("/models/{name}/versions/3/transitions", PROMOTE | {"expected_current": None}),
    ("/models/{name}/versions/3/transitions", PROMOTE | {"expected_current": 1, "dry_run": True}),
    ("/models/{name}/stages/Production/rollback", {"expected_current": 1}),
    ("/models/{name}/versions", {"source": "s3://b/k", "stage": "Production", "expected_current": 3}),
]


@pytest.mark.parametrize(("path", "body"), CONFLICTS)
def test_a_conflict_names_who_holds_the_stage_since_when_and_by_whom(
    client: FlaskClient, name: str, path: str, body: dict[str, Any]
) -> None:
    [now] = client.get(f"/api/v1/models/{name}/stages/Production").get_json()["items"]
    before = events(client, name)

    status, problem = post(client, path.format(name=name), **body)

    assert (status, problem["type"]) == (409, "urn:model-registry:problem:conflict")
    assert problem["holders"] == [{"version": 2, "since": now["since"], "by": {"id": "operator", "name": "operator"}}]
    assert "is held by version 2 (since " in problem["detail"]
    assert events(client, name) == before


def test_a_stage_that_nobody_holds_has_no_holders(client: FlaskClient, name: str) -> None:
    status, problem = post(client, f"/models/{name}/versions/3/transitions", to="Staging", expected_current=1)
    assert (status, problem["holders"]) == (409, [])


def test_a_dry_run_answers_as_if_and_changes_nothing(client: FlaskClient, name: str) -> None:
    before = events(client, name)
    status, answer = post(client, f"/models/{name}/versions/3/transitions", **PROMOTE, dry_run=True)
    assert (status, answer["stage"]) == (200, "Production")
    status, answer = post(client, f"/models/{name}/stages/Production/rollback", dry_run=True)
    assert (status, answer["version"], answer["stage"]) == (200, 1, "Production")
    assert holders(client, name) == [2]
    assert events(client, name) == before


def test_a_rollback_answers_the_version_that_holds_it_now(client: FlaskClient, name: str) -> None:
    status, answer = post(
        client, f"/models/{name}/stages/Production/rollback", reason="errors went up", expected_current=2
    )
    assert (status, answer["version"], answer["stage"]) == (200, 1, "Production")
    assert holders(client, name) == [1]
    first, second = events(client, name)[:2]
    assert first["reason"] == second["reason"] == "errors went up"


@pytest.mark.parametrize(("stage", "status"), [("Staging", 409), ("Archived", 400), ("None", 400), ("production", 404)])
def test_a_rollback_that_makes_no_sense_says_what_to_do(
    client: FlaskClient, name: str, stage: str, status: int
) -> None:
    got, problem = post(client, f"/models/{name}/stages/{stage}/rollback")
    assert got == status
    assert problem["detail"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.CONTRIBUTOR])
def test_who_may_not_promote_moves_nothing(
    app: Flask, client: FlaskClient, credentials: dict[Role, tuple[Principal, str]], name: str, role: Role
) -> None:
    caller = client_with(app, credentials[role][1])
    before = events(client, name)
    for path, body in (
        ("/stages/Production/rollback", {}),
        ("/versions/3/transitions", PROMOTE),
        ("/versions/3/transitions", PROMOTE | {"dry_run": True}),
        ("/versions", {"source": "s3://b/k", "stage": "Production"}),
    ):
        assert post(caller, f"/models/{name}{path}", **body)[0] == 403
    assert events(client, name) == before


def test_a_version_is_registered_in_a_stage_with_its_reason(client: FlaskClient, name: str) -> None:
    status, made = post(
        client,
        f"/models/{name}/versions",
        source="s3://b/k",
        digest=DIGEST,
        stage="Production",
        archive_existing=True,
        expected_current=2,
        reason="hot fix",
    )
    assert (status, made["version"], made["stage"], made["digest"]) == (201, 4, "Production", DIGEST)
    assert holders(client, name) == [4]
    assert [event["reason"] for event in events(client, name)[:3]] == ["hot fix"] * 3
    resolved = client.get(f"/api/v1/resolve?uri=models:/{name}/Production").get_json()
    assert (resolved["version"], resolved["digest"]) == (4, DIGEST)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"archive_existing": True}, "archive_existing"),
        ({"expected_current": None}, "expected_current"),
        ({"stage": "production"}, "stage"),
        ({"digest": "abc"}, "digest"),
        ({"dry_run": True}, "dry_run"),
    ],
)
def test_a_registration_that_contradicts_itself_is_refused(
    client: FlaskClient, name: str, body: dict[str, Any], field: str
) -> None:
    before = events(client, name)
    status, problem = post(client, f"/models/{name}/versions", source="s3://b/k", **body)
    assert (status, [fault["field"] for fault in problem["errors"]]) == (400, [field])
    assert events(client, name) == before


def test_the_moves_of_a_version_are_told_page_by_page(client: FlaskClient, name: str) -> None:
    post(client, f"/models/{name}/versions/2/transitions", to="Archived", reason="old")
    seen = []
    path = f"/api/v1/models/{name}/versions/2/transitions?limit=2"
    while path:
        page = client.get(path).get_json()
        seen += page["items"]
        path = page["next"]
    assert [(one["from"], one["to"]) for one in seen] == [
        ("Production", "Archived"),
        ("None", "Production"),
        (None, "None"),
    ]
    assert set(seen[0]) == {"version", "action", "from", "to", "at", "by", "reason", "request_id"}
    assert (seen[0]["reason"], seen[0]["version"]) == ("old", 2)


def test_a_deleted_version_still_tells_its_moves(client: FlaskClient, name: str) -> None:
    client.delete(f"/api/v1/models/{name}/versions/2")
    first = client.get(f"/api/v1/models/{name}/versions/2/transitions").get_json()["items"][0]
    assert (first["from"], first["to"], first["action"]) == ("Production", None, "model_version.delete")
    assert client.get(f"/api/v1/models/{name}/versions/9/transitions").status_code == 404


def test_history_comes_in_pages(client: FlaskClient, name: str) -> None:
    for number in (1, 2, 1):
        post(client, f"/models/{name}/versions/{number}/transitions", **PROMOTE)
    whole = client.get(f"/api/v1/models/{name}/stages/Production/history").get_json()
    assert ([one["version"] for one in whole["items"]], whole["next"]) == ([1, 2, 1, 2, 1], None)
    seen, path = [], f"/api/v1/models/{name}/stages/Production/history?limit=2"
    while path:
        page = client.get(path).get_json()
        seen += page["items"]
        path = page["next"]
    assert seen == whole["items"]
    assert client.get(f"/api/v1/models/{name}/stages/Staging/history?page_token=x").status_code == 400
