"""Fields that nobody asked for: our own interface refuses them, MLflow's ignores them, and they set nothing."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from registry.faces.contract import operation_of
from registry.faces.face import bare_view
from registry.faces.rest import PREFIX
from tests.conftest import client_with
from tests.factories import unique

MLFLOW = "/api/2.0/mlflow"
SMUGGLED: dict[str, Any] = {
    "id": 4711,
    "model_id": 4711,
    "stage": "Production",
    "current_stage": "Production",
    "number": 99,
    "last_number": 99,
    "actor": "operator",
    "principal": "operator",
    "principal_id": 1,
    "created_by": "operator",
    "user_id": "operator",
    "created_at": "2001-01-01T00:00:00Z",
    "creation_timestamp": 1,
    "last_updated_timestamp": 1,
    "deleted_at": "2001-01-01T00:00:00Z",
    "purged_at": "2001-01-01T00:00:00Z",
    "status": "FAILED_REGISTRATION",
    "audit_seq": 1,
    "is_admin": True,
    "digest": "00",
    "from_settings": True,
    "__class__": "Model",
}


def bodies(app: Flask) -> Iterator[tuple[str, str, set[str]]]:
    """Every route of our own interface that takes a body: its verb, its path, and the fields that it has."""
    for rule in app.url_map.iter_rules():
        with app.app_context():
            view = bare_view(rule.endpoint)
        said = operation_of(view) if view and rule.rule.startswith(PREFIX + "/") else None
        if said is None or said.body is None:
            continue
        path = rule.rule.replace("<int:", "<").replace("<string:", "<")
        for part in rule.arguments:
            path = path.replace(f"<{part}>", "1" if part.endswith(("_id", "number")) else "x")
        verb = next(iter((rule.methods or set()) & {"POST", "PUT", "PATCH", "DELETE"}))
        fields = said.body().fields
        yield verb, path, {field.data_key or name for name, field in fields.items()}


def test_every_body_of_our_own_interface_refuses_what_it_does_not_know(app: Flask, client: FlaskClient) -> None:
    routes = list(bodies(app))
    assert len(routes) > 10
    for verb, path, known in routes:
        smuggled = {name: value for name, value in SMUGGLED.items() if name not in known}
        answer = client.open(path, method=verb, json=smuggled)
        assert answer.status_code == 400, (verb, path, answer.get_json())
        named = {fault["field"] for fault in answer.get_json()["errors"]}
        assert smuggled.keys() <= named, (verb, path)


def test_on_mlflows_interface_what_is_not_known_is_ignored_and_sets_nothing(client: FlaskClient) -> None:
    name = unique()
    made = client.post(f"{MLFLOW}/registered-models/create", json={"name": name, **SMUGGLED})
    smuggled = {key: value for key, value in SMUGGLED.items() if key != "model_id"}  # of a logged model, a text
    version = client.post(f"{MLFLOW}/model-versions/create", json={"name": name, "source": "s3://b/k", **smuggled})
    client.patch(f"{MLFLOW}/model-versions/update", json={"name": name, "version": "1", "description": "d", **SMUGGLED})
    assert (made.status_code, version.status_code) == (200, 200)
    model = client.get(f"{PREFIX}/models/{name}").get_json()
    found = client.get(f"{PREFIX}/models/{name}/versions/1").get_json()
    me = client.get(f"{PREFIX}/whoami").get_json()["id"]
    assert model["id"] != 4711
    assert (found["stage"], found["version"], found["digest"]) == ("None", 1, None)
    assert {model["created_by"], found["created_by"]} == {me}
    assert not [when for when in (model["created_at"], found["created_at"]) if when.startswith("2001")]
    events = client.get(f"{PREFIX}/models/{name}/audit").get_json()["items"]
    assert {event["actor"]["id"] for event in events} == {me}


def test_a_packed_body_is_not_unpacked(app: Flask, client: FlaskClient) -> None:
    """So a small one cannot become a large one."""
    bomb = gzip.compress(json.dumps({"name": "x" * 10_000_000}).encode())
    assert len(bomb) < app.config["MAX_CONTENT_LENGTH"]
    for path in (f"{PREFIX}/models", f"{MLFLOW}/registered-models/create"):
        answer = client.post(path, data=bomb, headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})
        assert answer.status_code == 400


def test_a_form_as_a_page_of_another_site_can_send_it_is_no_request_of_ours(app: Flask) -> None:
    """There are no cookies to ride on; but neither is a form read as JSON."""
    stranger = client_with(app, None)
    form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://evil.example"}
    assert stranger.post(f"{PREFIX}/models", data="name=x", headers=form).status_code == 401
