"""`/tokens` over `/api/v1`: made, shown once, listed, revoked; for administrators alone."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from registry.config import Settings
from registry.db import db, transaction
from registry.domain import tokens
from registry.domain.access import OPERATOR, Principal
from registry.errors import Conflict
from registry.tables import AuditEvent, IdempotencyKey
from registry.vocabulary import Role
from tests.conftest import application, client_with
from tests.factories import trusted, unique

pytestmark = pytest.mark.usefixtures("context")
AT = "/api/v1/tokens"
STEWARD = trusted("steward", Role.ADMINISTRATOR, "principal:1")
SHOWN = {"id", "name", "role", "models", "stages", "description"}
SHOWN |= {"created_at", "expires_at", "revoked_at", "last_used_at"}


def make(client: FlaskClient, role: str = "viewer", **given: Any) -> dict[str, Any]:
    answer = client.post(AT, json={"name": unique("robot"), "role": role} | given)
    assert answer.status_code == 201, answer.get_json()
    made: dict[str, Any] = answer.get_json()
    return made


def test_a_token_is_made_opens_the_door_and_is_read_without_its_secret(app: Flask, client: FlaskClient) -> None:
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    answer = client.post(
        AT, json={"name": unique("robot"), "role": "contributor", "description": "nightly", "expires_at": until}
    )
    made = answer.get_json()

    assert set(made) == SHOWN | {"grant_id", "secret"}
    robot = client_with(app, made["secret"])
    assert robot.get("/api/v1/whoami").get_json()["role"] == "contributor"
    one = client.get(answer.headers["Location"])
    assert set(one.get_json()) == SHOWN
    assert one.get_json() | {"last_used_at": None} == {key: made[key] for key in SHOWN}
    assert one.get_json()["expires_at"] == until.replace("+00:00", "Z")


def test_a_secret_is_in_no_list_no_log_and_no_second_answer(client: FlaskClient) -> None:
    asked, key = {"name": unique("robot"), "role": "viewer"}, {"Idempotency-Key": unique("key")}
    first, second = (client.post(AT, json=asked, headers=key) for _ in range(2))
    secret = first.get_json()["secret"]
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.get_json() == first.get_json() | {"secret": None}
    assert "ETag" not in first.headers
    kept = [bytes(answer) for answer in db.session.scalars(select(IdempotencyKey.body))]
    assert kept
    assert all(secret.encode() not in answer for answer in kept)
    assert secret not in client.get(f"{AT}?limit=1000").get_data(as_text=True)
    assert db.session.scalar(select(func.count()).where(AuditEvent.body.contains(secret))) == 0


def test_a_revoked_token_is_worthless_at_once(app: Flask, client: FlaskClient) -> None:
    made = make(client)
    path = f"{AT}/{made['id']}"
    assert [client.delete(path).status_code for _ in range(2)] == [204, 204]
    assert client_with(app, made["secret"]).get("/api/v1/whoami").status_code == 401
    assert client.get(path).get_json()["revoked_at"] is not None
    actions = select(AuditEvent.action).where(AuditEvent.object == f"token:{made['id']}").order_by(AuditEvent.id)
    assert db.session.scalars(actions).all() == ["token.create", "token.revoke", "token.refuse"]


def test_one_may_revoke_ones_own(app: Flask, client: FlaskClient) -> None:
    made = make(client, "administrator")
    own = client_with(app, made["secret"])
    assert own.delete(f"{AT}/{made['id']}").status_code == 204
    assert own.get(AT).status_code == 401


def test_the_list_comes_in_pages_oldest_first(client: FlaskClient) -> None:
    made = [make(client)["id"] for _ in range(5)]
    seen, path = [], f"{AT}?limit=3"
    while path:
        page = client.get(path).get_json()
        assert len(page["items"]) <= 3
        seen += [one["id"] for one in page["items"]]
        path = page["next"]
    assert seen == sorted(seen)
    assert seen[-5:] == made
    assert client.get(f"{AT}?page_token=x").status_code == 400


BAD: list[tuple[dict[str, Any], str]] = [
    ({"name": "x"}, "role"),
    ({"role": "viewer"}, "name"),
    ({"name": "x", "role": "owner"}, "role"),
    ({"name": " ", "role": "viewer"}, "name"),
    ({"name": "x" * 201, "role": "viewer"}, "name"),
    ({"name": "x\x00", "role": "viewer"}, "name"),
    ({"name": "x", "role": "viewer", "description": "x" * 1_001}, "description"),
    ({"name": "x", "role": "viewer", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    ({"name": "x", "role": "viewer", "expires_at": "tomorrow"}, "expires_at"),
    ({"name": "x", "role": "viewer", "secret": "mine"}, "secret"),
]


@pytest.mark.parametrize(("body", "field"), BAD)
def test_a_bad_request_makes_no_token(client: FlaskClient, body: dict[str, Any], field: str) -> None:
    before = db.session.scalar(select(func.count(AuditEvent.id)))
    answer = client.post(AT, json=body)
    assert (answer.status_code, [fault["field"] for fault in answer.get_json()["errors"]]) == (400, [field])
    assert db.session.scalar(select(func.count(AuditEvent.id))) == before


@pytest.mark.parametrize("token_id", [0, 2**62, 2**63, 10**30])
def test_a_token_that_never_was_is_404(client: FlaskClient, token_id: int) -> None:
    assert client.get(f"{AT}/{token_id}").status_code == 404
    assert client.delete(f"{AT}/{token_id}").status_code == 404


@pytest.mark.parametrize("role", [Role.VIEWER, Role.CONTRIBUTOR, Role.APPROVER])
def test_only_administrators_come_here(
    app: Flask, client: FlaskClient, credentials: dict[Role, tuple[Principal, str]], role: Role
) -> None:
    caller, made = client_with(app, credentials[role][1]), make(client)
    of_others = select(func.count(AuditEvent.id)).where(AuditEvent.action != "access.refuse")
    before = db.session.scalar(of_others)
    assert caller.get(AT).status_code == 403
    assert caller.get(f"{AT}/{made['id']}").status_code == 403
    assert caller.post(AT, json={"name": "x", "role": "administrator"}).status_code == 403
    assert caller.delete(f"{AT}/{made['id']}").status_code == 403
    assert db.session.scalar(of_others) == before


# The last administrator.


@pytest.fixture
def small(empty_database_url: str) -> Iterator[tuple[Flask, FlaskClient, int]]:
    """A registry with one administrator's token."""
    with application(Settings(database_url=empty_database_url)) as app:
        with app.app_context(), transaction(OPERATOR) as session:
            issued = tokens.create(session, OPERATOR, name="ada", role=Role.ADMINISTRATOR)
        yield app, client_with(app, issued.secret), issued.id


