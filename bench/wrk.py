"""The load generator: wrk, which sends requests that were made before, one after the other, on open connections."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

COUNTER = "@" * 10
"""In a request: a number that no request has had before."""
SCRIPT = """local requests = {
%s
}
local at, sent = %d, os.time() * 10000 %% 10000000000
request = function()
    at, sent = at %% #requests + 1, sent + 1
    return %s
end
"""


class Refused(Exception):
    """The service did not do what was measured."""


@dataclass(frozen=True)
class Request:
    """A request as it goes over the wire."""

    path: str
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"

    def text(self, headers: Mapping[str, str]) -> str:
        """The request, with these headers too. `COUNTER` in a body keeps its length."""
        body = "" if self.body is None else json.dumps(self.body)
        if body:
            headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
        lines = [f"{name}: {value}\r\n" for name, value in {"Host": "localhost", **headers, **self.headers}.items()]
        return f"{self.method} {self.path} HTTP/1.1\r\n{''.join(lines)}\r\n{body}"


def post(path: str, body: object) -> Request:
    """A POST."""
    return Request(path, body, method="POST")


def available() -> bool:
    """Whether wrk is installed."""
    return shutil.which("wrk") is not None


def script(requests: Sequence[Request], headers: Mapping[str, str], start: int = 0) -> str:
    """The requests as a Lua script, from one of them on; what JSON escapes in ASCII, Lua does the same way."""
    texts = [one.text(headers) for one in requests]
    counted = any(COUNTER in text for text in texts)
    # parentheses: gsub returns the number of replacements, too
    one = f'(requests[at]:gsub("{COUNTER}", string.format("%010.0f", sent)))' if counted else "requests[at]"
    return SCRIPT % (",\n".join(map(json.dumps, texts)), start % len(texts), one)


@dataclass(frozen=True)
class Load:
    """What came of a load: requests per second, how many were answered, what share of a processor it took to ask."""

    rate: float
    answered: int
    share: float = 0.0


def load(port: int, lua: Path, connections: int, seconds: int) -> Load:
    """Send requests for some seconds.

    :raises Refused: the service refused some, or hung up.
    """
    where = [f"http://127.0.0.1:{port}/", "-c", str(connections), "-t", "1", "-d", f"{seconds}s"]
    command = ["wrk", *where, "-s", str(lua), "--timeout", "30s"]
    before = os.times()
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return replace(read(said), share=used / (after.elapsed - before.elapsed))


def read(said: str) -> Load:
    """Take the figures from what wrk prints.

    :raises Refused: not every request was answered well.
    """
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    found = re.search(r"Requests/sec:\s*([0-9.]+)", said)
    answered = re.search(r"(\d+) requests in", said)
    if refused or (broken and any(map(int, broken.groups()))) or not found or not answered:
        raise Refused(said.strip())
    return Load(float(found[1]), int(answered[1]))
