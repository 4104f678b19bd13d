"""The service as operators run it: `registry serve` with workers of its own, and a sealer; each a process family."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psutil

from chaos.postgres import free_port, processes

ROOT = Path(__file__).parent.parent
TOKEN = "a-token-for-chaos-0123456789"
SECONDS_TO_START = 60
SHOWN_TRACES, TRACE_CHARACTERS = 3, 600
SETTINGS = {
    "REGISTRY_ADMIN_TOKEN": TOKEN,
    "REGISTRY_SEALER": "off",  # one beside all instances, for a log has one
    "REGISTRY_SEALER_INTERVAL_MS": "200",
    "REGISTRY_STATEMENT_TIMEOUT_MS": "2000",
    "REGISTRY_LOCK_TIMEOUT_MS": "1000",
    "REGISTRY_CONNECT_TIMEOUT_SECONDS": "2",
}
"""Short times, so that what takes long shows soon."""


def environment(root: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Our environment with these settings of the service and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
    return kept | {"PYTHONPATH": str(root)} | SETTINGS | dict(settings)


class Program:
    """A command of the registry that goes on until it is told to stop."""

    def __init__(self, directory: Path, name: str, settings: Mapping[str, str], root: Path = ROOT) -> None:
        self.said = directory / f"{name}.err"
        self._out = directory / f"{name}.out"
        self._root = root
        self.settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self, *command: str) -> None:
        """Start it."""
        with self._out.open("ab") as out, self.said.open("ab") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "registry", *command], env=environment(self._root, self.settings),
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=self.said.parent, start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """The first of its processes."""
        if self._process is None:
            raise RuntimeError("it does not run")
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def terminate(self) -> None:
        """Ask it to stop."""
        if self._process is not None:
            self._process.terminate()

    def wait(self, seconds: float = 60) -> int:
        """Wait for its end and return its exit code; what does not end by itself is killed, and that is no 0."""
        if self._process is None:
            return 0
        family = processes(self._process.pid)
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        self._process = None
        return code

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self.wait()


class Service(Program):
    """One instance."""

    def __init__(self, directory: Path, name: str, settings: Mapping[str, str], root: Path = ROOT) -> None:
        self.port = free_port()
        super().__init__(directory, name, {"REGISTRY_PORT": str(self.port), **settings}, root)

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.begin("serve")
        deadline = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < deadline:
            if not self.runs:
                break
            if self.is_ready():
                return
            time.sleep(0.05)
        raise RuntimeError(f"The service does not start: {self.said.read_text()[-3000:]}")

    def is_ready(self, timeout: float = 5.0) -> bool:
        """Whether it says that it can work."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200  # noqa: PLR2004
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def workers(self) -> list[psutil.Process]:
        """Its worker processes at the moment."""
        return processes(self.pid)[1:]

    def traces(self) -> list[str]:
        """The last lines in which it wrote down faults of its own, each with the end of its trace."""
        lines = [line for line in self.said.read_text(errors="replace").splitlines() if "Traceback" in line]
        return [line[-TRACE_CHARACTERS:] for line in lines[-SHOWN_TRACES:]]


def run(*command: str, root: Path = ROOT, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the registry to its end."""
    return subprocess.run(
        [sys.executable, "-m", "registry", *command], env=environment(root, settings), cwd="/",
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
