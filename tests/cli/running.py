"""The command line in processes of its own, as people and service managers run it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
SERVE = ("-m", "registry", "serve")


def environment(**settings: str) -> dict[str, str]:
    """Our environment with these settings of the service and no others."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
    if "REGISTRY_DATABASE_URL" in settings:  # tests share that one, and a log has one sealer
        settings = {"REGISTRY_SEALER": "off"} | settings
    return inherited | {"PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": "/no/login/here"} | settings


def registry(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    command = [sys.executable, "-m", "registry", *arguments]
    return subprocess.run(
        command, env=environment(**settings), capture_output=True, text=True, timeout=120, check=False
    )


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Service:
    """A running service, and the files that its output goes to."""

    process: subprocess.Popen[bytes]
    port: int
    out: Path
    err: Path

    def get(self, path: str, token: str | None = None) -> tuple[int, Any]:
        """Ask for a path; return the status, and the JSON or text that came."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, decode(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, decode(error.read())

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)

    @property
    def said(self) -> str:
        """All that went to standard error."""
        return self.err.read_text()

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The access log so far."""
        return [json.loads(line) for line in self.out.read_text().splitlines()]


def decode(body: bytes) -> Any:
    """JSON, or else text."""
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()


@contextmanager
def service(directory: Path, *command: str, **settings: str) -> Iterator[Service]:
    """A service that has started, in a process group of its own, as a terminal would give it."""
    with starting(directory, *command, **settings) as running:
        deadline = time.monotonic() + 60
        while running.process.poll() is None and time.monotonic() < deadline:
            with suppress(OSError):
                if running.get("/livez")[0] == 200:
                    break
            time.sleep(0.05)
        assert running.process.poll() is None, running.said
        yield running


@contextmanager
def starting(directory: Path, *command: str, **settings: str) -> Iterator[Service]:
    """A service that may or may not have started yet; it is gone afterwards."""
    port = int(settings.setdefault("REGISTRY_PORT", str(free_port())))
    out, err = directory / f"out-{port}", directory / f"err-{port}"
    arguments: Sequence[str] = command or SERVE
    with out.open("ab") as stdout, err.open("ab") as stderr:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env=environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    try:
        yield Service(process, port, out, err)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(60)
