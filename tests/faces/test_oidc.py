"""People and machines that an issuer vouches for, on every face: let in, known again, told apart, or refused."""

import base64
import json
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select
from werkzeug.test import TestResponse

from registry.config import Settings
from registry.db import db, transaction
from registry.domain import tokens
from registry.domain.access import OPERATOR, Principal
from registry.errors import Conflict
from registry.tables import AuditEvent
from registry.tables import Principal as PrincipalRow
from registry.vocabulary import Role
from tests.cli.running import free_port, registry, service
from tests.conftest import application, as_role
from tests.factories import unique
from tests.identity.issuer import AUDIENCE, Key, LocalIssuer, issuing, rsa_key

WHOAMI, MLFLOW = "/api/v1/whoami", "/api/2.0/mlflow/registered-models"


@pytest.fixture(scope="module")
def key() -> Key:
    return rsa_key("rsa-1")


@pytest.fixture(scope="module")
def local(key: Key) -> Iterator[LocalIssuer]:
    with issuing() as running:
        running.keys = [key]
        yield running


def written(directory: Path, issuer: str, **settings: Any) -> Path:
    """A file that names the issuer."""
    said: dict[str, Any] = {"issuer": issuer, "name": "corp", "audience": AUDIENCE, "groups_claim": "groups"}
    said |= {"principal_claim": "email", "roles": {"ml": "contributor", "leads": "approver"}}
    file = directory / "issuers.json"
    file.write_text(json.dumps({"issuers": [said | settings]}))
    return file


