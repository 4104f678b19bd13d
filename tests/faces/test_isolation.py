"""Trying to learn of a model that one may not read, by every route of both faces: it answers as if there were none.

Three pry: an administrator who is denied these models, somebody who was given others, and an administrator with a
token for others. Compared is what is said of a model that is there with what is said of one that is not, byte for
byte, with the names, ids and request ids made alike.
"""

import re
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text
from werkzeug.test import TestResponse

from registry.db import db, transaction
from registry.domain import registered_models
from registry.domain.grants import Wanted
from registry.tables import AuditEvent
from registry.vocabulary import Effect, Permission, Role
from tests.conftest import client_with
from tests.faces.every_route import ROWS, Row, World, make_world
from tests.faces.test_authority import MLFLOW, secret_of
from tests.factories import trusted, unique

pytestmark = pytest.mark.usefixtures("context")

PRIERS = ("who is denied them", "who was given others", "whose token is for others")
NOWHERE = 2**40


@pytest.fixture(scope="module")
def there(app: Flask) -> World:
    with app.app_context():
        return make_world(unique("secret"), trusted("sam", Role.ADMINISTRATOR))


@pytest.fixture
def nowhere(there: World) -> World:
    """The same without a model."""
    name = unique("secret")
    return replace(there, name=name, model_id=NOWHERE, deleted_id=NOWHERE, remark=NOWHERE, comment=NOWHERE)


@pytest.fixture(scope="module")
def priers(app: Flask) -> dict[str, FlaskClient]:
    denial = Wanted(effect=Effect.DENY, permissions=[Permission.READ], pattern="secret-*")
    with app.app_context():
        found = (
            secret_of(Role.ADMINISTRATOR, denial),
            secret_of(None, Wanted(role=Role.APPROVER, pattern="open-*")),
            secret_of(Role.ADMINISTRATOR, models=["open-*"]),
        )
        return {who: client_with(app, secret) for who, secret in zip(PRIERS, found, strict=True)}


def said(answer: TestResponse, world: World) -> tuple[int, dict[str, str], bytes]:
    """All that an answer says, with the names, ids and request ids made alike."""
    body = answer.get_data().replace(world.name.encode(), b"NAME").replace(world.fresh.encode(), b"FRESH")
    body = re.sub(rb'("request_id": ?)"[^"]*"', rb"\1-", body)
    body = re.sub(rb"\bid [0-9]+|models/[0-9]+", b"ID", body)
    kept = {"X-Request-ID", "Date", "Content-Length"}
    headers = {name: value for name, value in answer.headers.items() if name not in kept}
    return answer.status_code, headers, body


BY_ID = ("{model_id}", "{deleted_id}")
CONCERNED = [row for row in ROWS if row.names_model or any(part in row.path for part in BY_ID)]


QUESTIONS = [
    pytest.param(row, who, headers, id=f"{row.endpoint} {row.verb} {row.path[-25:]} {who} {''.join(headers)}")
    for row in CONCERNED
    for who in (PRIERS if not row.endpoint.startswith("mlflow_ajax") else PRIERS[:1])
    for headers in ({}, {"If-Match": '"x"'})
    if not headers or (row.changes and row.endpoint.startswith("rest"))
]


@pytest.mark.parametrize(("row", "who", "headers"), QUESTIONS)
def test_a_route_says_nothing_of_it(
    priers: dict[str, FlaskClient], there: World, nowhere: World, row: Row, who: str, headers: dict[str, str]
) -> None:
    answer = row.send(priers[who], there, **headers)
    assert answer.status_code in {403, 404, 412}
    assert said(answer, there) == said(row.send(priers[who], nowhere, **headers), nowhere)


@pytest.mark.parametrize("row", CONCERNED, ids=lambda row: f"{row.endpoint} {row.verb} {row.path[-25:]}")
def test_nor_that_it_is_kept_from_somebody(
    priers: dict[str, FlaskClient], there: World, nowhere: World, row: Row
) -> None:
    """To somebody who may do everything else it is what any name is that nobody has taken."""
    free = replace(nowhere, name=unique("any-model")[: len(there.name)].ljust(len(there.name), "x"))
    prying = priers["who is denied them"]
    assert said(row.send(prying, there), there) == said(row.send(prying, free), free)


