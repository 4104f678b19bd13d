"""`/trash` over `/api/v1`: for administrators alone; back under its name, or gone for good."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from registry.domain.access import Principal
from registry.vocabulary import Role, Stage
from tests.conftest import client_with
from tests.factories import make_model, make_version, unique

pytestmark = pytest.mark.usefixtures("context")
V1 = "/api/v1"


@pytest.fixture
def name() -> str:
    name = make_model(team="risk")
    make_version(name, stage=Stage.PRODUCTION)
    make_version(name)
    return name


def id_of(client: FlaskClient, name: str) -> int:
    number: int = client.get(f"{V1}/models/{name}").get_json()["id"]
    return number


def delete(client: FlaskClient, path: str, reason: str = "no longer used") -> int:
    return client.delete(V1 + path, headers={"X-Registry-Reason": reason}).status_code


def items(client: FlaskClient, path: str) -> list[dict[str, Any]]:
    found, following = [], V1 + path
    while following:
        page = client.get(following).get_json()
        found += page["items"]
        following = page["next"]
    return found


def events(client: FlaskClient, name: str) -> list[dict[str, Any]]:
    return items(client, f"/models/{name}/audit")


def test_a_deleted_model_is_listed_and_comes_back(client: FlaskClient, steward: Principal, name: str) -> None:
    before, model_id = client.get(f"{V1}/models/{name}").get_json(), id_of(client, name)
    assert delete(client, f"/models/{name}") == 204

    [mine] = [one for one in items(client, "/trash/models?limit=3") if one["id"] == model_id]
    assert set(mine) == {"id", "name", "deleted_at", "deleted_by", "reason", "versions"}
    assert (mine["name"], mine["versions"], mine["reason"]) == (name, 2, "no longer used")
    assert mine["deleted_by"] == {"id": steward.id, "name": steward.name}

    answer = client.post(f"{V1}/trash/models/{model_id}/restore", json={"reason": "missed"})

    assert answer.status_code == 200
    assert answer.get_json() | {"updated_at": None} == before | {"updated_at": None}
    assert (events(client, name)[0]["action"], events(client, name)[0]["reason"]) == (
        "registered_model.restore",
        "missed",
    )


def test_a_taken_name_is_409_and_another_one_helps(client: FlaskClient, name: str) -> None:
    model_id, other = id_of(client, name), unique()
    delete(client, f"/models/{name}")
    make_model(name=name)
    path = f"{V1}/trash/models/{model_id}/restore"
    refused = client.post(path, json={})
    assert (refused.status_code, refused.get_json()["type"]) == (409, "urn:model-registry:problem:already-exists")
    assert client.post(path, json={"name": "a/b"}).status_code == 400
    assert client.post(path, json={"name": other}).get_json()["name"] == other


def test_a_deleted_version_is_listed_and_comes_back_archived(client: FlaskClient, name: str) -> None:
    model_id = id_of(client, name)
    assert delete(client, f"/models/{name}/versions/1") == 204
    mine = next(one for one in items(client, "/trash/versions?limit=2") if one["model_id"] == model_id)
    assert set(mine) == {"model_id", "name", "version", "stage", "deleted_at", "deleted_by", "reason"}
    assert (mine["name"], mine["version"], mine["stage"]) == (name, 1, "Production")

    answer = client.post(f"{V1}/trash/models/{model_id}/versions/1/restore", json={})

    assert (answer.status_code, answer.get_json()["version"], answer.get_json()["stage"]) == (200, 1, "Archived")
    assert client.post(f"{V1}/trash/models/{model_id}/versions/1/restore", json={}).status_code == 404


def test_a_version_of_a_deleted_model_waits_for_its_model(client: FlaskClient, name: str) -> None:
    model_id = id_of(client, name)
    delete(client, f"/models/{name}/versions/1")
    delete(client, f"/models/{name}")
    refused = client.post(f"{V1}/trash/models/{model_id}/versions/1/restore", json={})
    assert (refused.status_code, "Restore the model" in refused.get_json()["detail"]) == (409, True)


def test_what_led_to_a_purged_version_is_410_at_that_moment_and_404_now(client: FlaskClient, name: str) -> None:
    model_id = id_of(client, name)
    then = client.get(f"{V1}/models/{name}/stages/Production").get_json()["items"][0]["since"]
    resolve = f"{V1}/resolve?uri=models:/{name}/Production"
    assert client.get(f"{resolve}&at={then}").status_code == 200
    delete(client, f"/models/{name}/versions/1")

    assert delete(client, f"/trash/models/{model_id}/versions/1", "law") == 204

    gone = client.get(f"{resolve}&at={then}")
    assert (gone.status_code, gone.get_json()["type"]) == (410, "urn:model-registry:problem:purged")
    assert "audit log" in gone.get_json()["detail"]
    assert client.get(resolve).status_code == 404
    history = client.get(f"{V1}/models/{name}/stages/Production/history").get_json()["items"]
    assert [tenure["version"] for tenure in history] == [1]
    assert (events(client, name)[0]["action"], events(client, name)[0]["reason"]) == ("model_version.purge", "law")


def test_a_purged_model_is_gone_and_its_audit_stays(client: FlaskClient, name: str) -> None:
    model_id = id_of(client, name)
    assert delete(client, f"/trash/models/{model_id}") == 404
    delete(client, f"/models/{name}")
    assert delete(client, f"/trash/models/{model_id}") == 204
    assert delete(client, f"/trash/models/{model_id}") == 404
    assert client.post(f"{V1}/trash/models/{model_id}/restore", json={}).status_code == 404
    assert events(client, name)[0]["action"] == "registered_model.purge"


@pytest.mark.parametrize("role", [Role.VIEWER, Role.CONTRIBUTOR, Role.APPROVER])
def test_only_administrators_come_here(
    app: Flask, client: FlaskClient, credentials: dict[Role, tuple[Principal, str]], name: str, role: Role
) -> None:
    caller, model_id = client_with(app, credentials[role][1]), id_of(client, name)
    delete(client, f"/models/{name}/versions/1")
    before = len(events(client, name))
    for path in (f"/trash/models/{model_id}", f"/trash/models/{model_id}/versions/1"):
        assert caller.delete(V1 + path).status_code == 403
        assert caller.post(V1 + path + "/restore", json={}).status_code == 403
    for path in ("/trash/models", "/trash/versions"):
        assert caller.get(V1 + path).status_code == 403
    assert len(events(client, name)) == before


@pytest.mark.parametrize("body", [{"name": 7}, {"reason": "x" * 5_000}, {"who": "me"}])
def test_a_bad_body_changes_nothing(client: FlaskClient, name: str, body: dict[str, Any]) -> None:
    model_id = id_of(client, name)
    delete(client, f"/models/{name}")
    assert client.post(f"{V1}/trash/models/{model_id}/restore", json=body).status_code == 400
    assert model_id in [one["id"] for one in items(client, "/trash/models")]


def test_the_mlflow_face_sees_what_came_back_and_nothing_of_what_did_not(client: FlaskClient, name: str) -> None:
    model_id = id_of(client, name)
    get = f"/api/2.0/mlflow/model-versions/get?name={name}&version=1"
    delete(client, f"/models/{name}/versions/1")
    assert client.get(get).status_code == 404
    client.post(f"{V1}/trash/models/{model_id}/versions/1/restore", json={})
    assert client.get(get).get_json()["model_version"]["current_stage"] == "Archived"
    delete(client, f"/models/{name}/versions/1")
    delete(client, f"/trash/models/{model_id}/versions/1")
    assert client.get(get).get_json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"


def test_what_is_in_the_trash_is_shown_one_by_one_as_in_the_list(client: FlaskClient, name: str) -> None:
    model_id = id_of(client, name)
    assert client.get(f"{V1}/trash/models/{model_id}").status_code == 404
    delete(client, f"/models/{name}/versions/2")
    of_version = f"{V1}/trash/models/{model_id}/versions/2"
    [listed] = [one for one in items(client, "/trash/versions") if one["model_id"] == model_id]
    assert client.get(of_version).get_json() == listed

    delete(client, f"/models/{name}")

    [listed] = [one for one in items(client, "/trash/models") if one["id"] == model_id]
    assert client.get(f"{V1}/trash/models/{model_id}").get_json() == listed
    assert client.get(of_version).status_code == 404  # its model has to come back first


@pytest.mark.parametrize("path", ["/trash/models/{id}", "/trash/models/{id}/versions/1"])
@pytest.mark.parametrize("number", [0, 2**31, 2**63, 10**30])
def test_nothing_has_a_number_beyond_all_numbers(client: FlaskClient, path: str, number: int) -> None:
    assert client.get(V1 + path.format(id=number)).status_code == 404


@pytest.mark.parametrize("what", ["/trash/models/{id}", "/trash/models/{id}/versions/2"])
def test_only_what_was_seen_is_purged(client: FlaskClient, name: str, what: str) -> None:
    model_id = id_of(client, name)
    path = V1 + what.format(id=model_id)
    live = f"/models/{name}/versions/2" if "versions" in what else f"/models/{name}"
    delete(client, live, "first time")
    seen = client.get(path).headers["ETag"]
    assert client.post(f"{path}/restore", json={}).status_code == 200
    delete(client, live, "second time")

    stale = client.delete(path, headers={"If-Match": seen})

    assert stale.status_code == 412
    fresh = client.get(path)
    assert fresh.status_code == 200
    assert client.delete(path, headers={"If-Match": fresh.headers["ETag"]}).status_code == 204
    assert client.get(path).status_code == 404
