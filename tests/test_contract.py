"""openapi.yaml says what the routes do, and the routes do what it says."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient

from registry.faces.contract import operation_of
from tests.factories import make_model, make_version, unique
from tools.openapi import HTTP_VERBS, text

ROOT = Path(__file__).parent.parent
NOT_IN_CONTRACT = {"/livez", "/readyz", "/health", "/version"}


@pytest.fixture(scope="module")
def contract() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "openapi.yaml").read_text())
    return loaded


def test_the_checked_in_contract_is_what_the_routes_say() -> None:
    assert (ROOT / "openapi.yaml").read_text() == text(), "stale: run `make contract`"


def test_every_route_is_in_the_contract_or_stands_on_the_list(app: Flask) -> None:
    missing = {
        rule.rule
        for rule in app.url_map.iter_rules()
        if operation_of(app.view_functions[rule.endpoint]) is None and rule.rule not in NOT_IN_CONTRACT
    }
    assert missing == set()


def test_the_contract_has_all_22_mlflow_routes(contract: dict[str, Any]) -> None:
    routes = [
        (path, verb)
        for path, verbs in contract["paths"].items()
        for verb in verbs
        if path.startswith("/api/2.0/mlflow/") and verb in HTTP_VERBS
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
    ("/api/v1/models/{name}/comments", "Comments"),
    ("/api/v1/resolve?uri=models:/{name}/1", "Resolved"),
    ("/api/v1/whoami", "Caller"),
    ("/api/v1/models/{name}/versions/9", "Problem"),
]


@pytest.mark.parametrize(("path", "schema"), ANSWERS)
def test_answers_have_the_fields_of_their_schema(
    client: FlaskClient, context: None, contract: dict[str, Any], path: str, schema: str
) -> None:
    name = make_model(name=unique(), a="1")
    make_version(name)

    answer = client.get(path.format(name=name)).get_json()

    assert set(answer) <= set(contract["components"]["schemas"][schema]["properties"])
    assert answer
