"""A client keeps its connection, and takes another one where the service has ended it."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from chaos.calls import Line, Request, send


class Answering(BaseHTTPRequestHandler):
    """Answers, and ends the connection a moment after it was asked for `/last`, without having said so."""

    protocol_version = "HTTP/1.1"
    connections: set[object]

    def do_GET(self) -> None:
        self.connections.add(self.client_address)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.close_connection = self.path == "/last"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    Answering.connections = set()
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_a_connection_is_kept_until_the_service_ends_it(port: int) -> None:
    line = Line()
    for path, expected in (("/", 1), ("/", 1), ("/last", 1), ("/", 2), ("/", 2)):
        assert send(port, Request("GET", path), "r", line).status == 200
        assert len(Answering.connections) == expected
        time.sleep(0.1)
    assert line.used_again == 3
    line.hang_up()


def test_without_one_each_request_has_its_own(port: int) -> None:
    for number in (1, 2):
        assert send(port, Request("GET", "/"), "r").status == 200
        assert len(Answering.connections) == number
