"""Credentials of every malformed kind: each is refused with 401 in the words of the face, none does anything worse."""

import base64
import json
import random
import string
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event
from werkzeug.test import create_environ, run_wsgi_app

from registry.config import Settings
from registry.db import db
from registry.domain.access import Principal
from registry.vocabulary import Role
from tests.conftest import application, as_role

HEADERS = 10_000
PATHS = ("/api/v1/whoami", "/api/2.0/mlflow/registered-models/get", "/api/v1/audit", "/metrics")
SCHEMES = (
    "Bearer",
    "bearer",
    "BEARER",
    "Basic",
    "basic",
    "Digest",
    "Token",
    "Negotiate",
    "AWS4-HMAC-SHA256",
    "",
    "B\xe9",
)
BYTES = [chr(number) for number in range(1, 256) if chr(number) not in "\r\n"]
Make = Callable[[random.Random, str], str]


def any_text(chance: random.Random, _: str) -> str:
    return "".join(chance.choices(BYTES, k=chance.randrange(0, 60)))


def any_scheme(chance: random.Random, _: str) -> str:
    return f"{chance.choice(SCHEMES)}{chance.choice((' ', '  ', chr(9), '', ','))}{any_text(chance, '')}"


def any_basic(chance: random.Random, good: str) -> str:
    """User and password that are no token, well packed or not."""
    said = bytes(chance.choices(range(256), k=chance.randrange(0, 40)))
    packed = base64.b64encode(chance.choice((said, said + b":" + said, b":", b"user:", b"user:" + good[:-1].encode())))
    return "Basic " + packed.decode()[: chance.choice((1000, chance.randrange(1, 20)))]


def nearly_the_token(chance: random.Random, good: str) -> str:
    place = chance.randrange(len(good))
    other = chance.choice(
        (
            good[:place],
            good[:place] + good[place + 1 :],
            good + "0",
            good.upper(),
            good[::-1],
            good.replace("mreg_", ""),
        )
    )
    return f"Bearer {other}" if other != good else "Bearer"


def nearly_a_jwt(chance: random.Random, _: str) -> str:
    def part() -> str:
        junk: Any = chance.choice(({"alg": "none"}, {"alg": "HS256", "kid": "../../etc/passwd"}, [], "x", {"iss": 7}))
        return base64.urlsafe_b64encode(json.dumps(junk).encode()).decode().rstrip("=")

    return "Bearer " + ".".join(part() for _ in range(chance.randrange(1, 6)))


def parameters(chance: random.Random, good: str) -> str:
    pairs = [
        f'{chance.choice(string.ascii_letters)}="{any_text(chance, "")[:9]}"' for _ in range(chance.randrange(1, 5))
    ]
    return f"{chance.choice(SCHEMES)} {', '.join(pairs)}"


def two_at_once(chance: random.Random, good: str) -> str:
    return f"Bearer x, Bearer {good}" if chance.random() < 0.5 else f"Bearer {good}, Basic {good}"


def injected(chance: random.Random, _: str) -> str:
    return "Bearer " + chance.choice(
        ("' OR 1=1 --", "%", "\\x00", "${jndi:ldap://x}", "{{7*7}}", "\x00", "\x7f", "null")
    )


def very_long(chance: random.Random, _: str) -> str:
    return "Bearer " + chance.choice("aA0._=\xff") * chance.randrange(1_000, 8_000)


MAKERS: tuple[Make, ...] = (
    any_text,
    any_scheme,
    any_basic,
    nearly_the_token,
    nearly_a_jwt,
    parameters,
    two_at_once,
    injected,
    very_long,
)


@pytest.fixture(scope="module")
def unlimited(database_url: str) -> Iterator[Flask]:
    """A service that counts no failed attempts."""
    url = as_role(database_url, "registry_app")
    settings = Settings(
        database_url=url,
        failed_attempts_per_address=0,
        failed_attempts_per_token=0,
        metrics_token="a token for numbers",
    )
    with application(settings) as app:
        yield app


def ask(app: Flask, path: str, header: str) -> tuple[int, dict[str, Any]]:
    """Ask the application itself, as a server would."""
    environ = create_environ(path, environ_overrides={"HTTP_AUTHORIZATION": header})
    body, status, _ = run_wsgi_app(app.wsgi_app, environ, buffered=True)
    return int(status[:3]), json.loads(b"".join(body))


def test_ten_thousand_malformed_credentials_are_refused_with_401_each(
    unlimited: Flask, credentials: dict[Role, tuple[Principal, str]]
) -> None:
    chance, good = random.Random(20261125), credentials[Role.ADMINISTRATOR][1]
    wrong = []
    for number in range(HEADERS):
        header, path = MAKERS[number % len(MAKERS)](chance, good), PATHS[number % len(PATHS)]
        status, said = ask(unlimited, path, header)
        word = said.get("error_code") or said["type"].rpartition(":")[2]
        if (status, word.lower()) != (401, "unauthenticated"):
            wrong.append((status, path, header))
    assert wrong == []
    assert ask(unlimited, PATHS[0], f"Bearer {good}")[0] == 200


def test_a_guess_costs_the_same_and_hears_the_same_however_near_it_comes(
    app: Flask, credentials: dict[Role, tuple[Principal, str]]
) -> None:
    good = credentials[Role.ADMINISTRATOR][1]
    guesses = [good[:-1] + ("0" if good[-1] != "0" else "1"), good[:8], "mreg_" + "0" * 40, "nothing like it"]
    with app.app_context():
        engine = db.engine
    found = []
    for guess in guesses:
        said: list[str] = []

        def note(_: Any, __: Any, statement: str, *___: Any, said: list[str] = said) -> None:
            said.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        try:
            status, body = ask(app, PATHS[0], f"Bearer {guess}")
        finally:
            event.remove(engine, "before_cursor_execute", note)
        found.append((status, body | {"request_id": None}, said))
    assert found[0][0] == 401
    assert found[0][2]
    assert found.count(found[0]) == len(guesses)
