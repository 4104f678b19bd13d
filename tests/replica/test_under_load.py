"""A replica that fails under load fails no request."""

import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from chaos.postgres import Server
from tests.cli.running import Service, service
from tests.metrics.reading import samples, value
from tests.replica.pair import BOUND, wait_until
from tests.test_processes import TOKEN, create_model, create_version, send


@pytest.fixture(scope="module")
def running(server: Server, standby: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    given = {
        "REGISTRY_DATABASE_URL": server.url("registry_app"),
        "REGISTRY_REPLICA_URL": standby.url("registry_app"),
        "REGISTRY_REPLICA_MAX_LAG_SECONDS": f"{BOUND}",
        "REGISTRY_STATEMENT_TIMEOUT_MS": "1000",
        "REGISTRY_CONNECT_TIMEOUT_SECONDS": "2",
        "REGISTRY_ADMIN_TOKEN": TOKEN,
        "REGISTRY_WORKERS": "2",
    }
    with service(tmp_path_factory.mktemp("service"), **given) as running:
        yield running


def replica_reads(running: Service) -> float:
    return value(samples(running.get("/metrics")[1]), "registry_replica_reads_total", by="replica", why="fresh")


def state_of(running: Service) -> set[str]:
    """How it is for either worker."""
    return {running.get("/readyz")[1]["replica"]["state"] for _ in range(8)}


@pytest.mark.parametrize("fault", ["killed", "stopped"])
def test_a_replica_that_fails_under_load_fails_no_request(running: Service, standby: Server, fault: str) -> None:
    port, stop = running.port, threading.Event()
    name = create_model(port)
    create_version(port, name)
    statuses: dict[int, int] = {}
    past = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    paths = [
        "/api/v1/models?limit=5",
        f"/api/v1/models/{name}/audit",
        f"/api/v1/resolve?uri=models:/{name}/1&at={past}",
        f"/api/v1/models/{name}/stages/Production/history",
    ]

    def keep_reading() -> None:
        while not stop.is_set():
            for path in paths:
                status = send(port, "GET", path)[0]
                statuses[status] = statuses.get(status, 0) + 1

    wait_until(lambda: state_of(running) == {"used"})
    before = replica_reads(running)
    readers = [threading.Thread(target=keep_reading) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        time.sleep(1)
        assert replica_reads(running) > before
        standby.signal_all(signal.SIGSTOP) if fault == "stopped" else standby.kill()
        time.sleep(5)
        standby.signal_all(signal.SIGCONT) if fault == "stopped" else standby.start()
        wait_until(lambda: state_of(running) == {"used"})
        back = replica_reads(running)
        time.sleep(1)
        assert replica_reads(running) > back
    finally:
        stop.set()
        for reader in readers:
            reader.join(60)
    assert set(statuses) == {200}
    assert statuses[200] > 100
    assert "the replica is not used, because" in running.said
    assert "the replica is used again" in running.said
