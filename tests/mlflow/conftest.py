"""The registry as a process of its own, and mlflow's programs beside it.

Nothing here runs unless REGISTRY_TEST_MLFLOW3_PYTHON (and REGISTRY_TEST_MLFLOW2_PYTHON for the older client) name the
python of a virtual environment that has mlflow. REGISTRY_TEST_URL and REGISTRY_TEST_TOKEN put a running server, with an
empty registry, in the place of ours: an mlflow server there shows that the harness itself sees no differences.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.conftest import database
from tests.mlflow.servers import Server, mlflow_server, registry_server


def python_from(variable: str) -> str:
    """The python that a variable names; without it the test is skipped."""
    python = os.environ.get(variable, "")
    if not python:
        pytest.skip(f"{variable} is not set: `make test-mlflow` makes the environments and sets it")
    if shutil.which(python) is None:
        pytest.fail(f"{variable}={python} is not an executable")
    return python


@pytest.fixture(scope="session")
def mlflow3_python() -> str:
    """The python that has mlflow 3.17."""
    return python_from("REGISTRY_TEST_MLFLOW3_PYTHON")


@pytest.fixture(scope="session")
def mlflow2_python() -> str:
    """The python that has mlflow 2.22."""
    return python_from("REGISTRY_TEST_MLFLOW2_PYTHON")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the servers of a module keep their files."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module")
def registry(server_url: str, template_url: str, directory: Path) -> Iterator[Server]:
    """The registry under test, with a database of its own: searches find what the module made and nothing else."""
    given = os.environ.get("REGISTRY_TEST_URL")
    if given:
        yield Server(given.rstrip("/"), os.environ.get("REGISTRY_TEST_TOKEN", ""))
        return
    with (
        database(server_url, str(make_url(template_url).database)) as url,
        registry_server(url, directory) as server,
    ):
        yield server


@pytest.fixture(scope="module")
def reference(mlflow3_python: str, server_url: str, directory: Path) -> Iterator[Server]:
    """A stock mlflow server on PostgreSQL: on SQLite it answers otherwise in a few places, and ours knows no SQLite."""
    if subprocess.run([mlflow3_python, "-c", "import psycopg2"], capture_output=True, check=False).returncode:
        pytest.skip("the environment of REGISTRY_TEST_MLFLOW3_PYTHON lacks psycopg2")
    bytewise = "template0 LC_COLLATE 'C'"  # names in the order of their bytes, as we have them on every database
    with database(server_url, bytewise) as url, mlflow_server(mlflow3_python, directory, url) as server:
        yield server
