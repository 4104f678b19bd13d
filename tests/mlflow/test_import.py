"""`registry import-mlflow` against a real mlflow server: what it says afterwards is what the server said."""

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from sqlalchemy import make_url

from tests.cli.running import registry as run
from tests.conftest import database
from tests.mlflow.servers import Server, registry_server

pytestmark = pytest.mark.mlflow

API = "/api/2.0/mlflow/"
PROMPT = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
MODELS = {"Churn": 4, "Kündigung 'und' mehr": 1, "empty": 0}


def ask(server: Server, verb: str, route: str, body: Any = None) -> dict[str, Any]:
    """One request to a registry over MLflow's API."""
    parts = urlsplit(server.url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    headers = {"Content-Type": "application/json"}
    if server.token:
        headers["Authorization"] = f"Bearer {server.token}"
    connection.request(verb, API + route, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    assert answer.status == 200, data
    found: dict[str, Any] = json.loads(data)
    return found


@pytest.fixture(scope="module")
def filled(reference: Server) -> Server:
    """A server with models, a deleted version in the middle, stages, tags, aliases and a prompt."""
    for name, count in MODELS.items():
        tags = [{"key": "team", "value": "growth"}, {"key": "leer", "value": ""}]
        ask(reference, "POST", "registered-models/create", {"name": name, "description": f"about {name}", "tags": tags})
        for number in range(1, count + 1):
            version = {"name": name, "source": f"s3://bucket/{number}", "run_id": f"{number:032x}", "tags": tags}
            ask(reference, "POST", "model-versions/create", version | {"description": f"build {number}"})
    for number, stage in ((1, "Archived"), (2, "Production"), (4, "Staging")):
        body = {"name": "Churn", "version": str(number), "stage": stage, "archive_existing_versions": False}
        ask(reference, "POST", "model-versions/transition-stage", body)
    ask(reference, "DELETE", "model-versions/delete", {"name": "Churn", "version": "3"})
    for alias, number in (("champion", 2), ("next-one", 4)):
        body = {"name": "Churn", "alias": alias, "version": str(number)}
        ask(reference, "POST", "registered-models/alias", body)
    ask(reference, "POST", "registered-models/create", {"name": "greeting", "tags": PROMPT})
    text = {"key": "mlflow.prompt.text", "value": "Hello {{name}}"}
    ask(
        reference,
        "POST",
        "model-versions/create",
        {"name": "greeting", "source": "prompt-template", "tags": [*PROMPT, text]},
    )
    return reference


@pytest.fixture(scope="module")
def into(server_url: str, template_url: str) -> Iterator[str]:
    """A database that takes the import."""
    with database(server_url, str(make_url(template_url).database)) as url:
        yield url


def bring(server: Server, into: str, *options: str) -> dict[str, Any]:
    ran = run("import-mlflow", server.url, "--json", *options, REGISTRY_DATABASE_URL=into)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    report: dict[str, Any] = json.loads(ran.stdout)
    return report


def told(server: Server) -> dict[str, Any]:
    """All that a registry says of its models and versions, in an order of its own."""
    wanted = quote("tags.`mlflow.prompt.is_prompt` = 'true'")
    found = {}
    for query in ("", f"&filter={wanted}"):
        for model in ask(server, "GET", f"registered-models/search?max_results=100{query}").get(
            "registered_models", []
        ):
            name = model["name"]
            whole = ask(server, "GET", f"registered-models/get?name={quote(name)}")["registered_model"]
            numbers = {each["version"] for each in whole.get("latest_versions", [])}
            versions = [
                ask(server, "GET", f"model-versions/get?name={quote(name)}&version={number}")["model_version"]
                for number in sorted(numbers)
            ]
            found[name] = ordered({"model": whole, "versions": versions})
    return found


def ordered(part: Any) -> Any:
    """Lists whose order means nothing, in one order."""
    if isinstance(part, dict):
        return {key: ordered(value) for key, value in part.items()}
    if isinstance(part, list):
        return sorted((ordered(each) for each in part), key=lambda each: json.dumps(each, sort_keys=True))
    return part


def test_afterwards_both_say_the_same(filled: Server, into: str, directory: Path) -> None:
    report = bring(filled, into)
    again = bring(filled, into)

    assert (report["models"], report["versions"], report["aliases"]) == (4, 5, 2)
    assert (again["models"], again["versions"], again["aliases"], again["present"]) == (0, 0, 0, 11)
    with registry_server(into, directory) as ours:
        assert told(ours) == told(filled)
        more = {"name": "Churn", "source": "s3://bucket/more"}
        assert ask(ours, "POST", "model-versions/create", more)["model_version"]["version"] == "5"


def test_one_model_alone_and_what_has_come_since(filled: Server, server_url: str, template_url: str) -> None:
    with database(server_url, str(make_url(template_url).database)) as into:
        assert bring(filled, into, "--model", "empty", "--dry-run")["models"] == 1
        assert bring(filled, into, "--model", "empty")["models"] == 1
        ask(filled, "POST", "model-versions/create", {"name": "empty", "source": "s3://bucket/late"})
        late = bring(filled, into, "--model", "empty")

        assert (late["models"], late["versions"], late["present"]) == (0, 1, 1)
