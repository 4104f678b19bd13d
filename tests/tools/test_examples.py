"""The examples of the contract: every one fits its schema, and the service still answers as they say."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from registry.config import Settings
from registry.db import transaction
from registry.domain import tokens
from registry.domain.access import OPERATOR
from registry.faces.openapi.examples import FILE, Exchange
from registry.ownership import APP
from tests.conftest import application, as_role
from tests.sealer.logs import Place
from tests.validation import faults
from tools.examples import Answer, lasting, play
from tools.openapi import contract

STORED: list[Exchange] = json.loads(FILE.read_text())
ADA = "mreg_" + "ada" * 13 + "a"
HOW_TO_RENEW = "run `make examples` and read what has changed"


@pytest.fixture
def service(empty_database_url: str) -> Iterator[Flask]:
    with application(Settings(database_url=as_role(empty_database_url, APP))) as app:
        yield app


def test_the_service_still_answers_as_the_examples_say(service: Flask, empty_database_url: str, tmp_path: Path) -> None:
    sealer = Place(empty_database_url, tmp_path / "sealer")
    with service.app_context(), transaction(OPERATOR) as session:
        tokens.ensure_administrator(session, OPERATOR, ADA)

    def send(verb: str, url: str, headers: dict[str, str], body: bytes | None) -> Answer:
        if url.startswith("/api/v1/audit"):
            sealer.seal()
        with service.test_client().open(url, method=verb, headers=headers, data=body) as answer:
            return answer.status_code, dict(answer.headers), answer.get_data()

    played = play(send, ADA)

    assert [each["title"] for each in played] == [each["title"] for each in STORED], HOW_TO_RENEW
    for stored, now in zip(STORED, played, strict=True):
        assert lasting(now) == lasting(stored), f"{stored['title']}: {HOW_TO_RENEW}"


def examples(part: Any) -> Iterator[tuple[str, Any, Any]]:
    """Every example in the contract, with its title and the schema beside it."""
    for value in part.values() if isinstance(part, dict) else part:
        if isinstance(value, dict) and "schema" in value:
            yield from ((one["summary"], value["schema"], one["value"]) for one in value.get("examples", {}).values())
            yield from ((value.get("name", ""), value["schema"], one) for key, one in value.items() if key == "example")
        if isinstance(value, dict | list):
            yield from examples(value)


def test_every_example_fits_its_schema() -> None:
    whole = contract()
    found = [*examples(whole["paths"]), *examples(whole["components"]["responses"])]

    wrong = {title: faults(whole, schema, value) for title, schema, value in found if faults(whole, schema, value)}

    assert len(found) > 100
    assert wrong == {}


def test_the_examples_hold_no_secret() -> None:
    assert {secret[:40] for secret in FILE.read_text().split("mreg_")[1:]} == {"0" * 40}


def test_every_operation_of_our_own_interface_shows_each_kind_of_its_answers() -> None:
    lacking = [
        (operation["operationId"], status, kind)
        for path, verbs in contract()["paths"].items()
        for operation in verbs.values()
        for status, answer in operation["responses"].items()
        for kind, content in answer.get("content", {}).items()
        if path.startswith("/api/") and not {"example", "examples"} & set(content)
    ]

    assert lacking == []
