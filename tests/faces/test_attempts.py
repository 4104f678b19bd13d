"""Failed attempts as callers see them: 401, then 429 with the time to wait, and good tokens pass all the while."""

import secrets
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from registry.config import Settings, from_env
from registry.domain.access import Principal
from registry.faces.inbound import CHALLENGE
from registry.vocabulary import Role
from tests.conftest import application, as_role, superuser

REST, MLFLOW = "/api/v1/whoami", "/api/2.0/mlflow/registered-models/get?name=x"
LIMITS = {"failed_attempts_per_address": 4, "failed_attempts_per_token": 2, "failed_attempts_seconds": 300}
PROXY = "10.1.1.1"


@pytest.fixture(scope="module")
def strict(database_url: str) -> Iterator[Flask]:
    """A service that soon has had enough, behind a proxy."""
    proxies = from_env({"REGISTRY_TRUSTED_PROXIES": PROXY}).trusted_proxies
    url = as_role(database_url, "registry_app")
    with application(Settings(database_url=url, trusted_proxies=proxies, **LIMITS)) as app:  # type: ignore[arg-type]
        yield app


def somewhere() -> str:
    """An address that no other test has."""
    return "2001:db8:" + ":".join(secrets.token_hex(2) for _ in range(2)) + "::1"


def some_token() -> str:
    return "mreg_" + secrets.token_hex(20)


def ask(app: Flask, token: str | None, address: str, path: str = REST, forwarded: str = "") -> TestResponse:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return app.test_client().get(path, headers=headers, environ_overrides={"REMOTE_ADDR": address})


def test_too_many_attempts_are_refused_in_the_words_of_each_face(strict: Flask) -> None:
    here = somewhere()
    for _ in range(4):
        answer = ask(strict, some_token(), here)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, CHALLENGE)
    refused = ask(strict, some_token(), here)
    assert refused.status_code == 429
    assert refused.get_json()["type"] == "urn:model-registry:problem:too-many-attempts"
    assert 1 <= int(refused.headers["Retry-After"]) <= 300
    on_the_wire = ask(strict, some_token(), here, MLFLOW)
    assert (on_the_wire.status_code, on_the_wire.get_json()["error_code"]) == (429, "REQUEST_LIMIT_EXCEEDED")
    assert 1 <= int(on_the_wire.headers["Retry-After"]) <= 300


def test_a_good_token_passes_whatever_was_tried_beside_it(
    strict: Flask, credentials: dict[Role, tuple[Principal, str]]
) -> None:
    here, (_, good) = somewhere(), credentials[Role.VIEWER]
    for _ in range(4):
        ask(strict, some_token(), here)
    for _ in range(4):
        ask(strict, good[:-1], somewhere())  # it begins as the good one does
    assert ask(strict, good[:-1], somewhere()).status_code == 429
    assert ask(strict, some_token(), here).status_code == 429
    for _ in range(6):
        assert ask(strict, good, here).status_code == 200


def test_who_brings_no_credential_at_all_is_asked_for_one_each_time(strict: Flask) -> None:
    here = somewhere()
    assert {ask(strict, None, here).status_code for _ in range(8)} == {401}


def test_callers_behind_a_trusted_proxy_are_told_apart_and_others_cannot_hide(strict: Flask) -> None:
    loud, quiet = somewhere(), somewhere()
    assert [ask(strict, some_token(), PROXY, forwarded=loud).status_code for _ in range(5)] == [401] * 4 + [429]
    assert ask(strict, some_token(), PROXY, forwarded=f"{loud}, {quiet}").status_code == 401
    liar = somewhere()
    lies = [ask(strict, some_token(), liar, forwarded=somewhere()).status_code for _ in range(5)]
    assert lies == [401] * 4 + [429]


def test_where_nothing_can_be_counted_an_attempt_is_refused_as_ever(strict: Flask) -> None:
    here = somewhere()
    with strict.app_context(), superuser() as connection:
        connection.execute(text("ALTER TABLE registry.failed_attempts RENAME TO elsewhere"))
    try:
        assert [ask(strict, some_token(), here).status_code for _ in range(6)] == [401] * 6
    finally:
        with strict.app_context(), superuser() as connection:
            connection.execute(text("ALTER TABLE registry.elsewhere RENAME TO failed_attempts"))
