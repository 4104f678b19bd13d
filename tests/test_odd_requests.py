"""Odd requests to a running service: each gets a refusal in JSON, none a page, none a fault of ours."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from registry.faces.rest.errors import types
from tests.cli.running import Service, service

TOKEN = "a-token-for-odd-requests-0123456789"
CREDENTIAL = f"Authorization: Bearer {TOKEN}\r\n".encode()
LIMIT = 64 * 1024
JSON = b"Content-Type: application/json\r\n"
CHUNKED = JSON + b"Transfer-Encoding: chunked\r\n"
REST, MLFLOW = "/api/v1", "/api/2.0/mlflow"
POSTS = {REST: "/models", MLFLOW: "/registered-models/create"}
GETS = {REST: "/models/no-such", MLFLOW: "/registered-models/get?name=no-such"}


@pytest.fixture(scope="module")
def running(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {
        "REGISTRY_DATABASE_URL": database_url,
        "REGISTRY_ADMIN_TOKEN": TOKEN,
        "REGISTRY_WORKERS": "1",
        "REGISTRY_MAX_BODY_BYTES": str(LIMIT),
    }
    with service(tmp_path_factory.mktemp("odd"), **settings) as running:
        yield running


def send(port: int, data: bytes) -> bytes:
    """Send bytes as they are, say that there are no more, and return what comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        with suppress(OSError):  # it may have hung up already
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def request(verb: bytes, path: str, headers: bytes = b"", body: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    start = verb + b" " + path.encode("latin-1") + b" " + version
    return start + b"\r\nHost: here\r\n" + CREDENTIAL + headers + b"Connection: close\r\n\r\n" + body


def chunk(body: bytes) -> bytes:
    return b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"


def post(headers: bytes, body: bytes = b"", *, sized: bool = False) -> tuple[bytes, str, bytes, bytes]:
    return b"POST", "post", headers + (b"Content-Length: %d\r\n" % len(body) if sized else b""), body


def get(headers: bytes = b"", body: bytes = b"", verb: bytes = b"GET") -> tuple[bytes, str, bytes, bytes]:
    return verb, "get", headers, body


ODD: dict[str, tuple[tuple[bytes, str, bytes, bytes], set[int]]] = {
    "an unknown route": ((b"GET", "/nope", b"", b""), {404}),
    "an unknown route by OPTIONS": ((b"OPTIONS", "/nope", b"", b""), {404}),
    "the bare prefix": ((b"GET", "/", b"", b""), {404}),
    "a wrong verb": ((b"PUT", "post", b"", b""), {405}),
    "an unheard-of verb": (get(verb=b"FROB"), {405}),
    "TRACE": (get(verb=b"TRACE"), {405}),
    "a double slash": ((b"GET", "//models//x", b"", b""), {404}),
    "a slash in a name": ((b"GET", "/models/a%2Fb", b"", b""), {404}),
    "a NUL in a name": ((b"GET", "/models/a%00b", b"", b""), {400, 404}),
    "no UTF-8 in a name": ((b"GET", "/models/%ff", b"", b""), {400, 404}),
    "half an escape": ((b"GET", "/models/%zz%", b"", b""), {404}),
    "a long name": ((b"GET", "/models/" + "a" * 8000, b"", b""), {404}),
    "a body on a GET": (get(JSON + b"Content-Length: 5\r\n", b"hello"), {404}),
    "chunks on a GET": (get(CHUNKED, chunk(b"hello")), {404}),
    "an upgrade": (get(b"Upgrade: websocket\r\nConnection: Upgrade\r\n"), {400, 404, 405}),
    "a wish for a page": (get(b"Accept: text/html\r\n"), {404}),
    "a size too large": (post(JSON + b"Content-Length: 99999999999\r\n", b"{"), {413}),
    "a body too large": (post(JSON, b"x" * (LIMIT + 1), sized=True), {413}),
    "spaces too many": (post(JSON, b'{"name": "x"}' + b" " * LIMIT, sized=True), {413}),
    "chunks too large": (post(CHUNKED, chunk(b'{"name": "x"}' + b" " * LIMIT)), {413}),
    "chunks too large, with a key": (post(CHUNKED + b"Idempotency-Key: k\r\n", chunk(b"x" * (LIMIT + 1))), {413}),
    "a chunk without a size": (post(CHUNKED, b"zz\r\n{}\r\n"), {400}),
    "a chunk that ends early": (post(CHUNKED, b"ff\r\n{"), {400}),
    "no last chunk": (post(CHUNKED, b"2\r\n{}\r\n"), {400}),
    "a body that ends early": (post(JSON + b"Content-Length: 100\r\n", b'{"na'), {400}),
    "no type": (post(b"", b"{}", sized=True), {400, 415}),
    "text": (post(b"Content-Type: text/plain\r\n", b"{}", sized=True), {400, 415}),
    "a form": (post(b"Content-Type: multipart/form-data\r\n", b"--", sized=True), {400, 415}),
    "nothing at all": (post(JSON), {400}),
    "half a document": (post(JSON, b'{"name":', sized=True), {400}),
    "a deep document": (post(JSON, b"[" * 60_000, sized=True), {400}),
    "a deep document in chunks": (post(CHUNKED, chunk(b"[" * 60_000)), {400}),
    "a long number": (post(JSON, b'{"name": ' + b"9" * 9_000 + b"}", sized=True), {400}),
    "a bad key": (post(JSON + b"Idempotency-Key: two words\r\n", b"{}", sized=True), {400}),
}


def check(answer: bytes, prefix: str, statuses: set[int]) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    assert status in statuses, answer
    said = json.loads(body)
    if prefix == REST:
        assert b"application/problem+json" in head
        assert types()[said["type"]] == status
        assert said["status"] == status
        assert said["detail"]
        assert "browser" not in said["detail"]
    else:
        assert b"application/json" in head
        assert said["error_code"]
        assert said["message"]
    assert b"Traceback" not in body


@pytest.mark.parametrize("prefix", [REST, MLFLOW])
@pytest.mark.parametrize("odd", ODD)
def test_what_is_odd_is_refused_in_the_words_of_the_face(running: Service, prefix: str, odd: str) -> None:
    (verb, path, headers, body), statuses = ODD[odd]
    path = prefix + {"get": GETS[prefix], "post": POSTS[prefix]}.get(path, path)
    check(send(running.port, request(verb, path, headers, body)), prefix, statuses)
    assert "Traceback" not in running.said


NO_REQUESTS = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400}),
    "a verb in small letters": (request(b"get", GETS[REST]), {400}),
    "no version": (b"GET /api/v1/models\r\n\r\n", {400}),
    "a version of the future": (request(b"GET", GETS[REST], version=b"HTTP/3.0"), {400}),
    "bytes in the address": (request(b"GET", "/api/v1/models/\xff\xfe"), {400}),
    "an address too long": (request(b"GET", "/api/v1/models/" + "a" * 9000), {414}),
    "a header too long": (request(b"GET", GETS[REST], b"X-Long: " + b"a" * 9000 + b"\r\n"), {431}),
    "headers too many": (request(b"GET", GETS[REST], b"".join(b"X-%d: a\r\n" % n for n in range(99))), {431}),
    "a header with a space in its name": (request(b"GET", GETS[REST], b"Bad Name: x\r\n"), {400}),
    "a header with a NUL": (request(b"GET", GETS[REST], b"X-Bad: \x00\r\n"), {400}),
    "a folded header": (request(b"GET", GETS[REST], b"X-Old: a\r\n b\r\n"), {400}),
    "a size that is none": (request(b"POST", "/api/v1/models", JSON + b"Content-Length: hush\r\n"), {400}),
    "two sizes": (request(b"POST", "/api/v1/models", JSON + b"Content-Length: 1\r\nContent-Length: 2\r\n"), {400}),
    "a size and chunks": (request(b"POST", "/api/v1/models", CHUNKED + b"Content-Length: 1\r\n", chunk(b"{}")), {400}),
    "another coding": (request(b"POST", "/api/v1/models", JSON + b"Transfer-Encoding: gzip\r\n", b"{}"), {400, 501}),
    "an unheard-of expectation": (request(b"POST", "/api/v1/models", JSON + b"Expect: hush\r\n"), {417}),
}


