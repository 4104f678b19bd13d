"""`/grants` and `/access/explain` on the wire."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from registry.vocabulary import Role
from tests.conftest import client_with
from tests.factories import unique

pytestmark = pytest.mark.usefixtures("context")

AT = "/api/v1/grants"
EXPLAIN = "/api/v1/access/explain"


def make(client: FlaskClient, **given: Any) -> dict[str, Any]:
    answer = client.post(AT, json={"group": unique("team"), "role": "viewer"} | given)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.get_json()
    return made


def test_a_grant_is_made_read_listed_and_taken_away(client: FlaskClient) -> None:
    team = unique("team")
    answer = client.post(
        AT, json={"group": team, "role": "contributor", "pattern": "churn-*", "stages_to": ["Staging"]}
    )
    made = answer.get_json()
    assert answer.headers["Location"] == f"{AT}/{made['id']}"
    assert {key: made[key] for key in ("group", "principal", "effect", "role", "permissions", "pattern")} == {
        "group": team,
        "principal": None,
        "effect": "allow",
        "role": "contributor",
        "permissions": None,
        "pattern": "churn-*",
    }
    one = client.get(answer.headers["Location"])
    assert one.get_json() == made
    assert one.headers["ETag"] == answer.headers["ETag"]
    assert client.get(f"{AT}?group={team}").get_json() == {"items": [made], "next": None}
    assert client.delete(answer.headers["Location"]).status_code == 204
    assert client.get(answer.headers["Location"]).status_code == 404
    assert client.delete(answer.headers["Location"]).status_code == 404


WRONG = [
    ({}, "principal"),
    ({"principal": "a", "group": "b", "role": "viewer"}, "principal"),
    ({"group": "g"}, "role"),
    ({"group": "g", "role": "owner"}, "role"),
    ({"group": "g", "role": "viewer", "effect": "perhaps"}, "effect"),
    ({"group": "g", "permissions": ["fly"]}, "permissions.0"),
    ({"group": "g", "permissions": "read"}, "permissions"),
    ({"group": "g", "role": "approver", "stages_to": ["staging"]}, "stages_to.0"),
    ({"group": "g", "role": "viewer", "model_id": 1}, "model_id"),
    ({"group": "g", "role": "viewer", "created_by": "me"}, "created_by"),
    ({"group": "g\0", "role": "viewer"}, "group"),
    ({"group": "g", "role": "viewer", "pattern": "a\ud800"}, "pattern"),
    ({"group": 7, "role": "viewer"}, "group"),
]


@pytest.mark.parametrize(("body", "field"), WRONG)
def test_what_is_not_right_is_named(client: FlaskClient, body: dict[str, Any], field: str) -> None:
    answer = client.post(AT, json=body)
    assert answer.status_code == 400
    assert field in {fault["field"] for fault in answer.get_json()["errors"]}


def test_a_grant_is_made_once_under_its_key(client: FlaskClient) -> None:
    key, team = {"Idempotency-Key": unique("key")}, unique("team")
    first, again = (client.post(AT, json={"group": team, "role": "viewer"}, headers=key) for _ in range(2))
    assert first.get_json() == again.get_json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(client.get(f"{AT}?group={team}").get_json()["items"]) == 1


def test_it_goes_only_as_it_was_seen(client: FlaskClient) -> None:
    made = make(client)
    tag = client.get(f"{AT}/{made['id']}").headers["ETag"]
    assert client.delete(f"{AT}/{made['id']}", headers={"If-Match": '"other"'}).status_code == 412
    assert client.delete(f"{AT}/{made['id']}", headers={"If-Match": tag}).status_code == 204
    assert client.delete(f"{AT}/{made['id']}", headers={"If-Match": tag}).status_code == 412


def test_pages_lead_to_one_another(client: FlaskClient) -> None:
    team = unique("team")
    made = [make(client, group=team, pattern=f"m-{number}")["id"] for number in range(3)]
    page = client.get(f"{AT}?group={team}&limit=2").get_json()
    rest = client.get(page["next"]).get_json()
    assert [one["id"] for one in page["items"] + rest["items"]] == made
    assert client.get(f"{AT}?group={team}x&page_token={page['next'].rpartition('=')[2]}").status_code == 400


def test_the_reason_is_on_record(client: FlaskClient) -> None:
    made = make(client)
    client.delete(f"{AT}/{made['id']}", headers={"X-Registry-Reason": "left the team"})
    events = client.get(f"/api/v1/audit?subject=grant:{made['id']}&order=oldest").get_json()["items"]
    assert [event["action"] for event in events] == ["grant.create", "grant.delete"]
    assert events[1]["reason"] == "left the team"
    assert events[0]["changes"]["role"] == [None, "viewer"]


def test_a_secret_audience_is_explained_in_both_ways(app: Flask, client: FlaskClient) -> None:
    name = unique("maya")
    secret = client.post("/api/v1/tokens", json={"name": name, "role": "contributor"}).get_json()["secret"]
    maya = client_with(app, secret)
    yes = maya.get(f"{EXPLAIN}?action=describe&model=churn").get_json()
    assert (yes["allowed"], yes["missing"], yes["who_could"]) == (True, None, [])
    assert (yes["because"]["role"], yes["because"]["holder"], yes["because"]["pattern"]) == ("contributor", name, "*")
    no = maya.get(f"{EXPLAIN}?action=promote&model=churn&from=Staging&to=Production").get_json()
    assert (no["allowed"], no["because"]) == (False, None)
    assert "'promote' on 'churn' from Staging to Production" in no["missing"]
    assert no["who_could"]
    denial = client.post(
        AT, json={"principal": name, "effect": "deny", "permissions": ["describe"], "pattern": "churn"}
    ).get_json()
    denied = maya.get(f"{EXPLAIN}?action=describe&model=churn").get_json()
    assert (denied["allowed"], denied["because"]["id"], denied["because"]["effect"]) == (False, denial["id"], "deny")


@pytest.mark.parametrize(
    "query", ["", "action=fly", "action=read&to=staging", "action=read&from=Nowhere", "action=read&model=%00", "x=1"]
)
def test_a_question_that_is_not_right_is_refused(client: FlaskClient, query: str) -> None:
    assert client.get(f"{EXPLAIN}?{query}").status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"models": []},
        {"models": ["a\0"]},
        {"models": ["*a*b*c*d*"]},
        {"stages": []},
        {"stages": ["staging"]},
        {"models": ["x"] * 21},
        {"models": "x"},
    ],
)
def test_a_token_is_not_narrowed_to_nothing_or_nonsense(client: FlaskClient, wrong: dict[str, Any]) -> None:
    body = {"name": unique("robot"), "role": Role.VIEWER.value, **wrong}
    assert client.post("/api/v1/tokens", json=body).status_code == 400


def test_a_narrowed_token_is_shown_as_such(client: FlaskClient) -> None:
    body = {"name": unique("robot"), "role": "approver", "models": ["b-*", "a"], "stages": ["Staging", "Staging"]}
    made = client.post("/api/v1/tokens", json=body).get_json()
    assert (made["models"], made["stages"]) == (["b-*", "a"], ["Staging"])
    shown = client.get(f"/api/v1/tokens/{made['id']}").get_json()
    assert (shown["models"], shown["stages"]) == (made["models"], made["stages"])