MALFORMED: list[tuple[str, str, Any]] = [
    ("GET", "/api/v1/models/{name}/versions/0", None),
    ("GET", "/api/v1/models/{name}/versions/99999999999999999999", None),
    ("GET", "/api/v1/models/{name}/versions?filter=nonsense", None),
    ("GET", "/api/v1/models/{name}/versions?page_token=nonsense", None),
    ("GET", "/api/v1/models/{name}/stages/Nowhere", None),
    ("PUT", "/api/v1/models/{name}/aliases/latest", {"version": 1}),
    ("PUT", "/api/v1/models/{name}/aliases/a%20b", {"version": 1}),
    ("PUT", "/api/v1/models/{name}/tags/..", {"value": "x"}),
    ("PATCH", "/api/v1/models/{name}", {"name": "a/b"}),
    ("PATCH", "/api/v1/models/{name}", {"description": "x" * 6_000}),
    ("POST", "/api/v1/models/{name}/versions", {"source": "nonsense"}),
    ("POST", "/api/v1/models/{name}/comments", {"text": ""}),
    ("POST", "/api/v1/models/{name}/stages/None/rollback", {}),
    ("POST", "/api/v1/models/{name}/versions/1/transitions", {"to": "Archived", "archive_existing": True}),
    ("GET", MLFLOW + "/model-versions/get?name={name}&version=x", None),
    ("POST", MLFLOW + "/model-versions/transition-stage", {"name": "{name}", "version": "1", "stage": "Nowhere"}),
    ("POST", MLFLOW + "/registered-models/alias", {"name": "{name}", "version": "1", "alias": "v1"}),
]


@pytest.mark.parametrize("who", PRIERS)
@pytest.mark.parametrize(("verb", "path", "body"), MALFORMED)
def test_nor_does_a_question_that_is_not_right(
    priers: dict[str, FlaskClient], there: World, nowhere: World, who: str, verb: str, path: str, body: Any
) -> None:
    row = Row("", verb, path, Role.VIEWER, body)
    assert said(row.send(priers[who], there), there) == said(row.send(priers[who], nowhere), nowhere)


TAKING: list[tuple[str, str, Any]] = [
    ("POST", "/api/v1/models", {"name": "{name}"}),
    ("POST", MLFLOW + "/registered-models/create", {"name": "{name}"}),
    ("PATCH", "/api/v1/models/OPEN", {"name": "{name}"}),
    ("POST", MLFLOW + "/registered-models/rename", {"name": "OPEN", "new_name": "{name}"}),
    ("POST", "/api/v1/models/OPEN/versions", {"source": "models:/{name}/1"}),
    ("POST", "/api/v1/models/OPEN/versions", {"source": "models:/{name}@champion"}),
    ("POST", MLFLOW + "/model-versions/create", {"name": "OPEN", "source": "models:/{name}/Production"}),
    ("POST", "/api/v1/trash/models/TRASHED/restore", {"name": "{name}"}),
]


@pytest.mark.parametrize("who", PRIERS)
@pytest.mark.parametrize(("verb", "path", "body"), TAKING)
def test_nor_does_the_name_when_somebody_wants_it(
    priers: dict[str, FlaskClient], there: World, nowhere: World, who: str, verb: str, path: str, body: Any
) -> None:
    sam, mine = trusted("sam", Role.ADMINISTRATOR), unique("open")
    with transaction(sam) as session:
        registered_models.create(session, sam, mine, tags={})
        gone = registered_models.create(session, sam, unique("open"), tags={}).model
        registered_models.delete(session, sam, gone.name)
    path = path.replace("OPEN", mine).replace("TRASHED", str(gone.id))
    body = {key: value.replace("OPEN", mine) for key, value in body.items()}
    row = Row("", verb, path, Role.VIEWER, body)
    answer = row.send(priers[who], there)
    assert answer.status_code in {403, 404}
    assert said(answer, there) == said(row.send(priers[who], nowhere), nowhere)


