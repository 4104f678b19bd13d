"""Servers as processes of their own: the registry under test and mlflow's, each on a free loopback port.

What a server prints goes to a file in its directory; if it does not come up, the end of that file says why.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]
SECONDS_TO_START = 120
SECONDS_TO_STOP = 30
QUIET_MLFLOW = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # seven processes that no registry route needs
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # a failing call fails at once and keeps its message
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass(frozen=True)
class Server:
    """Where a server listens, and the token that it wants (an mlflow server wants none)."""

    url: str
    token: str = ""

    def url_with_credentials(self) -> str:
        """Return the URL with the token as a password in it: the only place for credentials of a registry alone."""
        scheme, rest = self.url.split("://", 1)
        return f"{scheme}://anybody:{self.token}@{rest}"


def free_port() -> int:
    """Return a loopback port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(**settings: str) -> dict[str, str]:
    """Return this process's environment without variables of mlflow or the registry, and with `settings`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "REGISTRY_"))}
    one_sealer = {"REGISTRY_SEALER": "off"}  # tests share a database, and a log has one sealer
    return kept | QUIET_MLFLOW | one_sealer | settings


@contextmanager
def process(
    command: Sequence[str], directory: Path, ready: str, env: Mapping[str, str], *, name: str
) -> Iterator[None]:
    """Run a server in `directory` until the block ends; the block begins once the URL `ready` answers 200."""
    log = directory / f"{name}-{secrets.token_hex(3)}.log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            command, cwd=directory, env=dict(env), stdout=output, stderr=output, start_new_session=True
        )
    try:
        wait_until_ready(running, ready, log)
        yield
    finally:
        stop(running)


def wait_until_ready(running: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    """Ask `url` until it answers 200.

    :raises RuntimeError: the process has ended, or the patience has.
    """
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        if running.poll() is not None:
            raise RuntimeError(f"ended with {running.returncode} before it listened:\n{tail(log)}")
        if answers(url):
            return
        time.sleep(0.1)
    raise RuntimeError(f"no answer from {url}:\n{tail(log)}")


def answers(url: str) -> bool:
    """Whether a GET of `url` says 200."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def stop(running: "subprocess.Popen[bytes]") -> None:
    """End a server, and then whatever it has left behind in its process group."""
    running.terminate()
    try:
        running.wait(SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()
    try:
        os.killpg(running.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def tail(log: Path) -> str:
    """Return the end of a log."""
    return log.read_text(errors="replace")[-3_000:]


@contextmanager
def registry_server(database_url: str, directory: Path) -> Iterator[Server]:
    """Run `registry serve` on a migrated database, with the defaults that an operator gets."""
    port, token = free_port(), secrets.token_urlsafe(40)
    settings = {"REGISTRY_DATABASE_URL": database_url, "REGISTRY_PORT": str(port), "REGISTRY_ADMIN_TOKEN": token}
    env = environment(**settings, PYTHONPATH=str(ROOT))
    command = [sys.executable, "-m", "registry", "serve"]
    with process(command, directory, f"http://127.0.0.1:{port}/readyz", env, name="registry"):
        yield Server(f"http://127.0.0.1:{port}", token)


@contextmanager
def mlflow_server(python: str, directory: Path, backend_store_uri: str) -> Iterator[Server]:
    """Run `mlflow server` with its artifacts in `directory`, as small as it gets."""
    port = free_port()
    where = ["--backend-store-uri", backend_store_uri, "--artifacts-destination", str(directory / "artifacts")]
    command = [python, "-m", "mlflow", "server", *where, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with process(command, directory, f"http://127.0.0.1:{port}/health", environment(), name="mlflow"):
        yield Server(f"http://127.0.0.1:{port}")
