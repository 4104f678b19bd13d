"""Something between client and service that misbehaves: a proxy that loses answers, refuses, and redirects."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOPS = {"connection", "transfer-encoding", "content-length", "keep-alive"}


@dataclass
class Proxy:
    """What it shall do with the next requests (then it forwards), and what it has seen."""

    url: str = ""
    script: list[Any] = field(default_factory=list)
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    answered: list[int] = field(default_factory=list)

    def sent(self, header: str) -> list[str | None]:
        """What the requests had in a header, in their order."""
        return [headers.get(header) for _, _, headers in self.seen]


@dataclass(frozen=True)
class Answer:
    """An answer of the proxy's own."""

    status: int
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)


LOSE = "forward the request and drop the connection instead of answering"
DROP = "drop the connection without forwarding the request"
STALL = "do not answer for a while"
TEAR = "forward the request and drop the connection in the middle of the answer"


@contextmanager
def misbehaving(port: int) -> Iterator[Proxy]:
    """A proxy in front of the service on a port, at an address with a path of its own: /behind."""
    proxy = Proxy()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            proxy.seen.append((self.command, self.path, dict(self.headers)))
            to_do = proxy.script.pop(0) if proxy.script else None
            if to_do == STALL:
                time.sleep(0.5)
            if isinstance(to_do, Answer):
                self.reply(to_do.status, to_do.body.encode(), to_do.headers)
                return
            status, answer, headers = (0, b"", {}) if to_do == DROP else self.forward(body)
            if to_do in {DROP, LOSE}:
                self.close_connection = True
                return
            self.reply(status, answer, headers, torn=to_do == TEAR)

        def forward(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
            upstream = HTTPConnection("127.0.0.1", port, timeout=30)
            upstream.request(self.command, self.path.removeprefix("/behind"), body, dict(self.headers))
            response = upstream.getresponse()
            answer = response.read()
            upstream.close()
            return response.status, answer, {k: v for k, v in response.getheaders() if k.lower() not in HOPS}

        def reply(self, status: int, body: bytes, headers: dict[str, str], *, torn: bool = False) -> None:
            proxy.answered.append(status)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if torn else body)
            self.close_connection = self.close_connection or torn

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}/behind"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
