"""Reads from a streaming replica: what may be a moment old, and no older than that; never what has to be true now."""

import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg2
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from chaos.postgres import SUPERUSER, Server
from registry.replica import Replica, State
from tests.factories import unique
from tests.replica.pair import BOUND, FRESH, Counted, make, replayed, wait_until


def register(caller: FlaskClient, name: str) -> None:
    assert caller.post(f"/api/v1/models/{name}/versions", json={"source": "s3://b/k"}).status_code == 201


def promote(caller: FlaskClient, name: str, number: int) -> TestResponse:
    body = {"to": "Production", "archive_existing": True}
    answer = caller.post(f"/api/v1/models/{name}/versions/{number}/transitions", json=body)
    assert answer.status_code == 200
    return answer


def listed(caller: FlaskClient, name: str, **headers: str) -> bool:
    query = {"filter": f"name = '{name}'"}
    answer = caller.get("/api/v1/models", query_string=query, headers=headers)
    assert answer.status_code == 200
    return bool(answer.get_json()["items"])


def test_every_route_of_the_list_is_answered_by_the_replica(
    service_app: Flask, caller: FlaskClient, standby: Server, replica: Replica
) -> None:
    name, _ = make(caller)
    register(caller, name)
    promote(caller, name, 1)
    replayed(standby, replica)
    at = datetime.now(UTC) - timedelta(seconds=0.001)
    replayed(standby, replica)
    past = {"at": at.isoformat()}
    asked: list[tuple[str, dict[str, str]]] = [
        ("models", {}),
        ("versions", {}),
        (f"models/{name}/versions", {}),
        ("audit", {}),
        ("audit", {"format": "jsonl", "actor": "nobody"}),
        (f"models/{name}/audit", {}),
        (f"models/{name}/versions/1/audit", {}),
        (f"models/{name}/stages/Production/history", {}),
        (f"models/{name}/stages/Production", past),
        ("resolve", past | {"uri": f"models:/{name}/Production"}),
        ("snapshot", past),
    ]
    for path, query in asked:
        with Counted(service_app) as reads:
            answer = caller.get(f"/api/v1/{path}", query_string=query)
        assert (answer.status_code, reads.found) == (200, {FRESH: 1}), path


def test_what_has_to_be_true_now_is_asked_of_the_primary(
    service_app: Flask, caller: FlaskClient, paused: Callable[[], None]
) -> None:
    paused()
    name, _ = make(caller)
    register(caller, name)
    promote(caller, name, 1)
    tag = caller.get(f"/api/v1/models/{name}").headers["ETag"]
    with Counted(service_app) as reads:
        found = caller.get("/api/v1/resolve", query_string={"uri": f"models:/{name}/Production"})
        assert found.get_json()["version"] == 1
        assert caller.get(f"/api/v1/models/{name}/versions/1").get_json()["stage"] == "Production"
        assert caller.get(f"/api/v1/models/{name}/stages/Production").get_json()["items"]
        assert caller.get("/api/2.0/mlflow/registered-models/get", query_string={"name": name}).status_code == 200
        searched = caller.get(
            "/api/2.0/mlflow/registered-models/search", query_string={"filter": f"name = '{name}'"}
        ).get_json()
        assert len(searched["registered_models"]) == 1
        described = caller.patch(f"/api/v1/models/{name}", json={"description": "x"}, headers={"If-Match": tag})
        assert described.status_code == 200
        assert caller.get("/api/v1/audit", query_string={"after": "-1"}).status_code == 200
        assert caller.get("/api/v1/models", headers={"If-Match": '"old"'}).status_code == 412
    assert reads.found == {}


def test_an_answer_is_as_old_as_it_may_be_and_no_older(
    service_app: Flask, caller: FlaskClient, replica: Replica, paused: Callable[[], None]
) -> None:
    paused()
    name, _ = make(caller)
    made = time.monotonic()
    assert not listed(caller, name)  # so it is the replica that answers
    assert replica.state() is State.USED
    wait_until(lambda: listed(caller, name), BOUND + 2)
    assert time.monotonic() - made <= BOUND + 0.5
    assert replica.state() is State.BEHIND
    with Counted(service_app) as reads:
        assert listed(caller, name)
    assert reads.found == {("primary", "behind"): 1}


def test_who_sends_the_receipt_of_a_change_sees_it(
    service_app: Flask, caller: FlaskClient, replica: Replica, standby: Server, paused: Callable[[], None]
) -> None:
    older = make(caller)[1]
    paused()
    name, receipt = make(caller)
    with Counted(service_app) as reads:
        assert listed(caller, name, **{"Audit-Receipt": receipt})
        assert listed(caller, name, **{"Audit-Receipt": f"{older}, {receipt}"})
        assert listed(caller, name, **{"Audit-Receipt": "nonsense"})
        assert not listed(caller, name, **{"Audit-Receipt": older})
    assert reads.found == {("primary", "receipt"): 3, FRESH: 1}
    assert replica.state() is State.USED


def test_a_refusal_is_never_an_old_one(service_app: Flask, caller: FlaskClient, paused: Callable[[], None]) -> None:
    paused()
    name, _ = make(caller)
    with Counted(service_app) as reads:
        assert caller.get(f"/api/v1/models/{name}/audit").status_code == 200
        assert caller.get(f"/api/v1/models/{unique()}/audit").status_code == 404
    assert reads.found == {("primary", "refused"): 2}


def test_the_past_is_answered_rightly_while_the_replica_stands_still(
    service_app: Flask, caller: FlaskClient, paused: Callable[[], None]
) -> None:
    name, _ = make(caller)
    for _ in range(2):
        register(caller, name)
    promote(caller, name, 1)
    time.sleep(0.01)
    before = datetime.now(UTC)
    paused()
    promote(caller, name, 2)
    time.sleep(0.01)
    after = datetime.now(UTC)

    def holder(at: datetime) -> int:
        query = {"uri": f"models:/{name}/Production", "at": at.isoformat()}
        found: int = caller.get("/api/v1/resolve", query_string=query).get_json()["version"]
        return found

    with Counted(service_app) as reads:
        assert [holder(before), holder(after)] == [1, 2]
    assert reads.found == {FRESH: 1, ("primary", "recent"): 1}


def test_what_is_under_way_is_waited_for_before_the_past_is_final(
    server: Server, standby: Server, replica: Replica, caller: FlaskClient
) -> None:
    name, _ = make(caller)
    with closing(psycopg2.connect(server.url(SUPERUSER))) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.actor', 'a', true), set_config('app.request_id', 'r', true)")
        cursor.execute("UPDATE registry.registered_models SET description = 'late' WHERE name = %s", [name])
        time.sleep(0.01)
        then = datetime.now(UTC)
        make(caller)  # something later, which the replica gets at once
        time.sleep(2 * BOUND)
        assert replica.state() is State.USED
        assert not replica.is_final(then)
        connection.commit()
    wait_until(lambda: replica.is_final(then))
    assert standby.ask("SELECT description FROM registry.registered_models WHERE name = %s", [name]) == [("late",)]
