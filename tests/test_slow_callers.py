"""Callers that send slowly: they are cut off, so that they cannot hold the threads of a service; others are served."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress

import pytest

from tests.cli.running import Service, service

TOKEN = "a-token-for-slow-callers-0123456789"
HEAD = f"Host: here\r\nAuthorization: Bearer {TOKEN}\r\n".encode()
GET = b"GET /api/v1/whoami HTTP/1.1\r\n" + HEAD + b"\r\n"
POST = b"POST /api/v1/models HTTP/1.1\r\n" + HEAD + b"Content-Type: application/json\r\n"
THREADS = 2


@pytest.fixture(scope="module")
def running(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {
        "REGISTRY_DATABASE_URL": database_url,
        "REGISTRY_ADMIN_TOKEN": TOKEN,
        "REGISTRY_WORKERS": "1",
        "REGISTRY_THREADS": str(THREADS),
        "REGISTRY_REQUEST_TIMEOUT_SECONDS": "1",
    }
    with service(tmp_path_factory.mktemp("slow"), **settings) as running:
        yield running


def connect(running: Service) -> socket.socket:
    return socket.create_connection(("127.0.0.1", running.port), timeout=30)


def rest_of(connection: socket.socket) -> bytes:
    """All that comes until the service hangs up."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


PARTS = {
    "half a line": b"GET /api/v1/who",
    "half a header": b"GET /api/v1/whoami HTTP/1.1\r\nHost: he",
    "no end of the headers": GET[:-2],
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_half_a_request_gets_408_and_the_connection_ends(running: Service, part: bytes) -> None:
    with connect(running) as connection:
        connection.sendall(part)
        head, _, body = rest_of(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"nosniff" in head
    said = json.loads(body)
    assert (said["type"], said["error_code"]) == ("urn:model-registry:problem:request-timeout", "BAD_REQUEST")
    assert "Traceback" not in running.said


@pytest.mark.parametrize(
    "part",
    [POST + b'Content-Length: 100\r\n\r\n{"name": ', POST + b'Transfer-Encoding: chunked\r\n\r\n9\r\n{"name": '],
    ids=["sized", "chunks"],
)
def test_half_a_body_is_refused_and_the_connection_ends(running: Service, part: bytes) -> None:
    with connect(running) as connection:
        connection.sendall(part)
        head, _, body = rest_of(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["status"] == 400
    assert "Traceback" not in running.said


def test_a_byte_now_and_then_does_not_help(running: Service) -> None:
    with connect(running) as connection, suppress(OSError):
        connection.sendall(GET[:-2] + b"X-Slow: ")
        connection.settimeout(0.2)
        for _ in range(100):
            connection.sendall(b"x")
            with suppress(TimeoutError):
                assert connection.recv(100).startswith((b"HTTP/1.1 408", b""))
                return
    raise AssertionError("it was waited for")


def test_callers_that_hold_all_threads_hold_them_for_a_while_only(running: Service) -> None:
    with ExitStack() as held:
        for _ in range(THREADS * 2):
            held.enter_context(closing(connect(running))).sendall(GET[:-2])
        assert running.get("/api/v1/whoami", TOKEN)[0] == 200


def test_who_keeps_a_connection_open_between_requests_is_not_in_a_hurry(running: Service) -> None:
    with connect(running) as connection:
        answers = connection.makefile("rb")
        for _ in range(2):
            connection.sendall(GET)
            assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
            while not answers.readline().endswith(b"}\n"):
                pass
            time.sleep(1.2)


def test_who_reads_slowly_gets_all_of_his_answer(running: Service) -> None:
    with connect(running) as connection:
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n")
        connection.recv(1000)
        time.sleep(1.5)
        assert rest_of(connection).endswith(b"}")
