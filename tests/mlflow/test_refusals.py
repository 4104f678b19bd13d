"""What users of real mlflow clients read when grants refuse them something; and that hidden models are not there."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from registry.client import Client
from tests.cli.running import Service, service
from tests.conftest import database
from tests.factories import unique
from tests.mlflow.servers import environment
from tests.mlflow.test_credentials import ADMIN, given

pytestmark = pytest.mark.mlflow

PROGRAM = Path(__file__).parent / "refusals.py"


@pytest.fixture(scope="module")
def running(server_url: str, template_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with (
        database(server_url, str(make_url(template_url).database)) as url,
        service(tmp_path_factory.mktemp("mlflow"), REGISTRY_DATABASE_URL=url, REGISTRY_ADMIN_TOKEN=ADMIN) as running,
    ):
        yield running


@pytest.mark.parametrize("release", ["mlflow3_python", "mlflow2_python"])
def test_grants_refuse_readably_and_at_once_and_what_is_hidden_is_not_there(
    running: Service, request: pytest.FixtureRequest, tmp_path: Path, release: str
) -> None:
    python, user, open_one, secret = request.getfixturevalue(release), unique("robot"), unique("open"), unique("secret")
    with Client(f"http://127.0.0.1:{running.port}", ADMIN) as registry:
        made = registry.create_token(user, "contributor")
        for name in (open_one, secret):
            registry.register_model(name)
            registry.register_version(name, "s3://bucket/model")
        registry.set_alias(secret, "champion", 1)
        registry.create_grant(principal=user, permissions=["promote"])
        freeze = registry.create_grant(
            principal=user, permissions=["promote"], effect="deny", pattern="open-*", stages_to=["Production"]
        )
        registry.create_grant(principal=user, permissions=["read"], effect="deny", pattern="secret-*")
    settings = given("bearer", running.port, made.secret) | {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "7"}
    before = len(running.requests)
    ended = subprocess.run(
        [python, str(PROGRAM), open_one, secret],
        env=environment(**settings),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    said = json.loads(ended.stdout.splitlines()[-1])
    assert {said[what]["code"] for what in ("denied", "not given", "taken")} == {"PERMISSION_DENIED"}
    assert (
        "narrowed to the role contributor" in said["denied"]["message"]
        or f"grant {freeze.id}" in said["denied"]["message"]
    )
    assert f"'{user}' has no grant that gives 'delete' on '{open_one}'" in said["not given"]["message"]
    assert {said[what]["code"] for what in ("hidden", "hidden version", "hidden alias")} == {"RESOURCE_DOES_NOT_EXIST"}
    assert said["hidden"]["message"].endswith(f"Registered Model with name={secret} not found")
    assert secret not in said["models"] + said["versions"]
    assert open_one in said["models"]
    asked = [line for line in running.requests[before:] if line["path"].startswith("/api/2.0/mlflow/")]
    assert [line["status"] for line in asked if line["status"] >= 400] == [403] * 3 + [404] * 3, (
        "nothing is tried again"
    )
