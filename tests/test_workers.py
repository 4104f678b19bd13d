"""What all workers have to know at once, asked of each of four: who is let in no more, who failed too often."""

import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection

import psutil
import pytest
from sqlalchemy import make_url

from registry.client import Client
from tests.cli.running import Service, service
from tests.conftest import database
from tests.factories import unique

WORKERS, THREADS, PER_ADDRESS = 4, 2, 30
TOKEN = "a-token-for-workers-0123456789"
WHOAMI = "/api/v1/whoami"


@pytest.fixture(scope="module")
def running(server_url: str, template_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {
        "REGISTRY_ADMIN_TOKEN": TOKEN,
        "REGISTRY_WORKERS": str(WORKERS),
        "REGISTRY_THREADS": str(THREADS),
        "REGISTRY_FAILED_ATTEMPTS_PER_ADDRESS": str(PER_ADDRESS),
        "REGISTRY_FAILED_ATTEMPTS_SECONDS": "600",
    }
    with (
        database(server_url, str(make_url(template_url).database)) as url,
        service(tmp_path_factory.mktemp("workers"), REGISTRY_DATABASE_URL=url, **settings) as running,
    ):
        yield running


@pytest.fixture
def by_worker(running: Service) -> Iterator[dict[int, HTTPConnection]]:
    """A connection that stays to each of the workers, by process."""
    with ExitStack() as opened:
        found: dict[int, HTTPConnection] = {}
        for _ in range(400):
            connection = opened.enter_context(closing(HTTPConnection("127.0.0.1", running.port, timeout=30)))
            assert ask(connection, TOKEN) == 200  # so somebody has taken it
            found.setdefault(worker_of(running, connection), connection)
            if len(found) == WORKERS:
                break
        assert len(found) == WORKERS, "not every worker took a connection"
        yield found


def wait_for_all(running: Service) -> None:
    """Return once each of the workers has begun to let callers in, and nobody is connected."""
    for _ in range(100):
        with ExitStack() as opened, ThreadPoolExecutor(4 * WORKERS) as pool:
            http = (HTTPConnection("127.0.0.1", running.port, timeout=30) for _ in range(4 * WORKERS))
            connections = [opened.enter_context(closing(one)) for one in http]
            assert {*pool.map(lambda one: ask(one, TOKEN), connections)} == {200}
            if len({worker_of(running, one) for one in connections}) == WORKERS:
                break
        time.sleep(0.1)
    else:
        raise AssertionError("not every worker took a connection")


def test_those_who_connect_are_shared_among_all(running: Service) -> None:
    """Also where they come all at once, and while everybody has something to do."""
    wait_for_all(running)
    together = threading.Barrier(8 * WORKERS)
    with ExitStack() as opened, ThreadPoolExecutor(8 * WORKERS) as pool:

        def connect(_: int) -> HTTPConnection:
            connection = opened.enter_context(closing(HTTPConnection("127.0.0.1", running.port, timeout=30)))
            together.wait(30)
            assert ask(connection, TOKEN) == 200
            assert ask(connection, TOKEN) == 200
            return connection

        connections = list(pool.map(connect, range(8 * WORKERS)))
        served = Counter(worker_of(running, connection) for connection in connections)
    assert len(served) == WORKERS
    assert min(served.values()) >= 4  # of 8 that would be fair


def test_nobody_is_left_to_a_worker_whose_threads_all_serve_others(running: Service) -> None:
    """Though more are connected to each of the others, who have nothing to do."""
    wait_for_all(running)
    with ExitStack() as opened:

        def connect(seconds: float = 30) -> HTTPConnection:
            connection = HTTPConnection("127.0.0.1", running.port, timeout=seconds)
            opened.callback(connection.close)
            assert ask(connection, TOKEN) == 200
            return connection

        connections = [connect() for _ in range(8 * WORKERS)]
        by_worker: dict[int, list[HTTPConnection]] = {}
        for connection in connections:
            by_worker.setdefault(worker_of(running, connection), []).append(connection)
        stuck = min(by_worker, key=lambda worker: len(by_worker[worker]))
        for connection in by_worker[stuck][THREADS:]:
            connection.close()
        for connection in by_worker[stuck][:THREADS]:
            send_half(connection)
        time.sleep(0.5)
        for _ in range(WORKERS):
            connect(seconds=5)


def send_half(connection: HTTPConnection) -> None:
    """Send a request whose body does not all come: whoever serves it waits for the rest."""
    connection.putrequest("POST", "/api/v1/models")
    for name, value in {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}.items():
        connection.putheader(name, value)
    connection.putheader("Content-Length", "100")
    connection.endheaders(b"{")


def worker_of(running: Service, connection: HTTPConnection) -> int:
    """The process at the other end of a connection."""
    ours = connection.sock.getsockname()
    for worker in psutil.Process(running.process.pid).children():
        if any(one.raddr == ours for one in worker.net_connections("tcp")):
            return worker.pid
    raise AssertionError("nobody has taken the connection")


def ask(connection: HTTPConnection, token: str) -> int:
    connection.request("GET", WHOAMI, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_a_revoked_token_is_worthless_in_each_of_four_workers_at_once(
    running: Service, by_worker: dict[int, HTTPConnection]
) -> None:
    with Client(f"http://127.0.0.1:{running.port}", TOKEN) as registry:
        made = registry.create_token(unique("robot"), "viewer")
        assert {ask(connection, made.secret) for connection in by_worker.values()} == {200}
        registry.revoke_token(made.id)
        assert [ask(connection, made.secret) for connection in by_worker.values()] == [401] * WORKERS


def test_four_workers_together_let_as_many_failed_attempts_through_as_the_settings_say(
    running: Service, by_worker: dict[int, HTTPConnection]
) -> None:
    already = sum(line["status"] == 401 for line in running.requests)
    together = threading.Barrier(WORKERS)

    def fail(connection: HTTPConnection) -> list[int]:
        together.wait(20)
        return [ask(connection, "mreg_" + secrets.token_hex(20)) for _ in range(PER_ADDRESS)]

    with ThreadPoolExecutor(WORKERS) as pool:
        found = [status for statuses in pool.map(fail, by_worker.values()) for status in statuses]
    assert set(found) == {401, 429}
    assert found.count(401) == PER_ADDRESS - already
    assert {ask(connection, TOKEN) for connection in by_worker.values()} == {200}
