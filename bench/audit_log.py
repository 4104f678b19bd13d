"""The whole audit log: how fast it is exported, in how much memory, and how fast an auditor verifies it."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from bench import servers
from bench.contenders import Contender
from bench.machine import pinned
from registry.ledger import verify

CHUNK = 1 << 20
SECONDS_BETWEEN_LOOKS = 0.25
PATIENCE_SECONDS = 600


@dataclass(frozen=True)
class Export:
    """An export of so many lines."""

    events: int
    seconds: float
    memory_before: float
    memory_most: float

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.events / self.seconds


def export(contender: Contender, path: str, to: Path) -> Export:
    """Take events away into a file."""
    before = contender.memory
    with watched(contender) as seen, to.open("wb") as file:
        began, lines = time.monotonic(), 0
        for chunk in chunks(contender, path):
            lines += chunk.count(b"\n")
            file.write(chunk)
        seconds = time.monotonic() - began
    return Export(lines, seconds, before, max([before, *seen]))


def chunks(contender: Contender, path: str) -> Iterator[bytes]:
    """Yield what the service sends."""
    connection = HTTPConnection("127.0.0.1", contender.port, timeout=PATIENCE_SECONDS)
    connection.request("GET", path, headers=contender.headers)
    answer = connection.getresponse()
    if answer.status != 200:  # noqa: PLR2004
        raise RuntimeError(f"{path}: {answer.status} {answer.read().decode(errors='replace')}")
    while chunk := answer.read(CHUNK):
        yield chunk
    connection.close()


@contextmanager
def watched(contender: Contender) -> Iterator[list[float]]:
    """Look at the service's memory every now and then."""
    seen: list[float] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(SECONDS_BETWEEN_LOOKS):
            seen.append(contender.memory)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def verification_rate(exported: Path, key: Path) -> float:
    """Events per second of `registry-audit verify`, its start included, on one processor.

    :raises RuntimeError: it does not accept the export.
    """
    command = [sys.executable, verify.__file__, "verify", "--jsonl", str(exported), "--key", str(key), "--json"]
    began = time.monotonic()
    with pinned(0):
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - began
    if ended.returncode:
        raise RuntimeError(f"the log does not verify: {ended.stdout}{ended.stderr}")
    return float(json.loads(ended.stdout)["lines"]) / seconds


SEALING = (
    "WITH ordered AS (SELECT size, created_at FROM audit.checkpoint ORDER BY size), part AS ("
    "SELECT * FROM ordered WHERE size > %s AND size <= %s) "
    "SELECT (max(size) - min(size)) / extract(epoch FROM max(created_at) - min(created_at)) FROM part"
)


def sealing_rate(admin_url: str, start: int, end: int) -> float:
    """Events per second that the sealer sealed in one go, between two sizes of the log."""
    return float(servers.ask(admin_url, SEALING, start, end) or 0)
