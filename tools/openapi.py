"""The contract, `openapi.yaml`, collected from the routes and the schemas of the JSON faces.

`python -m tools.openapi` prints it. A library of the marshmallow family turns schemas into JSON Schema; what is
ours is only the walk over the routes.
"""

import re
import sys
from collections.abc import Iterator
from typing import Any

import yaml
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask
from marshmallow import Schema
from werkzeug.routing import Rule

import registry
from registry.app import create_app
from registry.config import Settings
from registry.faces.contract import Operation, operation_of
from registry.faces.mlflow.schemas import ErrorAnswer
from registry.faces.rest.schemas import Problem

DESCRIPTION = (
    "A model registry for MLflow users. `/api/2.0/mlflow` is MLflow's own registry API, for unmodified clients; the "
    "same routes answer under `/ajax-api/2.0/mlflow`. `/api/v1` is everything else that the service can do."
)
HTTP_VERBS = ("get", "post", "put", "patch", "delete")
CONVERTERS = {"int": {"type": "integer", "minimum": 1}}
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"basic": []}]


def document(app: Flask) -> dict[str, Any]:
    """The whole contract."""
    plugin = MarshmallowPlugin(schema_name_resolver=name_of)
    spec = APISpec(
        title="Model Registry",
        version=registry.__version__,
        openapi_version="3.1.0",
        info={"description": DESCRIPTION, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        servers=[{"url": "/"}],
        security=SECURITY,
        plugins=[plugin],
    )
    spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer"})
    spec.components.security_scheme("basic", {"type": "http", "scheme": "basic"})
    for path, verb, rule, operation in described_routes(app):
        spec.path(path, operations={verb: describe(verb, rule, operation)})
    return spec.to_dict()


def described_routes(app: Flask) -> Iterator[tuple[str, str, Rule, Operation]]:
    """Every route of the contract: path as OpenAPI writes it, verb, rule, and what the route says of itself."""
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        operation = operation_of(app.view_functions[rule.endpoint])
        if operation is None or rule.rule.startswith("/ajax-api/"):
            continue
        for verb in HTTP_VERBS:
            if verb.upper() in (rule.methods or ()):
                yield re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), verb, rule, operation


def describe(verb: str, rule: Rule, operation: Operation) -> dict[str, Any]:
    """One operation as OpenAPI has it."""
    found: dict[str, Any] = {
        "operationId": f"{rule.endpoint.replace('.', '_')}_{verb}",
        "summary": operation.summary,
        "tags": ["MLflow" if "/mlflow/" in rule.rule else "Registry"],
        "parameters": path_parameters(rule),
        "responses": responses(rule, operation),
    }
    query = operation.query or (operation.body if verb == "get" else None)
    if query is not None:
        found["parameters"].append({"in": "query", "schema": query})
    elif operation.body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": operation.body}}}
    if not operation.secured:
        found["security"] = []
    return found


def path_parameters(rule: Rule) -> list[dict[str, Any]]:
    """The variable parts of a path."""
    parts = re.findall(r"<(?:(\w+):)?(\w+)>", rule.rule)
    return [
        {"in": "path", "name": name, "required": True, "schema": CONVERTERS.get(kind, {"type": "string"})}
        for kind, name in parts
    ]


def responses(rule: Rule, operation: Operation) -> dict[str, Any]:
    """What is answered when all goes well, and the form of every refusal."""
    good: dict[str, Any] = {"description": "Done."}
    if operation.answer is not None:
        good["content"] = {"application/json": {"schema": operation.answer}}
    mlflow = "/mlflow/" in rule.rule
    kind, schema = ("application/json", ErrorAnswer) if mlflow else ("application/problem+json", Problem)
    refused = {"description": "Refused; nothing was changed.", "content": {kind: {"schema": schema}}}
    return {str(operation.status): good, "default": refused}


def name_of(schema: type[Schema] | Schema | str) -> str:
    """Name a schema after its face and its class: both faces have, for instance, a `Tag`."""
    kind = schema if isinstance(schema, type) else type(schema)
    face = "Mlflow" if ".mlflow." in kind.__module__ else ""
    return face + kind.__name__


def text() -> str:
    """The contract as it is checked in."""
    app = create_app(Settings(database_url="postgresql+psycopg2:///unused"))
    return yaml.safe_dump(document(app), sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    sys.stdout.write(text())