LISTS = [
    "/api/v1/models?limit=1000&order_by=updated_at desc",
    "/api/v1/models?limit=1000&filter=stage = 'Production'&include_total=true",
    "/api/v1/models?limit=1000&text={name}&prompts=include",
    "/api/v1/models?filter=name = '{name}'&include_total=true",
    "/api/v1/models?filter=name LIKE 'secret%25'&include_total=true",
    "/api/v1/models?filter=NOT name = 'x'&limit=1000&order_by=created_at desc",
    "/api/v1/versions?limit=1000",
    "/api/v1/versions?filter=name = '{name}'&include_total=true",
    "/api/v1/versions?filter=tag.team = 'risk' AND alias = 'champion'&limit=1000",
    "/api/v1/versions?text={name}&limit=1000",
    MLFLOW + "/registered-models/search?max_results=1000&order_by=last_updated_timestamp DESC",
    MLFLOW + "/registered-models/search?filter=name = '{name}'",
    MLFLOW + "/registered-models/search?filter=name ILIKE 'SECRET%25'",
    MLFLOW + "/model-versions/search?max_results=10000",
    MLFLOW + "/model-versions/search?filter=name = '{name}'",
    "/api/v1/audit?limit=1000",
    "/api/v1/audit?format=jsonl&order=newest",
    "/api/v1/audit?format=csv",
    "/api/v1/audit?subject=model:{model_id}",
    "/api/v1/audit?subject=model:{model_id}/version:1&order=oldest",
    "/api/v1/audit?action=model_version.transition&limit=1000",
    "/api/v1/audit?action=access.refuse&limit=1000",
    "/api/v1/audit?after=-1&limit=1000",
    "/api/v1/snapshot",
    "/api/v1/trash/models?limit=1000",
    "/api/v1/trash/versions?limit=1000",
    "/api/v1/grants?model={name}",
]


@pytest.mark.parametrize("who", PRIERS)
@pytest.mark.parametrize("path", LISTS)
def test_no_list_has_it(priers: dict[str, FlaskClient], there: World, path: str, who: str) -> None:
    answer = priers[who].get(path.replace("{name}", there.name).replace("{model_id}", str(there.model_id)))
    assert answer.status_code in {200, 403}
    text = answer.get_data(as_text=True)
    asked = re.escape(there.name) + r"(?=%27|&|\\\\u0027|')"
    assert there.name not in re.sub(asked, "", text) or answer.status_code == 403
    assert f'"model_id": {there.model_id},' not in text
    assert f"model:{there.model_id}/" not in text
    if ("include_total" in path and "secret" in path) or "'{name}'" in path:
        assert (answer.get_json() or {}).get("total", 0) == 0


@pytest.mark.parametrize("who", PRIERS)
def test_its_events_are_asked_for_in_vain(priers: dict[str, FlaskClient], there: World, who: str) -> None:
    events = db.session.scalars(select(AuditEvent).where(AuditEvent.model_id == there.model_id)).all()
    assert len(events) > 10
    for event in (events[0], events[-1]):
        found = priers[who].get(f"/api/v1/audit?request_id={event.request_id}&limit=1000").get_json()
        assert found["items"] == []


@pytest.mark.parametrize("who", PRIERS)
def test_the_whole_log_is_not_for_them(priers: dict[str, FlaskClient], who: str) -> None:
    """Of the events of no model some name models: a refused access, a grant."""
    items = priers[who].get("/api/v1/audit?limit=1000").get_json()["items"]
    assert all(item["model"] for item in items)


def test_a_model_that_once_had_an_open_name_is_not_found_by_it(app: Flask, priers: dict[str, FlaskClient]) -> None:
    sam, new = trusted("sam", Role.ADMINISTRATOR), unique("secret")
    world = make_world(unique("open"), sam)
    then = db.session.scalars(text('SELECT to_char(clock_timestamp(), \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\')')).one()
    with transaction(sam) as session:
        registered_models.rename(session, sam, world.name, new)
    named, free = world, replace(world, name=unique("open"))
    for who in PRIERS:
        for row in [row for row in CONCERNED if row.names_model and "at=" not in row.path]:
            assert said(row.send(priers[who], named), named) == said(row.send(priers[who], free), free), row
        for question in (f"resolve?uri=models:/{{name}}/1&at={then}", f"models/{{name}}/stages/Staging?at={then}"):
            row = Row("", "GET", f"/api/v1/{question}", Role.VIEWER)
            answer = row.send(priers[who], named)
            assert answer.status_code == 404
            assert said(answer, named) == said(row.send(priers[who], free), free), row


def test_what_a_model_was_called_before_is_not_told_either(app: Flask, priers: dict[str, FlaskClient]) -> None:
    sam, secret, name = trusted("sam", Role.ADMINISTRATOR), unique("secret"), unique("open")
    world = make_world(secret, sam)
    with transaction(sam) as session:
        registered_models.rename(session, sam, secret, name)
    for who in PRIERS:
        assert priers[who].get(f"/api/v1/models/{name}").status_code == 200
        for path in (f"/api/v1/models/{name}/audit", "/api/v1/audit?limit=1000", "/api/v1/snapshot"):
            assert secret not in priers[who].get(path).get_data(as_text=True)
        assert priers[who].get(f"/api/v1/models/{name}/audit").status_code == 404
    assert world.model_id
