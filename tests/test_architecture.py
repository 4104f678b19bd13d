"""Conventions as tests: who imports whom, who commits, who authenticates, who refuses how."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from registry import errors
from registry.errors import RegistryError
from registry.faces import mlflow
from registry.faces.contract import operation_of
from registry.faces.face import bare_view
from registry.faces.mlflow.errors import CODES
from registry.faces.mlflow.errors import code_of as mlflow_code_of
from registry.faces.rest.errors import STATUSES, kind_of
from tests.conftest import client_with

ROOT = Path(__file__).parent.parent / "registry"
SOURCES = sorted(ROOT.rglob("*.py"))

# A module may import what stands on its line, or on the lines of those; what is not named here it may not.
MAY_IMPORT = {
    "vocabulary": set(),
    "errors": set(),
    "config": {"database_url", "trust"},
    "database_url": set(),
    "trust": set(),
    "postgres": {"database_url"},
    "client": set(),
    "identity": {"config", "errors", "vocabulary"},
    "ledger": set(),
    "facts": {"vocabulary"},
    "silence": {"telling"},
    "limits": {"config", "postgres", "silence"},
    "prepared": set(),
    "telling": set(),
    "settled": {"prepared", "telling"},
    "outcome": set(),
    "db": {"config", "errors", "facts", "limits", "outcome", "postgres", "prepared", "settled", "silence", "telling"},
    "replica": {"config", "db"},
    "metrics": {"facts", "metrics"},
    "tables": {"vocabulary"},
    "domain": {"vocabulary", "errors", "facts", "config", "db", "prepared", "settled", "tables", "domain"}
    | {"identity", "ledger"},
    "faces": {"vocabulary", "errors", "db", "domain", "faces", "metrics", "identity"}
    | {"limits", "posture", "replica", "schema", "sealing"},
    "tracing": {"config", "db", "faces"},
    "app": {"config", "db", "faces", "identity", "metrics", "prepared", "replica", "tracing"},
}


def part_of(module: str) -> str:
    return module.removeprefix("registry").lstrip(".").partition(".")[0]


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, names of `from x import y` included as `x.y`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def module_of(path: Path) -> str:
    return part_of(".".join(("registry", *path.relative_to(ROOT).with_suffix("").parts)))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    module = module_of(path)
    if module not in MAY_IMPORT:
        pytest.skip("stands outside the service: commands, the server and its tools")
    inside = {part_of(name) for name in imports_of(path) if name.startswith("registry.")}
    assert inside - {module, "__version__"} <= MAY_IMPORT[module]


@pytest.mark.parametrize("path", sorted((ROOT / "domain").glob("*.py")), ids=lambda path: path.stem)
def test_the_domain_knows_no_web(path: Path) -> None:
    outside = {name.partition(".")[0] for name in imports_of(path)}
    assert not outside & {"flask", "marshmallow", "werkzeug", "gunicorn"}


@pytest.mark.parametrize("face", ["mlflow", "rest"])
def test_a_face_imports_neither_tables_nor_another_face(face: str) -> None:
    others = {"mlflow", "rest"} - {face}
    for path in (ROOT / "faces" / face).glob("*.py"):
        names = imports_of(path)
        assert not any(name.startswith("registry.tables") for name in names), path
        assert not any(name.startswith(f"registry.faces.{other}") for name in names for other in others), path


def test_only_db_commits() -> None:
    committers = {path.name for path in SOURCES if re.search(r"\.commit\(", path.read_text())}
    assert committers == {"db.py", "postgres.py", "silence.py"}  # of the sealer; and the driver's own, timed


def test_no_sql_is_put_together_from_text_in_the_service() -> None:
    for path in (ROOT / "domain").glob("*.py"):
        assert not re.search(r"\btext\(f[\"']", path.read_text()), path


def test_importing_the_package_imports_nothing_else() -> None:
    assert imports_of(ROOT / "__init__.py") == set()


OPEN = {
    "/livez",
    "/readyz",
    "/health",
    "/version",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/api/3.0/mlflow/server-info",
    "/ajax-api/3.0/mlflow/server-info",
}


def test_every_route_asks_for_a_credential_or_stands_on_the_list(app: Flask) -> None:
    nobody = client_with(app, None)
    for rule in app.url_map.iter_rules():
        if rule.rule in OPEN or rule.rule.startswith("/docs/"):
            continue
        path = re.sub(r"<int:\w+>", "1", rule.rule)
        path = re.sub(r"<(?:\w+:)?\w+>", "x", path)
        for verb in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            answer = nobody.open(path, method=verb, json={})
            assert answer.status_code == 401, f"{verb} {path}"
            assert "Bearer" in answer.headers["WWW-Authenticate"]
            assert answer.is_json


def test_every_post_heeds_idempotency_keys_and_every_change_of_our_own_face_preconditions(app: Flask) -> None:
    posts = 0
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith(("/api/v1/", *mlflow.PREFIXES)):
            continue
        with app.app_context():
            bare = bare_view(rule.endpoint)
        assert bare is not None, rule
        wrapped: Any = app.view_functions[rule.endpoint]
        operation = operation_of(bare)
        layers = 1 + rule.rule.startswith("/api/v1/") + (operation is not None and operation.replica is not None)
        for _ in range(layers):
            assert wrapped is not bare, rule
            wrapped = wrapped.__wrapped__
        assert wrapped is bare, rule
        posts += "POST" in (rule.methods or set())
    assert posts > 10


def all_errors(kind: type[RegistryError] = RegistryError) -> list[type[RegistryError]]:
    return [kind, *(leaf for child in kind.__subclasses__() for leaf in all_errors(child))]


@pytest.mark.parametrize("kind", [kind for kind in all_errors() if kind.__module__ == errors.__name__])
def test_every_error_has_a_line_in_every_face(kind: type[RegistryError]) -> None:
    if kind is RegistryError:
        pytest.skip("the base is never raised")
    error = kind.__new__(kind)
    assert mlflow_code_of(error) in CODES.values()
    assert kind_of(error) in STATUSES
