"""Real mlflow clients with each of the ways to give them a credential, and what their users see when refused."""

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
from tests.identity.issuer import AUDIENCE, LocalIssuer, issuing, rsa_key
from tests.mlflow.servers import environment

pytestmark = pytest.mark.mlflow

PROGRAM = Path(__file__).parent / "credentials.py"
ADMIN = "an-administrators-token-0123456789"
WAYS = ["bearer", "user and password", "in the address", "vouched for", "vouched for, as a password"]


@pytest.fixture(scope="module")
def local() -> Iterator[LocalIssuer]:
    with issuing() as running:
        running.keys = [rsa_key("rsa-1")]
        yield running


@pytest.fixture(scope="module")
def running(
    server_url: str, template_url: str, local: LocalIssuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("mlflow")
    believed = {"issuer": local.url, "name": "corp", "audience": AUDIENCE, "groups_claim": "groups"}
    file = directory / "issuers.json"
    file.write_text(json.dumps({"issuers": [{**believed, "roles": {"ml": "contributor"}}]}))
    settings = {"REGISTRY_ADMIN_TOKEN": ADMIN, "REGISTRY_OIDC_FILE": str(file)}
    with (
        database(server_url, str(make_url(template_url).database)) as url,
        service(directory, REGISTRY_DATABASE_URL=url, **settings) as running,
    ):
        yield running


def given(way: str, port: int, token: str) -> dict[str, str]:
    """The variables with which a user gives mlflow its credential."""
    plain = f"http://127.0.0.1:{port}"
    where = {"MLFLOW_REGISTRY_URI": plain, "MLFLOW_TRACKING_URI": plain}
    if way in {"bearer", "vouched for"}:
        return where | {"MLFLOW_TRACKING_TOKEN": token}
    if way in {"user and password", "vouched for, as a password"}:
        return where | {"MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": token}
    return {"MLFLOW_REGISTRY_URI": f"http://ada:{token}@127.0.0.1:{port}", "MLFLOW_TRACKING_URI": plain}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("release", ["mlflow3_python", "mlflow2_python"])
def test_a_credential_lets_in_and_a_refusal_is_read_at_once(
    running: Service, local: LocalIssuer, request: pytest.FixtureRequest, tmp_path: Path, release: str, way: str
) -> None:
    python, name, user = request.getfixturevalue(release), unique(), unique("robot")
    if way.startswith("vouched for"):
        credential = local.token(sub=user, groups=["ml"])
    else:
        with Client(f"http://127.0.0.1:{running.port}", ADMIN) as registry:
            credential = registry.create_token(user, "contributor").secret
    settings = given(way, running.port, credential) | {
        "PLAIN_URI": f"http://127.0.0.1:{running.port}",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "7",  # the default: what is tried again would show
    }
    before = len(running.requests)
    ended = subprocess.run(
        [python, str(PROGRAM), name],
        env=environment(**settings),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    said = json.loads(ended.stdout.splitlines()[-1])
    assert said["refused"]["code"] == "PERMISSION_DENIED"
    assert user in said["refused"]["message"]
    assert "promote" in said["refused"]["message"]
    assert said["turned away"]["code"] == "UNAUTHENTICATED"
    assert "token" in said["turned away"]["message"]
    statuses = [line["status"] for line in running.requests[before:] if line["path"].startswith("/api/2.0/")]
    assert (statuses.count(403), statuses.count(401)) == (1, 1)
    assert set(statuses) <= {200, 401, 403}
