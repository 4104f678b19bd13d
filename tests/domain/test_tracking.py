"""Asking a tracking server, a real one on a local port: what its answer is good for, and that it can break nothing."""

import base64
import dataclasses
import json
import logging
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from registry.config import Settings
from registry.db import db, transaction
from registry.domain import model_versions, tracking
from registry.domain.access import OPERATOR
from registry.domain.tracking import Located
from registry.tables import ModelVersion
from tests.factories import make_model

MODEL = "m-" + "0123456789abcdef" * 2
SECRET = "s3cr3t"
NOTHING = Located()
TIMEOUT = 0.15  # seconds

Send = Callable[[bytes], object]
Script = Callable[[Send], object]


class Tracker(socketserver.ThreadingTCPServer):
    """A server that notes each request and answers with the bytes it was told to, HTTP or not."""

    daemon_threads = True

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.script = script
        self.requests: list[str] = []
        self.over = threading.Event()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"


class Conversation(socketserver.StreamRequestHandler):
    """One request and one answer."""

    server: Tracker

    def handle(self) -> None:
        lines = []
        while (line := self.rfile.readline()) not in {b"\r\n", b""}:
            lines.append(line.decode())
        self.server.requests.append("".join(lines))
        try:
            self.server.script(self.wfile.write)
        except OSError:
            self.server.over.set()  # the other side has gone


@contextmanager
def serving(script: Script) -> Iterator[Tracker]:
    with Tracker(script) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005})
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


def http(status: str, body: bytes, *headers: str) -> Script:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return lambda send: send("\r\n".join(head).encode() + body)


def answering(content: object) -> Script:
    return http("200 OK", json.dumps(content).encode(), "Content-Type: application/json")


def knows(**info: object) -> Script:
    return answering({"model": {"info": {"model_id": MODEL} | info}})


def raw(content: bytes) -> Script:
    return lambda send: send(content)


def asking(url: str) -> Settings:
    return Settings(tracking_url=url, tracking_timeout_seconds=TIMEOUT)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def row(says: str, *values: object) -> Any:
    """One row of a table, called by what it says."""
    return pytest.param(*values, id=says)


LOCATIONS = [
    row("an object store", "s3://bucket/models/m/artifacts", "s3://bucket/models/m/artifacts"),
    row("a path", "/mnt/models/m/artifacts", "/mnt/models/m/artifacts"),
    row(
        "its own artifacts, made absolute",
        "mlflow-artifacts:/1/models/m/artifacts",
        "{url}/api/2.0/mlflow-artifacts/artifacts/1/models/m/artifacts",
    ),
    row("artifacts of a host", "mlflow-artifacts://host:1/1/models", "mlflow-artifacts://host:1/1/models"),
]


@pytest.mark.parametrize(("location", "kept"), LOCATIONS)
def test_where_a_logged_model_lies(location: str, kept: str) -> None:
    with serving(knows(artifact_uri=location, source_run_id="run-1")) as server:
        assert tracking.locate(asking(server.url), MODEL) == Located(kept.format(url=server.url), "run-1")
    [request] = server.requests
    assert request.startswith(f"GET /api/2.0/mlflow/logged-models/{MODEL} HTTP/1.1\r\n")
    assert "authorization" not in request.lower()


@pytest.mark.parametrize("run", [{}, {"source_run_id": None}, {"source_run_id": ""}])
def test_a_logged_model_may_have_no_run(run: dict[str, object]) -> None:
    with serving(knows(artifact_uri="s3://b/k", **run)) as server:
        assert tracking.locate(asking(server.url), MODEL) == Located("s3://b/k", "")


URLS = [
    row("a path", "http://{address}/ml/flow", "/ml/flow", None),
    row("a slash at the end", "http://{address}/ml/", "/ml", None),
    row("a query", "http://{address}/ml?x=1#y", "/ml", None),
    row("a user", "http://ada:{secret}@{address}", "", "ada:s3cr3t"),
    row("a user and a path", "http://ada:{secret}@{address}/ml", "/ml", "ada:s3cr3t"),
    row("a user without a password", "http://{secret}@{address}", "", "s3cr3t:"),
    row("encoded signs", "http://a%40b:s3cr3t%2F%3A@{address}", "", "a@b:s3cr3t/:"),
    row("an at sign in the password", "http://ada:s3cr3t@x@{address}", "", "ada:s3cr3t@x"),
]


