"""Connections that stay open, handed back by the threads themselves."""

import signal
import socket
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from selectors import DefaultSelector
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER

from registry.handing import HandingWorker
from registry.sharing import SharingWorker
from tests.cli.running import Service, service

TOKEN = "a-token-for-measuring-0123456789"
WHO = b"Authorization: Bearer " + TOKEN.encode()
GET = b"GET /api/v1/whoami HTTP/1.1\r\nHost: localhost\r\n" + WHO + b"\r\nX-Request-ID: %d\r\n\r\n"
PATIENCE = 15
"""Seconds; less than gunicorn's graceful timeout, more than anything takes here."""


@pytest.fixture
def running(database_url: str, tmp_path: Path) -> Iterator[Service]:
    settings = {
        "REGISTRY_DATABASE_URL": database_url,
        "REGISTRY_ADMIN_TOKEN": TOKEN,
        "REGISTRY_WORKERS": "1",
        "REGISTRY_THREADS": "2",
    }
    with service(tmp_path, **settings) as running:
        yield running


def connect(running: Service) -> socket.socket:
    return socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE)


def answered(connection: socket.socket, requests: int) -> list[bytes]:
    """The ids of as many answers, in the order in which they come."""
    said = b""
    while said.count(b"\r\n\r\n") < requests or not said.endswith(b"}\n"):
        said += connection.recv(65536)
    return [line.split()[1] for line in said.split(b"\r\n") if line.startswith(b"X-Request-ID:")]


def test_what_is_sent_at_once_is_answered_one_by_one(running: Service) -> None:
    with connect(running) as connection:
        for first in (0, 3):
            connection.sendall(b"".join(GET % number for number in range(first, first + 3)))
            assert answered(connection, 3) == [b"%d" % number for number in range(first, first + 3)]


def test_many_stay_connected_and_take_turns(running: Service) -> None:
    """More than there are threads: each waits its turn where the main thread looks for its next request."""
    connections = [connect(running) for _ in range(20)]
    try:
        for number in range(5):
            for connection in connections:
                connection.sendall(GET % number)
            assert [answered(connection, 1) for connection in connections] == [[b"%d" % number]] * 20
    finally:
        for connection in connections:
            connection.close()


def test_a_service_that_stops_does_not_wait_for_those_who_ask_nothing(running: Service) -> None:
    with connect(running) as connection:
        connection.sendall(GET % 1)
        assert answered(connection, 1) == [b"1"]
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(PATIENCE) == 0
        assert connection.recv(100) == b""


def test_who_is_handed_back_after_the_stop_is_waited_for_no_longer_than_all_others() -> None:
    """Its worker has looked at those who wait by then, or does so afterwards."""
    ours, theirs = socket.socketpair()
    with ours, theirs, DefaultSelector() as poller:
        connection: Any = SimpleNamespace(sock=ours, timeout=None)
        connection.set_timeout = lambda: setattr(connection, "timeout", time.monotonic() + 65)
        worker: Any = SimpleNamespace(
            alive=False, keepalived_conns=deque(), poller=poller, on_client_socket_readable=print
        )
        HandingWorker._watch(worker, connection)
        assert list(worker.keepalived_conns) == [connection]
        assert connection.timeout <= time.monotonic() + STOP_KEEPALIVE_LINGER
        assert poller.get_key(ours)


def test_who_stops_looks_at_those_who_wait_while_more_are_handed_back() -> None:
    class Waiting:
        """A connection while whose time is set another one is handed back."""

        timeout = 65.0

        def __setattr__(self, name: str, value: float) -> None:
            super().__setattr__(name, value)
            worker.keepalived_conns.append(SimpleNamespace(timeout=65.0))

    worker: Any = SimpleNamespace(keepalived_conns=deque())
    worker.keepalived_conns.extend([Waiting(), Waiting()])
    HandingWorker._cap_keepalive(worker, 2.0)
    assert [one.timeout for one in worker.keepalived_conns][:2] == [2.0, 2.0]


def test_the_others_hear_at_once_of_a_thread_that_is_free_again() -> None:
    """Nobody wakes the main thread, which tells them of all else."""
    ours, theirs = socket.socketpair()
    told: list[float] = []
    with ours, theirs, DefaultSelector() as poller:
        worker: Any = SharingWorker.__new__(SharingWorker)
        worker.alive, worker.poller, worker.cfg = True, poller, SimpleNamespace(threads=2)
        worker.keepalived_conns, worker.pending_conns = deque(), deque()
        worker.nr_conns, worker.worker_connections = 2, 1_000
        worker.show, worker._shown = told.append, 0.0
        worker._show(worker._load())
        worker._watch(SimpleNamespace(sock=ours, timeout=None, set_timeout=lambda: None))
    assert told == [1_002, 2]