def test_the_last_administrators_token_stays_and_the_answer_says_what_to_do(
    small: tuple[Flask, FlaskClient, int],
) -> None:
    _, client, token_id = small
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    refused = client.delete(f"{AT}/{token_id}")
    assert refused.status_code == 409
    assert "Make another one first, or use `registry token`" in refused.get_json()["detail"]
    assert client.get(f"{AT}/{token_id}").get_json()["revoked_at"] is None

    other = make(client, "administrator", expires_at=soon)["id"]
    make(client, "approver")
    assert client.delete(f"{AT}/{token_id}").status_code == 204
    assert other


def test_the_operator_may_revoke_even_the_last_one(small: tuple[Flask, FlaskClient, int]) -> None:
    app, client, token_id = small
    with app.app_context(), transaction(OPERATOR) as session:
        tokens.revoke(session, OPERATOR, token_id)
    assert client.get(AT).status_code == 401


def test_the_last_two_administrators_cannot_revoke_each_other_at_once(small: tuple[Flask, FlaskClient, int]) -> None:
    app, client, first = small
    other = make(client, "administrator")["id"]
    revoked, asked = threading.Event(), threading.Event()

    def revoke_the_first() -> None:
        """Begins while the revocation of the other one is not committed yet, and so cannot see it."""
        assert revoked.wait(10)
        with app.app_context(), transaction(STEWARD) as session:
            asked.set()
            tokens.revoke(session, STEWARD, first)

    with ThreadPoolExecutor(1) as pool:
        rival = pool.submit(revoke_the_first)
        with app.app_context(), transaction(STEWARD) as session:
            tokens.revoke(session, STEWARD, other)
            session.flush()
            revoked.set()
            assert asked.wait(10)
            wait([rival], timeout=1)  # without a lock it would be through by now
        with pytest.raises(Conflict, match="last"):
            rival.result(10)

    with app.app_context():
        usable = [one for one in tokens.search(db.session(), OPERATOR, limit=9).items if one.revoked_at is None]
    assert [one.id for one in usable] == [first]
