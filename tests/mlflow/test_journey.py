"""Unmodified mlflow clients, with the registry on our server and runs, logged models and files elsewhere.

The journeys are programs for the python of an environment that has mlflow; here they are started and their word taken.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mlflow.servers import Server, environment, mlflow_server

pytestmark = pytest.mark.mlflow

HERE = Path(__file__).parent
MINUTES = 5


def travel(command: list[str], cwd: Path, **settings: str) -> None:
    """Run a journey in `cwd`; if a chapter fails, show everything that it said."""
    python, program, *arguments = command
    ended = subprocess.run(
        [python, str(HERE / program), *arguments],
        cwd=cwd,
        env=environment(**settings, PATH=programs_of(python)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=MINUTES * 60,
        check=False,
    )
    said = ended.stdout.decode(errors="replace")
    if ended.returncode:
        pytest.fail(f"{' '.join(command[1:])}: {ended.returncode} chapters failed\n{said}", pytrace=False)
    print(said)


def programs_of(python: str) -> str:
    """The PATH of an activated environment: `mlflow models serve` looks for programs by their names alone."""
    return os.pathsep.join([str(Path(python).absolute().parent), os.environ.get("PATH", os.defpath)])


@pytest.fixture
def tracking3(mlflow3_python: str, directory: Path) -> Iterator[Server]:
    """A tracking server of its own for the mlflow 3 client, with its files."""
    with mlflow_server(mlflow3_python, directory, f"sqlite:///{directory}/tracking3.db") as server:
        yield server


@pytest.fixture
def tracking2(mlflow2_python: str, directory: Path) -> Iterator[Server]:
    """A tracking server of its own for the mlflow 2 client, without a database: that code predates SQLAlchemy 2.1."""
    with mlflow_server(mlflow2_python, directory, str(directory / "tracking2")) as server:
        yield server


def test_mlflow_3_with_a_tracking_server(
    mlflow3_python: str, registry: Server, tracking3: Server, tmp_path: Path
) -> None:
    """The token comes from the environment, for both servers."""
    travel(
        [mlflow3_python, "journey_mlflow3.py", "http", "ChurnPredictionModel"],
        tmp_path,
        MLFLOW_TRACKING_URI=tracking3.url,
        MLFLOW_REGISTRY_URI=registry.url,
        MLFLOW_TRACKING_TOKEN=registry.token,
    )


def test_mlflow_3_with_a_local_tracking_store(mlflow3_python: str, registry: Server, tmp_path: Path) -> None:
    """The token comes in the registry's URI."""
    travel(
        [mlflow3_python, "journey_mlflow3.py", "sqlite", "LocalModel"],
        tmp_path,
        MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path}/tracking.db",
        MLFLOW_REGISTRY_URI=registry.url_with_credentials(),
    )


def test_mlflow_2_with_a_tracking_server(
    mlflow2_python: str, registry: Server, tracking2: Server, tmp_path: Path
) -> None:
    travel(
        [mlflow2_python, "journey_mlflow2.py", "OlderModel"],
        tmp_path,
        MLFLOW_TRACKING_URI=tracking2.url,
        MLFLOW_REGISTRY_URI=registry.url,
        MLFLOW_TRACKING_TOKEN=registry.token,
    )
