"""The tour of `make demo`, taken twice on the same data."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import environment, free_port

LAST_WORDS = "finds this data again"


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that root's substitute can reach."""
    directory = Path(tempfile.mkdtemp(prefix="registry-test-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def tour(place: Path, number: signal.Signals, **more: str) -> str:
    """Take the tour, end it with a signal when it has said all, and return what it said."""
    settings = {"REGISTRY_DATA_DIR": str(place / "data"), "REGISTRY_PORT": str(free_port())} | more
    command = [sys.executable, "-m", "tools.demo"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment(**settings), stdout=pipe, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if LAST_WORDS in line:
                os.killpg(process.pid, number)
        assert process.wait(60) == 0, said
    return said


def test_a_second_tour_goes_on_where_the_first_ended(place: Path) -> None:
    first = tour(place, signal.SIGINT)
    second = tour(place, signal.SIGTERM)

    assert "Version 2 now, version 1 then." in first
    assert "Version 4 now, version 3 then." in second
    assert "It is here already, from an earlier run, with versions up to 2" in " ".join(second.split())
    assert "stage: Production → Archived" in first
    assert "because: Two weeks in shadow mode" in first
    exports = [re.findall(r"export MLFLOW_TRACKING_TOKEN=(\S+)", said) for said in (first, second)]
    assert exports[0] == exports[1]
    assert (place / "data" / "demo-token").stat().st_mode & 0o077 == 0
    assert "Traceback" not in first + second
    assert "\x1b" not in first
    assert all(len(line) <= 100 for line in (first + second).splitlines() if "export" not in line)


def test_the_settings_of_the_service_are_those_of_the_tour(place: Path, empty_database_url: str) -> None:
    secret = place / "token"
    secret.write_text("a-token-from-a-file-0123456789")

    said = tour(place, signal.SIGTERM, REGISTRY_DATABASE_URL=empty_database_url, REGISTRY_ADMIN_TOKEN_FILE=str(secret))

    assert "Version 2 now, version 1 then." in said
    assert "export MLFLOW_TRACKING_TOKEN=a-token-from-a-file-0123456789\n" in said
    assert "in the database of REGISTRY_DATABASE_URL" in " ".join(said.split())
    assert not (place / "data" / "pgdata").exists()


def test_a_port_in_use_is_said_before_any_work(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "-m", "tools.demo"],
            env=environment(REGISTRY_DATA_DIR=str(place / "data"), REGISTRY_PORT=port),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"Error: Port {port} on 127.0.0.1 is in use")
    assert len(ended.stderr.splitlines()) == 1
    assert not (place / "data").exists()


def test_a_service_that_cannot_start_ends_the_tour_with_its_line(place: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tools.demo"],
        env=environment(REGISTRY_DATA_DIR=str(place), REGISTRY_DATABASE_URL="postgresql://127.0.0.1:1/models"),
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert "The database models on 127.0.0.1:1 cannot be reached" in " ".join(ended.stdout.split())
    assert "Traceback" not in ended.stderr