@pytest.mark.parametrize(("url", "path", "credentials"), URLS)
def test_credentials_go_into_a_header_and_never_into_what_is_kept(
    caplog: pytest.LogCaptureFixture, url: str, path: str, credentials: str | None
) -> None:
    with serving(knows(artifact_uri="mlflow-artifacts:/1/m", source_run_id="r")) as server, caplog.at_level(0):
        located = tracking.locate(asking(url.format(address=server.address, secret=SECRET)), MODEL)
    assert located == Located(f"{server.url}{path}/api/2.0/mlflow-artifacts/artifacts/1/m", "r")
    [request] = server.requests
    assert request.startswith(f"GET {path}/api/2.0/mlflow/logged-models/{MODEL} ")
    assert f"Host: {server.address}\r\n" in request
    wanted = credentials and "Authorization: Basic " + base64.b64encode(credentials.encode()).decode()
    assert [line for line in request.splitlines() if "thorization" in line] == ([wanted] if wanted else [])
    assert SECRET not in request
    assert SECRET not in caplog.text


def test_credentials_are_not_sent_where_a_server_redirects_to() -> None:
    with (
        serving(knows(artifact_uri="s3://b/k")) as other,
        serving(http("302 Found", b"", f"Location: {other.url}/x")) as server,
    ):
        tracking.locate(asking(f"http://ada:{SECRET}@{server.address}"), MODEL)
    assert "Authorization: Basic" in server.requests[0]
    assert all("thorization" not in request for request in other.requests)


GOOD = {"artifact_uri": "s3://b/k", "source_run_id": "run-1"}
WHOLE = json.dumps({"model": {"info": GOOD}}).encode()


def info(**wrong: object) -> Script:
    return knows(**(GOOD | wrong))


BAD_ANSWERS: dict[str, Script] = {
    "no such model": http("404 Not Found", b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}'),
    "a fault of its own": http("500 Internal Server Error", b"<html>oops</html>"),
    "a fault with an answer": http("503 Service Unavailable", WHOLE),
    "no entry": http("401 Unauthorized", WHOLE, "WWW-Authenticate: Basic"),
    "a redirect to nowhere": http("302 Found", b"", "Location: http://127.0.0.1:1/"),
    "a redirect to a file": http("302 Found", b"", "Location: file:///etc/hostname"),
    "a redirect in circles": http("302 Found", b"", "Location: /again"),
    "no body": http("200 OK", b""),
    "a page": http("200 OK", b"<html></html>", "Content-Type: text/html"),
    "no text": http("200 OK", b"\xff\xfe\xfd"),
    "half a body": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + WHOLE[:20]),
    "less than promised": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + WHOLE[:-1]),
    "broken chunks": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
    "a nest a hundred thousand deep": http("200 OK", b"[" * 100_000),
    "more than a million bytes": http("200 OK", b'{"x": "' + b"x" * 1_000_000 + b'",' + WHOLE[1:]),
    "nothing": raw(b""),
    "no HTTP": raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "no status": raw(b"HTTP/1.1 abc OK\r\n\r\n"),
    "an endless header": raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n"),
    "too many headers": raw(b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200 + b"\r\n" + WHOLE),
    "a number": answering(5),
    "a list": answering([WHOLE.decode()]),
    "null": answering(None),
    "an empty object": answering({}),
    "a model that is none": answering({"model": None}),
    "a model that is a list": answering({"model": [GOOD]}),
    "no information": answering({"model": {"info": None}}),
    "no location": answering({"model": {"info": {"source_run_id": "run-1"}}}),
    "a location of null": info(artifact_uri=None),
    "a location that is a number": info(artifact_uri=5),
    "a location that is an object": info(artifact_uri={"a": 1}),
    "an empty location": info(artifact_uri=""),
    "a location of 2,001 characters": info(artifact_uri="s3://b/" + "k" * 1_994),
    "a location with NUL": info(artifact_uri="s3://b/\0"),
    "a location with half a pair": info(artifact_uri="s3://b/\ud800"),
    "a run that is a number": info(source_run_id=5),
    "a run that is an object": info(source_run_id={"a": 1}),
    "a run of 65 characters": info(source_run_id="r" * 65),
    "a run with NUL": info(source_run_id="r\0"),
    "a run with half a pair": info(source_run_id="\udfff"),
}


