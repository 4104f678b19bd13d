"""Services as processes of their own on free loopback ports: how long they take to be ready, and their memory."""

import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

SECONDS_TO_START, SECONDS_TO_STOP = 180, 30
PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
MEGABYTE = 1024


@dataclass(frozen=True)
class Running:
    """A service that answers."""

    process: subprocess.Popen[bytes]
    seconds_to_ready: float

    @property
    def memory(self) -> float:
        """Megabytes of it and its children, shared pages counted once (PSS)."""
        return memory([self.process.pid])


def memory(pids: Sequence[int]) -> float:
    """Megabytes (PSS) of processes and all their children."""
    family = {child.pid for pid in pids for child in psutil.Process(pid).children(recursive=True)} | set(pids)
    return sum(map(pss, family)) / MEGABYTE


def pss(pid: int) -> int:
    """Kilobytes of one process, or none if it has just ended."""
    try:
        found = PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found[1]) if found else 0


def free_port() -> int:
    """A loopback port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(**settings: str) -> dict[str, str]:
    """Return our environment without variables of mlflow or the registry, and with `settings`."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "REGISTRY_"))}
    return ours | settings


@contextmanager
def running(command: Sequence[str], env: Mapping[str, str], log: Path, ready: str | None = None) -> Iterator[Running]:
    """Run a service until the block ends; the block begins once the URL `ready` answers 200."""
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=dict(env), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        if ready is not None:
            wait(process, ready, log)
        yield Running(process, time.monotonic() - began)
    finally:
        stop(process)


def wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Ask until the service is ready.

    :raises RuntimeError: it has ended, or our patience has.
    """
    deadline = time.monotonic() + SECONDS_TO_START
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            if answer.status == 200:  # noqa: PLR2004
                return
        time.sleep(0.02)
    raise RuntimeError(f"no answer from {url}:\n{log.read_text(errors='replace')[-3_000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a service, and whatever it leaves behind in its process group."""
    process.terminate()
    try:
        process.wait(SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
