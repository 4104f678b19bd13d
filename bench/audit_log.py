"""The whole audit log: how fast it is exported, in how much memory, and how fast an auditor verifies it."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from bench import contenders, servers
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


APPEND = (
    "SELECT count(audit.append('system:bench-' || n % 10, 'system.ddl', 'system:bench', '{{}}', "
    "jsonb_build_object('measured', jsonb_build_array(n, n + 1)))) FROM generate_series(1, {count}) n"
)
TOLD = "SELECT set_config('app.actor', 'operator', true), set_config('app.request_id', 'bench', true)"
SEALING = (
    "SELECT (max(size) - min(size)) / nullif(extract(epoch FROM max(created_at) - min(created_at)), 0) "
    "FROM audit.checkpoint WHERE size > %s AND size <= %s"
)


def sealing_rate(admin_url: str, start: int, end: int) -> float:
    """Events per second that the sealer sealed in one go, between two sizes of the log; 0 if one batch had them all."""
    return float(servers.ask(admin_url, SEALING, start, end) or 0)


def seal_more(admin_url: str, directory: Path, count: int) -> float:
    """Put so many events into the log, seal them, and return how many that were per second."""
    contenders.seal(admin_url, directory)
    with closing(servers.connect(admin_url)) as connection, connection.cursor() as cursor:
        cursor.execute(TOLD)
        cursor.execute(APPEND.format(count=count))
        connection.commit()
    size = int(servers.ask(admin_url, "SELECT count(*) FROM audit.seal"))
    contenders.seal(admin_url, directory)
    return sealing_rate(admin_url, size, size + count)