@pytest.fixture(scope="module")
def believer(database_url: str, local: LocalIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """A service that believes the issuer."""
    file = written(tmp_path_factory.mktemp("oidc"), local.url)
    settings = Settings(
        database_url=as_role(database_url, "registry_app"),
        oidc_file=file,
        pool_size=20,
        failed_attempts_per_address=3,
        failed_attempts_seconds=600,
    )
    with application(settings) as app:
        yield app


def ask(app: Flask, credential: str, path: str = WHOAMI, address: str | None = None, **more: Any) -> TestResponse:
    header = credential if " " in credential else f"Bearer {credential}"
    here = address or "2001:db8:" + secrets.token_hex(2) + ":" + secrets.token_hex(2) + "::1"
    return app.test_client().open(
        path, headers={"Authorization": header}, environ_overrides={"REMOTE_ADDR": here}, **more
    )


def somebody(local: LocalIssuer, **claims: Any) -> dict[str, Any]:
    """Claims of somebody whom nobody has seen."""
    name = unique("ada").lower()
    return {"sub": name, "email": f"{name}@corp.example", "groups": ["ml"], **claims}


def events_of(identity: str) -> list[tuple[str, str, str | None]]:
    """What the log says of a principal: action, actor and credential."""
    found = db.session.scalars(select(AuditEvent.body).where(AuditEvent.object == identity).order_by(AuditEvent.id))
    said = [json.loads(body) for body in found]
    return [(one["action"], one["actor"], one["credential"]) for one in said]


def test_who_is_vouched_for_is_let_in_made_a_principal_and_known_again(believer: Flask, local: LocalIssuer) -> None:
    claims = somebody(local)
    first, second = local.token(**claims), local.token(**claims, jti="another")
    found = ask(believer, first).get_json()
    assert found["name"] == f"{claims['email']}@corp"
    again = ask(believer, second).get_json()
    assert again["id"] == found["id"]
    assert found["credential"].startswith("oidc:corp/")
    assert found["credential"] != again["credential"]
    with believer.app_context():
        assert events_of(found["id"]) == [("principal.create", "issuer:corp", found["credential"])]
        [line] = db.session.scalars(select(AuditEvent.body).where(AuditEvent.object == found["id"]))
    assert local.url in line
    assert claims["sub"] not in line  # neither subject nor name: both can be somebody's address


def test_changes_are_written_down_to_them(believer: Flask, local: LocalIssuer) -> None:
    token, name = local.token(**somebody(local)), unique()
    made = ask(believer, token, "/api/v1/models", method="POST", json={"name": name})
    assert made.status_code == 201
    me = ask(believer, token).get_json()
    events = ask(believer, token, f"/api/v1/models/{name}/audit").get_json()["items"]
    assert {(one["actor"]["id"], one["credential"]) for one in events} == {(me["id"], me["credential"])}
    assert "registered_model.create" in {one["action"] for one in events}


def test_a_jwt_is_taken_as_a_password_too_and_on_mlflows_interface(believer: Flask, local: LocalIssuer) -> None:
    token = local.token(**somebody(local))
    basic = "Basic " + base64.b64encode(f"ada:{token}".encode()).decode()
    assert ask(believer, basic).status_code == 200
    assert ask(believer, basic, f"{MLFLOW}/search").status_code == 200
    assert ask(believer, token, f"{MLFLOW}/search").status_code == 200


@pytest.mark.parametrize("path", [WHOAMI, f"{MLFLOW}/search"])
def test_one_that_is_not_believed_is_401_and_the_text_says_why(believer: Flask, local: LocalIssuer, path: str) -> None:
    answer = ask(believer, local.token(**somebody(local), exp=1), path)
    said = answer.get_json()
    assert answer.status_code == 401
    assert "WWW-Authenticate" in answer.headers
    told = said.get("detail") or said["message"]
    assert told == "The token of the issuer 'corp' is not accepted: it has expired."


def test_groups_have_the_role_that_the_settings_say(believer: Flask, local: LocalIssuer) -> None:
    contributor = local.token(**somebody(local))
    lead = local.token(**somebody(local, groups=["ml", "leads"]))
    name = unique()
    assert ask(believer, contributor, "/api/v1/models", method="POST", json={"name": name}).status_code == 201
    version = {"source": "s3://bucket/model"}
    assert ask(believer, contributor, f"/api/v1/models/{name}/versions", method="POST", json=version).status_code == 201
    where, move = f"/api/v1/models/{name}/versions/1/transitions", {"to": "Production"}
    assert ask(believer, contributor, where, method="POST", json=move).status_code == 403
    assert ask(believer, lead, where, method="POST", json=move).status_code == 200


def test_a_group_can_be_granted_something_and_denied_it(
    believer: Flask, local: LocalIssuer, client: FlaskClient
) -> None:
    group, one, other = unique("team").lower(), unique("open"), unique("closed")
    for name in (one, other):
        client.post("/api/v1/models", json={"name": name})
    stranger = local.token(**somebody(local, groups=[group]))
    lead = local.token(**somebody(local, groups=["leads", group]))

    def seen(token: str) -> list[bool]:
        return [ask(believer, token, f"/api/v1/models/{name}").status_code == 200 for name in (one, other)]

    assert (seen(stranger), seen(lead)) == ([False, False], [True, True])
    gift = {"group": f"corp/{group}", "role": "viewer", "pattern": "open-*"}
    assert client.post("/api/v1/grants", json=gift).status_code == 201
    denial = {"group": f"corp/{group}", "effect": "deny", "permissions": ["read"], "pattern": other}
    assert client.post("/api/v1/grants", json=denial).status_code == 201
    assert (seen(stranger), seen(lead)) == ([True, False], [True, False])


def test_to_find_out_who_calls_takes_one_question(believer: Flask, local: LocalIssuer) -> None:
    token, asked = local.token(**somebody(local)), []
    ask(believer, token)
    with believer.app_context():
        engine = db.engine

    def note(_: Any, __: Any, ___: str, ____: Any, context: Any, _____: bool) -> None:
        asked.append(context.compiled.string)

    event.listen(engine, "before_cursor_execute", note)
    try:
        assert ask(believer, token).status_code == 200
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert len(asked) == 1
    assert "json_agg" in asked[0]


@pytest.mark.parametrize("groups", [[], ["strangers"], None])
def test_who_is_in_no_group_with_a_role_may_do_nothing(believer: Flask, local: LocalIssuer, groups: Any) -> None:
    token = local.token(**somebody(local, groups=groups))
    name = unique()
    assert ask(believer, token, "/api/v1/models", method="POST", json={"name": name}).status_code == 403
    refused = ask(believer, token, f"{MLFLOW}/create", method="POST", json={"name": name})
    assert (refused.status_code, refused.get_json()["error_code"]) == (403, "PERMISSION_DENIED")


def test_a_name_that_somebody_has_is_not_taken_and_makes_no_two_one(believer: Flask, local: LocalIssuer) -> None:
    claims = somebody(local)
    taken = f"{claims['email']}@corp"
    with believer.app_context(), transaction(OPERATOR) as session:
        issued = tokens.create(session, OPERATOR, name=taken, role=Role.ADMINISTRATOR)
    first, second = (ask(believer, local.token(**claims)).get_json() for _ in range(2))
    owner = ask(believer, issued.secret).get_json()
    assert first["id"] == second["id"] != owner["id"]
    assert first["name"].startswith(f"{taken} (")
    assert owner["name"] == taken
    refused = ask(believer, local.token(**claims), "/api/v1/tokens")
    assert refused.status_code == 403


def test_two_subjects_that_call_themselves_alike_are_two(believer: Flask, local: LocalIssuer) -> None:
    claims = somebody(local)
    others = claims | {"sub": claims["sub"] + "-again"}
    one, two = (ask(believer, local.token(**each)).get_json() for each in (claims, others))
    assert one["id"] != two["id"]
    assert two["name"].startswith(one["name"] + " (")


def test_who_is_called_otherwise_now_is_the_same_and_the_log_has_it(believer: Flask, local: LocalIssuer) -> None:
    claims = somebody(local)
    before = ask(believer, local.token(**claims)).get_json()
    after = ask(believer, local.token(**claims | {"email": "new-" + claims["email"]})).get_json()
    assert after["id"] == before["id"]
    assert after["name"] == f"new-{claims['email']}@corp"
    with believer.app_context():
        assert [action for action, _, _ in events_of(after["id"])] == ["principal.create", "principal.update"]


def test_a_new_name_that_another_has_is_not_taken_either(believer: Flask, local: LocalIssuer) -> None:
    claims, others = somebody(local), somebody(local)
    one, two = (ask(believer, local.token(**each)).get_json() for each in (claims, others))
    answer = ask(believer, local.token(**others | {"email": claims["email"]}))
    assert answer.status_code == 200
    assert answer.get_json()["id"] == two["id"]
    assert answer.get_json()["name"].startswith(f"{one['name']} (")
    assert ask(believer, local.token(**claims)).get_json() | {"credential": ""} == one | {"credential": ""}


def test_many_first_requests_at_once_make_one_principal(believer: Flask, local: LocalIssuer) -> None:
    token, start = local.token(**somebody(local)), threading.Barrier(8)

    def come(_: int) -> tuple[int, str]:
        start.wait()
        answer = ask(believer, token)
        return answer.status_code, answer.get_json()["id"]

    with ThreadPoolExecutor(8) as pool:
        [(status, identity)] = set(pool.map(come, range(8)))
    assert status == 200
    with believer.app_context():
        assert [action for action, _, _ in events_of(identity)] == ["principal.create"]


def test_failures_count_against_their_address(believer: Flask, local: LocalIssuer) -> None:
    here, bad, good = "192.0.2.77", local.token(**somebody(local), exp=1), local.token(**somebody(local))
    assert [ask(believer, bad, address=here).status_code for _ in range(4)] == [401, 401, 401, 429]
    assert ask(believer, good, address=here).status_code == 200


def test_a_token_of_an_issuer_nobody_named_is_like_any_unknown_one(believer: Flask, local: LocalIssuer) -> None:
    answer = ask(believer, local.token(iss="https://elsewhere.example"))
    assert answer.status_code == 401
    assert answer.get_json()["detail"] == "The token is unknown, has expired or was revoked."


@pytest.mark.parametrize("half", [{"issuer": "https://x"}, {"subject": "ada"}])
def test_whom_a_principal_stands_for_cannot_be_half_said(believer: Flask, half: dict[str, str]) -> None:
    with believer.app_context(), pytest.raises(Conflict), transaction(OPERATOR) as session:
        session.add(PrincipalRow(name=unique(), **half))


def test_without_its_issuer_a_service_starts_and_serves_other_credentials(
    tmp_path: Path, database_url: str, key: Key, credentials: dict[Role, tuple[Principal, str]]
) -> None:
    with issuing() as gone:
        port = int(gone.url.rpartition(":")[2])
    file = written(tmp_path, gone.url)
    with service(tmp_path, REGISTRY_DATABASE_URL=database_url, REGISTRY_OIDC_FILE=str(file)) as running:
        good = credentials[Role.VIEWER][1]
        assert running.get(WHOAMI, good)[0] == 200
        gone.keys = [key]
        token = gone.token(**somebody(gone))
        status, said = running.get(WHOAMI, token)
        assert (status, said["type"]) == (503, "urn:model-registry:problem:unavailable")
        assert "'corp' cannot be fetched" in said["detail"]
        assert running.get(f"{MLFLOW}/search", token)[1]["error_code"] == "TEMPORARILY_UNAVAILABLE"
        assert running.get(WHOAMI, good)[0] == 200
        assert token.split(".")[2] not in running.out.read_text() + running.said
        assert f":{port}/" in running.said  # why, for operators


def test_a_file_that_is_not_right_stops_the_start_with_one_line(tmp_path: Path, database_url: str) -> None:
    file = written(tmp_path, "http://login.example.com")
    settings = {"REGISTRY_DATABASE_URL": database_url, "REGISTRY_OIDC_FILE": str(file)}
    ended = registry("serve", REGISTRY_PORT=str(free_port()), **settings)
    said = [line for line in ended.stderr.splitlines() if line]
    assert ended.returncode
    assert said == [
        (
            f"Error: REGISTRY_OIDC_FILE={file}: issuers[0].issuer: must be an https:// address (http:// is taken for "
            "loopback addresses alone)."
        )
    ]
