"""openapi.yaml says what the routes do, and the routes do what it says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from registry.faces.contract import operation_of
from registry.faces.openapi.examples import exchanges
from registry.faces.openapi.routes import VERBS
from tests.conftest import client_with
from tests.factories import make_model, make_version, unique
from tests.validation import faults
from tools.openapi import text

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def contract() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "openapi.yaml").read_text())
    return loaded


def operations(contract: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for verbs in contract["paths"].values():
        yield from (operation for verb, operation in verbs.items() if verb in VERBS)


def test_the_checked_in_contract_is_what_the_routes_say() -> None:
    assert (ROOT / "openapi.yaml").read_text() == text(), "stale: run `make contract`"


def test_every_route_is_in_the_contract(app: Flask) -> None:
    missing = {
        rule.rule
        for rule in app.url_map.iter_rules()
        if operation_of(app.view_functions[rule.endpoint]) is None and not rule.rule.startswith("/docs/")
    }
    assert missing == set()


def test_the_service_serves_the_checked_in_contract_to_everybody(app: Flask, contract: dict[str, Any]) -> None:
    nobody = client_with(app, None)

    answer = nobody.get("/openapi.json")
    again = nobody.get("/openapi.json", headers={"If-None-Match": answer.headers["ETag"]})

    assert answer.get_json() == contract
    assert (again.status_code, again.data) == (304, b"")


def test_the_contract_is_valid_openapi(contract: dict[str, Any]) -> None:
    errors = [f"{error.instance_path}: {error.message}" for error in OPENAPI_31_VALIDATOR.iter_errors(contract)]
    assert errors == []


def test_the_schemas_of_the_contract_are_valid_json_schema(contract: dict[str, Any]) -> None:
    for schema in contract["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema)


def test_every_operation_says_what_it_does(contract: dict[str, Any]) -> None:
    silent = {each["operationId"] for each in operations(contract) if not (each["summary"] and each["description"])}
    assert silent == set(), "say it in @operation"


def test_every_operation_says_how_it_refuses(contract: dict[str, Any]) -> None:
    silent = {
        operation["operationId"]
        for operation in operations(contract)
        if operation.get("security") != [] and not {"401", "503"} <= set(operation["responses"])
    }
    assert silent == set()


def test_every_operation_has_an_example(contract: dict[str, Any]) -> None:
    without = {each["operationId"] for each in operations(contract)} - set(exchanges()) - {"openapi", "docs", "metrics"}
    assert without == set(), "add a step to tools/story.py, then `make examples`"


SHOWN_AS_A_REPEAT = {"mlflowSetModelTag"}
"""Whose example sets what is so already; tests/faces/test_receipts.py has the change."""


def test_every_change_is_shown_with_its_receipt(contract: dict[str, Any]) -> None:
    """The examples are what the service answers (tests/tools/test_examples.py), and every operation has one."""
    writing = {
        each["operationId"]
        for each in operations(contract)
        for status, answer in each["responses"].items()
        if status.startswith("2") and "Audit-Receipt" in answer.get("headers", {})
    }
    shown = {
        name for name, found in exchanges().items() if any("Audit-Receipt" in each["answer_headers"] for each in found)
    }
    assert writing - shown == SHOWN_AS_A_REPEAT


def test_every_parameter_and_every_field_says_what_it_means(contract: dict[str, Any]) -> None:
    silent = {
        f"{operation['operationId']} {parameter['name']}"
        for operation in operations(contract)
        for parameter in operation["parameters"]
        if "$ref" not in parameter and not parameter["description"]
    }
    silent |= {
        f"{schema} {name}"
        for schema, shape in contract["components"]["schemas"].items()
        for name, part in shape.get("properties", {}).items()
        if not part.get("description")
    }
    assert silent == set(), "say it in registry/faces/openapi/words.py or parameters.py"


def test_the_contract_has_all_22_mlflow_routes(contract: dict[str, Any]) -> None:
    routes = [
        (path, verb)
        for path, verbs in contract["paths"].items()
        for verb in verbs
        if path.startswith("/api/2.0/mlflow/") and verb in VERBS
    ]
    assert len(routes) == 22


def test_operation_ids_are_unique(contract: dict[str, Any]) -> None:
    ids = [operation["operationId"] for verbs in contract["paths"].values() for operation in verbs.values()]
    assert len(ids) == len(set(ids))


ANSWERS = [
    ("/api/v1/models/{name}", "OneModel"),
    ("/api/v1/models/{name}/versions/1", "OneVersion"),
    ("/api/v1/models/{name}/stages/None", "Tenures"),
    ("/api/v1/models/{name}/audit", "Events"),
    ("/api/v1/audit?action=token.create", "Events"),
    ("/api/v1/models/{name}/comments", "Comments"),
    ("/api/v1/resolve?uri=models:/{name}/1", "Resolved"),
    ("/api/v1/whoami", "Caller"),
    ("/api/v1/models/{name}/versions/9", "Problem"),
]


@pytest.mark.parametrize(("path", "schema"), ANSWERS)
def test_answers_are_as_their_schema_says(
    client: FlaskClient, context: None, contract: dict[str, Any], path: str, schema: str
) -> None:
    name = make_model(name=unique(), a="1")
    make_version(name)

    answer = client.get(path.format(name=name)).get_json()

    assert faults(contract, {"$ref": f"#/components/schemas/{schema}"}, answer) == []
