"""The numbers of a running service: one sum, whichever worker answers, and none lost when a worker is killed."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.cli.running import Service, service
from tests.metrics.reading import Samples, samples, value

LIVEZ = {"face": "operations", "method": "GET", "route": "/livez", "status": "200"}
WORKERS = 3


@pytest.fixture
def running(tmp_path: Path, database_url: str) -> Iterator[Service]:
    with service(tmp_path, REGISTRY_DATABASE_URL=database_url, REGISTRY_WORKERS=str(WORKERS)) as started:
        wait_for(lambda: value(read(started), "registry_workers") == WORKERS)
        yield started


def read(running: Service) -> Samples:
    status, text = running.get("/metrics")
    assert status == 200
    return samples(text)


def asked(running: Service) -> float:
    return value(read(running), "registry_requests_total", **LIVEZ)


def workers(running: Service) -> list[int]:
    parent = psutil.Process(running.process.pid)
    return [child.pid for child in parent.children() if "serve" in " ".join(child.cmdline())]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_every_worker_tells_the_sum_of_all(running: Service) -> None:
    before = asked(running)
    for _ in range(60):
        running.get("/livez")

    assert {asked(running) for _ in range(20)} == {before + 60}
    assert value(read(running), "registry_workers") == WORKERS


def test_killed_workers_take_no_count_with_them_and_leave_nothing_under_way(running: Service) -> None:
    for _ in range(30):
        running.get("/livez")
    before = asked(running)

    for victim in workers(running):
        os.kill(victim, signal.SIGKILL)
    wait_for(lambda: value(read(running), "registry_worker_starts_total") == 2 * WORKERS)
    for _ in range(30):
        running.get("/livez")
    found = read(running)

    assert value(found, "registry_requests_total", **LIVEZ) == before + 30
    assert value(found, "registry_workers") == WORKERS
    assert value(found, "registry_requests_under_way") == 1


def test_a_reload_loses_no_count(running: Service) -> None:
    running.get("/livez")
    before = asked(running)

    running.process.send_signal(signal.SIGHUP)
    wait_for(lambda: value(read(running), "registry_worker_starts_total") == 2 * WORKERS)
    wait_for(lambda: value(read(running), "registry_workers") == WORKERS)

    assert asked(running) == before
