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