@pytest.mark.parametrize("what", NO_REQUESTS)
def test_what_is_no_request_is_refused_in_words_that_both_kinds_of_clients_read(running: Service, what: str) -> None:
    data, statuses = NO_REQUESTS[what]
    answer = send(running.port, data)
    check(answer, REST, statuses)
    said = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert (said["error_code"], said["message"]) == ("BAD_REQUEST", said["detail"])
    assert b"hush" not in answer
    assert "Traceback" not in running.said


def test_a_body_in_chunks_of_exactly_the_limit_is_taken(running: Service) -> None:
    body = b'{"name": ""}'.ljust(LIMIT)
    check(send(running.port, request(b"POST", "/api/v1/models", CHUNKED, chunk(body))), REST, {400})


def test_nobody_moves_the_service_by_a_header(running: Service) -> None:
    moved = b"SCRIPT_NAME: /elsewhere\r\nPATH_INFO: /api/v1/whoami\r\n"
    check(send(running.port, request(b"GET", GETS[REST], moved)), REST, {404})


def test_the_trace_of_the_caller_stands_in_the_log(running: Service) -> None:
    trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    send(running.port, request(b"GET", GETS[REST], f"traceparent: 00-{trace}-{span}-01\r\n".encode()))
    assert (trace, span) in [(line["trace_id"], line["span_id"]) for line in running.requests]


def test_an_answer_that_has_not_changed_has_no_body_and_no_type(running: Service) -> None:
    first = send(running.port, request(b"GET", "/api/v1/whoami"))
    tag = next(line for line in first.split(b"\r\n") if line.lower().startswith(b"etag:")).partition(b" ")[2]
    again = send(running.port, request(b"GET", "/api/v1/whoami", b"If-None-Match: " + tag + b"\r\n"))
    head, _, body = again.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 304 ")
    assert b"\r\ncontent-type:" not in head.lower()
    assert body == b""