@pytest.mark.parametrize("script", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_a_bad_answer_is_no_answer(caplog: pytest.LogCaptureFixture, script: Script) -> None:
    with serving(script) as server, caplog.at_level(logging.WARNING):
        assert tracking.locate(asking(f"http://ada:{SECRET}@{server.address}"), MODEL) == NOTHING
    assert server.requests
    assert f"the tracking server did not say where {MODEL} lies" in caplog.text
    assert SECRET not in caplog.text


def drip(server_over: Callable[[], bool], head: bytes) -> Script:
    def send_slowly(send: Send) -> None:
        send(head)
        while not server_over():
            send(b" ")
            time.sleep(0.005)

    return send_slowly


SLOW = {
    "silence": b"",
    "silence after the headers": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
}


@pytest.mark.parametrize("said", SLOW.values(), ids=SLOW)
def test_a_server_that_is_silent_is_not_waited_for(said: bytes) -> None:
    with serving(raw(b"")) as server:
        server.script = lambda send: (send(said), server.over.wait(5))
        began = time.monotonic()
        assert tracking.locate(asking(server.url), MODEL) == NOTHING
        assert TIMEOUT * 0.9 < time.monotonic() - began < TIMEOUT * 8


def test_a_server_that_never_ends_is_not_waited_for() -> None:
    with serving(raw(b"")) as server:
        server.script = drip(server.over.is_set, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        began = time.monotonic()
        assert tracking.locate(asking(server.url), MODEL) == NOTHING
        assert time.monotonic() - began < TIMEOUT * 8


def test_without_a_tracking_server_nobody_is_asked() -> None:
    assert tracking.locate(Settings(), MODEL) == NOTHING


def test_where_nobody_listens_nothing_is_known() -> None:
    with serving(raw(b"")) as server:
        gone = server.url
    assert tracking.locate(asking(gone), MODEL) == NOTHING


# Registration.


@pytest.fixture
def register(app: Flask, context: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModelVersion]:
    """Register a version with a service that asks the tracking server at this URL."""

    def register(url: str, **given: Any) -> ModelVersion:
        monkeypatch.setitem(app.config, "REGISTRY", dataclasses.replace(app.config["REGISTRY"], **of(asking(url))))
        name = make_model()
        asked = {"source": f"models:/{MODEL}", "tags": {}} | given
        with transaction(OPERATOR) as session:
            model_versions.create(session, OPERATOR, name, **asked)
        return model_versions.get(db.session(), OPERATOR, name, 1)

    return register


def of(settings: Settings) -> dict[str, Any]:
    return {field: getattr(settings, field) for field in ("tracking_url", "tracking_timeout_seconds")}


Register = Callable[..., ModelVersion]


def test_a_version_has_the_files_and_the_run_that_the_tracking_server_knows(register: Register) -> None:
    with serving(knows(artifact_uri="mlflow-artifacts:/1/m", source_run_id="run-1")) as server:
        version = register(f"http://ada:{SECRET}@{server.address}")
    assert (version.source, version.logged_model_id, version.run_id) == (f"models:/{MODEL}", MODEL, "run-1")
    assert version.storage_location == f"{server.url}/api/2.0/mlflow-artifacts/artifacts/1/m"
    written = "SELECT body FROM audit.event UNION ALL SELECT content FROM audit.private"
    rows = select(func.count()).select_from(text(f"({written}) written")).where(text("body LIKE '%s3cr3t%'"))
    assert db.session.scalar(rows) == 0


def test_a_run_that_is_said_counts_more_than_the_one_known(register: Register) -> None:
    with serving(knows(artifact_uri="s3://b/k", source_run_id="run-1")) as server:
        assert register(server.url, run_id="run-2").run_id == "run-2"


@pytest.mark.parametrize("source", ["s3://b/k", "runs:/run-1/model", "mlflow-artifacts:/1/m"])
def test_only_a_logged_model_is_asked_for(register: Register, source: str) -> None:
    with serving(knows(artifact_uri="s3://b/other")) as server:
        version = register(server.url, source=source)
    assert (server.requests, version.source, version.storage_location) == ([], source, None)


@pytest.mark.parametrize(
    "kind",
    [
        "a fault of its own",
        "no HTTP",
        "a location with NUL",
        "a nest a hundred thousand deep",
        "a run of 65 characters",
    ],
)
def test_a_version_is_registered_whatever_the_tracking_server_says(register: Register, kind: str) -> None:
    with serving(BAD_ANSWERS[kind]) as server:
        version = register(server.url)
    assert (version.number, version.source, version.run_id) == (1, f"models:/{MODEL}", "")
    assert (version.logged_model_id, version.storage_location) == (MODEL, None)


def test_a_version_is_registered_although_the_tracking_server_is_silent(register: Register) -> None:
    with serving(raw(b"")) as server:
        server.script = lambda _: server.over.wait(5)
        version = register(server.url)
    assert (version.number, version.storage_location) == (1, None)
