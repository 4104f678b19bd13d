"""Who is measured: our service as it is run, a stock MLflow server, and a bare Flask route."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.processes import Running, environment, free_port, memory, running
from registry import embedded

TOKEN = "a-token-for-measuring-0123456789"
ROOT = Path(__file__).parent.parent
PROGRAM = (sys.executable, "-m", "registry")
QUIET_MLFLOW = {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}


@dataclass(frozen=True)
class Contender:
    """A service that listens: its port, what it wants to see in each request, and its processes."""

    port: int
    processes: tuple[Running, ...]
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def memory(self) -> float:
        """Megabytes (PSS) of all its processes."""
        return memory([one.process.pid for one in self.processes])

    @property
    def seconds_to_ready(self) -> float:
        """From the start of the process that listens until it is ready."""
        return self.processes[0].seconds_to_ready


@contextmanager
def registry(admin_url: str, directory: Path, **settings: str) -> Iterator[Contender]:
    """Our service with its defaults, and its sealer, each as the role that it has in the database."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    environ = environment(
        PYTHONPATH=str(ROOT), REGISTRY_DATA_DIR=str(directory), REGISTRY_SEALER="off", REGISTRY_PORT=str(port),
        REGISTRY_DATABASE_URL=embedded.as_role(admin_url, embedded.SERVICE), REGISTRY_ADMIN_TOKEN=TOKEN, **settings,
    )  # fmt: skip
    ready = f"http://127.0.0.1:{port}/readyz"
    with (
        running([*PROGRAM, "serve"], environ, directory / "service.log", ready) as server,
        sealing(admin_url, directory) as sealer,
    ):
        yield Contender(port, (server, sealer), {"Authorization": f"Bearer {TOKEN}"})


@contextmanager
def sealing(admin_url: str, directory: Path) -> Iterator[Running]:
    """Our sealer, which `registry serve` starts itself where it has one role for everything."""
    with running([*PROGRAM, "sealer"], sealers(admin_url, directory), directory / "sealer.log") as sealer:
        yield sealer


def seal(admin_url: str, directory: Path) -> None:
    """Seal what waits."""
    subprocess.run([*PROGRAM, "sealer", "--once"], env=sealers(admin_url, directory), check=True, capture_output=True)


def sealers(admin_url: str, directory: Path) -> dict[str, str]:
    """The environment of a sealer, which keeps its key and its memory in a directory for each database."""
    directory.mkdir(parents=True, exist_ok=True)
    url = embedded.as_role(admin_url, embedded.SEALER)
    return environment(PYTHONPATH=str(ROOT), REGISTRY_DATABASE_URL=url, REGISTRY_SEALER_DIR=str(directory / "sealer"))


@contextmanager
def mlflow(python: str, url: str, directory: Path) -> Iterator[Contender]:
    """A stock `mlflow server`: its own number of workers, and the job runners that it starts."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    where = ["--backend-store-uri", url, "--artifacts-destination", str(directory / "artifacts")]
    command = [python, "-m", "mlflow", "server", *where, "--host", "127.0.0.1", "--port", str(port)]
    ready = f"http://127.0.0.1:{port}/health"
    with running(command, environment(**QUIET_MLFLOW), directory / "mlflow.log", ready) as server:
        yield Contender(port, (server,))


@contextmanager
def bare(admin_url: str, directory: Path) -> Iterator[Contender]:
    """Flask routes with one select or one change each (bench/bare), under our gunicorn settings."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    settings = {
        "PYTHONPATH": str(ROOT), "REGISTRY_PORT": str(port),
        "REGISTRY_DATABASE_URL": embedded.as_role(admin_url, embedded.SERVICE),
    }  # fmt: skip
    command = [sys.executable, "-m", "gunicorn", "-c", "python:bench.bare.conf", "bench.bare.app:app"]
    ready = f"http://127.0.0.1:{port}/"
    with running(command, environment(**settings), directory / "bare.log", ready) as server:
        yield Contender(port, (server,))


def start_alone(directory: Path) -> float:
    """Start `registry serve` with an embedded PostgreSQL in a directory; return the seconds until it was ready."""
    port = free_port()
    environ = environment(PYTHONPATH=str(ROOT), REGISTRY_DATA_DIR=str(directory), REGISTRY_PORT=str(port))
    log = directory.parent / "own.log"
    with running([*PROGRAM, "serve"], environ, log, f"http://127.0.0.1:{port}/readyz") as server:
        return server.seconds_to_ready
