"""Traces reach a collector, continue the caller's, and tell no value; without the variable there is nothing of them."""

import gzip
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import urllib3

from registry.config import ConfigError
from registry.tracing import wanted
from tests.cli.running import ROOT, Service, environment, free_port, service
from tests.factories import unique

proto = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")

TOKEN = "a-token-for-traces-0123456789"
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@dataclass
class Collector:
    """An OTLP/HTTP receiver on loopback, and the spans that it was sent, with the attributes of their resources."""

    url: str
    spans: list[Any] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)

    def wait_for(self, count: int, name: str) -> list[Any]:
        """The spans of this name, once there are so many."""
        deadline = time.monotonic() + 30
        while len(found := [span for span in self.spans if span.name == name]) < count:
            assert time.monotonic() < deadline, [span.name for span in self.spans]
            time.sleep(0.05)
        return found


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            assert self.path == "/v1/traces"
            for group in proto.ExportTraceServiceRequest.FromString(body).resource_spans:
                collector.resources.append(attributes(group.resource))
                collector.spans += [span for scope in group.scope_spans for span in scope.spans]
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quietly."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def attributes(part: Any) -> dict[str, Any]:
    values = {each.key: each.value for each in part.attributes}
    return {key: getattr(value, value.WhichOneof("value")) for key, value in values.items()}


@contextmanager
def traced(tmp_path: Path, database_url: str, endpoint: str) -> Iterator[Service]:
    settings = {"REGISTRY_DATABASE_URL": database_url, "REGISTRY_ADMIN_TOKEN": TOKEN, "REGISTRY_SEALER": "off"}
    otel = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with service(tmp_path, **settings, **otel) as running:
        yield running


def send(running: Service, verb: str, path: str, body: Any = None, **headers: str) -> int:
    with urllib3.PoolManager() as pool:
        given = {"Authorization": f"Bearer {TOKEN}", **headers}
        answer = pool.request(verb, f"http://127.0.0.1:{running.port}{path}", json=body, headers=given, timeout=30)
        return answer.status


def test_a_request_continues_the_callers_trace_with_its_statements_below(
    tmp_path: Path, empty_database_url: str
) -> None:
    name = unique()
    with collecting() as collector, traced(tmp_path, empty_database_url, collector.url) as running:
        caller = f"00-{TRACE}-{CALLER}-01"
        assert (
            send(running, "POST", "/api/v1/models", {"name": name, "tags": {"secret": "hush"}}, traceparent=caller)
            == 201
        )
        assert send(running, "GET", f"/api/v1/models/{name}?hush=hush") in {200, 400}
        assert send(running, "GET", "/api/v1/models/there-is-none") == 404
        assert send(running, "GET", "/livez") == 200
        [made] = collector.wait_for(1, "POST /api/v1/models")
        collector.wait_for(2, "GET /api/v1/models/<name>")
        time.sleep(0.3)  # what comes with it comes in one of the next batches
        lines = [line for line in running.requests if line["path"] == "/api/v1/models"]

    assert (made.trace_id.hex(), made.parent_span_id.hex()) == (TRACE, CALLER)
    told = attributes(made)
    assert (told["http.route"], told["http.response.status_code"], told["registry.face"]) == (
        "/api/v1/models",
        201,
        "rest",
    )
    assert [(line["trace_id"], line["span_id"]) for line in lines] == [(TRACE, made.span_id.hex())]
    assert [line["request_id"] for line in lines] == [told["registry.request_id"]]
    below = [span for span in collector.spans if span.parent_span_id == made.span_id]
    assert {"INSERT", "SELECT"} <= {span.name for span in below}
    assert all(made.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano for span in below)
    everything = str([attributes(span) for span in collector.spans]) + str([span.name for span in collector.spans])
    assert name not in everything
    assert "hush" not in everything
    assert TOKEN not in everything
    assert "/livez" not in everything
    assert {one["service.name"] for one in collector.resources} == {"model-registry"}


def test_what_is_not_sent_yet_is_sent_at_the_end(tmp_path: Path, empty_database_url: str) -> None:
    settings = {"REGISTRY_DATABASE_URL": empty_database_url, "REGISTRY_ADMIN_TOKEN": TOKEN, "REGISTRY_SEALER": "off"}
    with collecting() as collector:
        otel = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "600000"}
        with service(tmp_path, **settings, **otel) as running:
            assert send(running, "GET", "/api/v1/models") == 200
            assert collector.spans == []
            running.stop()
        assert [span.name for span in collector.spans if span.name.startswith("GET")] == ["GET /api/v1/models"]


def test_without_a_collector_there_it_serves_all_the_same(tmp_path: Path, empty_database_url: str) -> None:
    with traced(tmp_path, empty_database_url, f"http://127.0.0.1:{free_port()}") as running:
        assert [send(running, "GET", "/api/v1/models") for _ in range(5)] == [200] * 5


def test_without_the_variable_nothing_of_it_is_imported() -> None:
    script = (
        "import sys; from registry.app import create_app; from registry.config import Settings; "
        "create_app(Settings(database_url='postgresql+psycopg2://nobody@127.0.0.1:9/none')); "
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment(), capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_traces_are_sent_where_a_variable_says_where_to(environ: dict[str, str], expected: bool) -> None:
    assert wanted(environ) is expected


def test_another_protocol_stops_the_start_with_one_line() -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    with pytest.raises(ConfigError, match="http/protobuf"):
        wanted(environ)


def test_without_the_packages_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    with pytest.raises(ConfigError, match=r"model-registry\[otel\]"):
        wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"})


def test_a_collector_that_takes_forever_does_not_hold_up_the_end() -> None:
    script = "import time; from registry.tracing import finish_at_exit; finish_at_exit(lambda: time.sleep(3600))"
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment(), timeout=120, check=False)
    assert ran.returncode == 0
