"""Thousands of requests, made from the contract, to a real service: no 5xx, and no answer outside the contract.

schemathesis makes them, right ones and wrong ones, the same in every run. `make fuzz` shows what it says.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3
from sqlalchemy import make_url

from tests.cli.running import ROOT, Service, service
from tests.conftest import database

pytestmark = pytest.mark.fuzz

ADMIN = "mreg_" + "f" * 40
NAMES = [f"Fuzz-{number}" for number in range(5)]
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
)


@dataclass
class Outcome:
    """What schemathesis says, and how often each operation was answered with each status."""

    code: int
    said: str
    counts: dict[str, int]

    @property
    def requests(self) -> int:
        """How many requests there were."""
        return sum(self.counts.values())


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, server_url: str, template_url: str) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("fuzz")
    with database(server_url, str(make_url(template_url).database)) as url:
        settings = {"REGISTRY_DATABASE_URL": url, "REGISTRY_ADMIN_TOKEN": ADMIN, "REGISTRY_LOG_LEVEL": "warning"}
        with service(directory, **settings) as running:
            yield running


def fill(running: Service) -> dict[str, list[Any]]:
    """Make some models with all that can be had; return what a request can name, lists that go round together."""
    there, on_models, on_versions = [], [], []
    for name in NAMES:
        asked = {"name": name, "description": "to be found", "tags": {"team": "growth"}}
        there.append(tell(running, "POST", "/models", asked)["id"])
        at = f"/models/{name}"
        for stage in ("Archived", "Production", "Staging"):
            asked = {"source": f"s3://bucket/{name}", "tags": {"team": "growth"}, "stage": stage}
            tell(running, "POST", f"{at}/versions", asked)
        tell(running, "PUT", f"{at}/aliases/champion", {"version": 2})
        on_models.append(tell(running, "POST", f"{at}/comments", {"text": "about the model"})["id"])
        on_versions.append(tell(running, "POST", f"{at}/versions/1/comments", {"text": "about a version"})["id"])
        tell(running, "POST", f"{at}/versions", {"source": "s3://bucket/deleted"})
        tell(running, "DELETE", f"{at}/versions/4")
    deleted = [tell(running, "POST", "/models", {"name": f"Deleted-{number}"})["id"] for number in range(4)]
    for number in range(4):
        tell(running, "DELETE", f"/models/Deleted-{number}")
    people = [tell(running, "POST", "/tokens", {"name": f"p{number}", "role": "viewer"})["id"] for number in range(4)]
    return {
        "name": NAMES,
        "model": NAMES,
        "number": [1, 2, 3, 4],
        "model_id": deleted + there,
        "token_id": people,
        "version": [1, 2, 3],
        "key": ["team"],
        "alias": ["champion"],
        "comment_id": on_models + on_versions,
        "uri": [f"models:/{name}{rest}" for name in NAMES for rest in ("/3", "/Production", "@champion")],
    }


def tell(running: Service, verb: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Send one request of the preparation, which has to succeed."""
    url = f"http://127.0.0.1:{running.port}/api/v1{path}"
    answer = urllib3.request(verb, url, json=body, headers={"Authorization": f"Bearer {ADMIN}"})
    assert answer.status < 300, answer.data
    return dict(json.loads(answer.data)) if answer.data else {}


def fuzz(running: Service, directory: Path, token: str | None, known: Any, *options: str) -> Outcome:
    """Run schemathesis over the whole contract, as whoever holds the token."""
    counts = directory / "counts.json"
    world = {"known": known, "token_id": 1 if token else None}
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(ROOT / "tests/fuzz/schemathesis.toml")]
    command += ["run", f"http://127.0.0.1:{running.port}/openapi.json", "--phases", "examples,coverage,fuzzing"]
    command += [*options, *(["--header", f"Authorization: Bearer {token}"] if token else [])]
    settings = {"SCHEMATHESIS_HOOKS": "tests.fuzz.hooks", "FUZZ_WORLD": json.dumps(world), "FUZZ_COUNTS": str(counts)}
    done = subprocess.run(
        command,
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | settings,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return Outcome(done.returncode, done.stdout + done.stderr, json.loads(counts.read_text()))


def test_no_answer_is_outside_the_contract(running: Service, tmp_path: Path) -> None:
    known = fill(running)

    outcome = fuzz(running, tmp_path, ADMIN, known, "--checks", ",".join(CHECKS), "--max-examples", "15")

    print(f"{outcome.requests} requests:", json.dumps(outcome.counts, sort_keys=True))
    assert outcome.code == 0, outcome.said
    assert outcome.requests > 4_000
    assert len(succeeded(outcome)) > 0.9 * len(operations(outcome))


def test_without_a_credential_everything_is_401(running: Service, tmp_path: Path) -> None:
    checks = (
        "not_a_server_error,status_code_conformance,response_schema_conformance,everybody_is_asked_for_a_credential"
    )

    outcome = fuzz(running, tmp_path, None, {}, "--checks", checks, "--mode", "positive", "--max-examples", "3")

    print(f"{outcome.requests} requests")
    assert outcome.code == 0, outcome.said
    assert outcome.requests > 300


def operations(outcome: Outcome) -> set[str]:
    """All operations that were called."""
    return {each.split()[0] for each in outcome.counts}


def succeeded(outcome: Outcome) -> set[str]:
    """The operations that did what they are for at least once."""
    return {each.split()[0] for each in outcome.counts if each.split()[1] < "400"}
