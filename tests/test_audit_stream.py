"""The log as a file from a real server: how much memory it takes, and what a fault on the way looks like."""

import http.client
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from registry.config import Settings
from tests.conftest import application, execute
from tests.factories import make_events
from tests.mlflow.servers import environment, free_port, process

ROOT = Path(__file__).parent.parent
TOKEN = "a-token-for-exports-0123456789abc"
EVENTS = 50_000
SOME_MORE = 16 * 2**20
"""Bytes that a worker may grow by: some for what differs from run to run, less than the smallest export takes."""


@pytest.fixture
def full_database_url(empty_database_url: str) -> str:
    """A database with 50,000 events in 200 streams."""
    with application(Settings(database_url=empty_database_url)) as app, app.app_context():
        make_events(EVENTS, streams=200)
    return empty_database_url


@contextmanager
def serving(database_url: str, directory: Path) -> Iterator[int]:
    """A service of one worker; yields its port."""
    port = free_port()
    env = environment(
        REGISTRY_DATABASE_URL=database_url,
        REGISTRY_PORT=str(port),
        REGISTRY_ADMIN_TOKEN=TOKEN,
        REGISTRY_WORKERS="1",
        PYTHONPATH=str(ROOT),
    )
    ready = f"http://127.0.0.1:{port}/readyz"
    with process([sys.executable, "-m", "registry", "serve"], directory, ready, env, name="registry"):
        yield port


@contextmanager
def exported(port: int, query: str) -> Iterator[http.client.HTTPResponse]:
    """The answer to a question to the log, not read yet."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", f"/api/v1/audit?{query}", headers={"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        assert answer.status == 200
        yield answer
    finally:
        connection.close()


def worker_of(port: int) -> psutil.Process:
    """The one process below the one that opened the port."""
    for found in psutil.Process().children(recursive=True):
        listens = [at for at in found.net_connections("tcp") if at.status == "LISTEN" and at.laddr.port == port]
        if listens and not found.children():
            return found
    raise AssertionError("no worker")


def test_an_export_takes_little_memory_and_a_fault_on_the_way_is_seen(full_database_url: str, tmp_path: Path) -> None:
    with serving(full_database_url, tmp_path) as port:
        worker = worker_of(port)
        for kind in ("jsonl", "csv"):
            assert grown(worker, port, kind) < SOME_MORE, kind
        breaks_off(full_database_url, port)
        assert "failed while its answer was sent" in "".join(log.read_text() for log in tmp_path.glob("*.log"))


def grown(worker: psutil.Process, port: int, kind: str) -> int:
    """How many bytes a worker grows by while it exports everything, after it has exported a little."""
    with exported(port, f"format={kind}&limit=1000") as answer:
        answer.read()
    before = most = worker.memory_info().rss
    lines = 0
    with exported(port, f"format={kind}") as answer:
        assert answer.getheader("Transfer-Encoding") == "chunked"
        while part := answer.read(2**18):
            lines += part.count(b"\n")
            most = max(most, worker.memory_info().rss)
    assert lines >= EVENTS
    return int(most - before)


def breaks_off(database_url: str, port: int) -> None:
    """A fault of the database while an answer is sent: the answer has no end, instead of a wrong one."""
    with exported(port, "format=jsonl") as answer:
        assert re.match(rb'\{"v": ?1|\{"', answer.read(2**16))
        execute(database_url, "ALTER TABLE audit.event RENAME TO lost")
        with pytest.raises(http.client.IncompleteRead):
            answer.read()
