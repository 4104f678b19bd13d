"""What is read out of the output of wrk and pgbench, and how requests are written for wrk."""

from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from bench import pgbench, wrk
from bench.wrk import COUNTER, Refused, Request, post

WRK = """Running 2s test @ http://127.0.0.1:1/
  1 threads and 32 connections
  4210 requests in 2.01s, 1.05MB read
{more}Requests/sec:   2095.71
Transfer/sec:    536.84KB
"""
PGBENCH = "number of failed transactions: 0 (0.000%)\ntps = 1234.56 (without initial connection time)\n"


def test_what_wrk_measured_is_read() -> None:
    load = wrk.read(WRK.format(more=""))

    assert (load.rate, load.answered) == (2095.71, 4210)


@pytest.mark.parametrize(
    "more",
    ["  Non-2xx or 3xx responses: 3\n", "  Socket errors: connect 0, read 4, write 0, timeout 0\n"],
)
def test_a_load_that_was_refused_is_no_figure(more: str) -> None:
    with pytest.raises(Refused, match=more.strip()):
        wrk.read(WRK.format(more=more))


def test_what_pgbench_measured_is_read() -> None:
    assert pgbench.read(PGBENCH) == 1234.56


@pytest.mark.parametrize(("said", "complained"), [(PGBENCH, "client 3 aborted in command 2"), ("", "no such file")])
def test_a_failed_run_of_pgbench_is_no_figure(said: str, complained: str) -> None:
    with pytest.raises(RuntimeError, match=complained):
        pgbench.read(said, complained)


def test_a_request_is_written_as_it_goes_over_the_wire() -> None:
    text = post("/x?y=1", {"name": "ä"}).text({"Authorization": "Bearer t"})

    head, body = text.split("\r\n\r\n")
    assert head.splitlines()[0] == "POST /x?y=1 HTTP/1.1"
    assert f"Content-Length: {len(body)}" in head.splitlines()
    assert "Authorization: Bearer t" in head.splitlines()
    assert Request("/x").text({}) == "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Echo(BaseHTTPRequestHandler):
    """Remembers what it was sent."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, bytes]] = []  # noqa: RUF012

    def do_POST(self) -> None:
        self.seen.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.skipif(not wrk.available(), reason="needs wrk")
def test_wrk_sends_one_request_after_the_other_each_with_another_number(tmp_path: Path) -> None:
    program = tmp_path / "requests.lua"
    program.write_text(wrk.script([post("/a", {"n": COUNTER}), post("/b", {"n": COUNTER})], {}, start=1))
    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        load = wrk.load(server.server_port, program, 1, 1)
        server.shutdown()

    # the script begins at /b, and wrk makes one request for itself before it sends any
    assert [path for path, _ in Echo.seen[:3]] == ["/a", "/b", "/a"]
    assert len({body for _, body in Echo.seen}) == len(Echo.seen) >= load.answered > 2
