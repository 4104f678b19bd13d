"""The machine that figures were taken on, in general terms; and how busy others kept it meanwhile."""

import os
import platform
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from bench.servers import connect

GIGABYTE = 1024**3
SHOWN = ("gunicorn", "flask", "sqlalchemy", "psycopg2-binary")


@dataclass
class Noise:
    """How much of the processors was in use, of all there are, while nothing was asked of anybody."""

    shares: list[float]

    def look(self, seconds: float = 1.0) -> None:
        """Do nothing for a moment, and see what is used all the same."""
        self.shares.append(psutil.cpu_percent(seconds) / 100)

    @property
    def usual(self) -> float:
        """The median."""
        return statistics.median(self.shares or [0.0])

    def __str__(self) -> str:
        return f"{self.usual:.0%} (at most {max(self.shares, default=0.0):.0%})"


def description(server_url: str, mlflow: str | None) -> dict[str, str]:
    """Processors, memory, and the versions of all that takes part: no names and no places."""
    with closing(connect(server_url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version'), current_setting('shared_buffers'), current_setting('fsync')"
        )
        postgres, buffers, fsync = cursor.fetchone()
    return {
        "processors": f"{os.cpu_count()} ({processor()})",
        "memory": f"{psutil.virtual_memory().total / GIGABYTE:.0f} GB",
        "PostgreSQL": f"{postgres}, shared_buffers {buffers}, fsync {fsync}",
        "Python": platform.python_version(),
        ", ".join(SHOWN): ", ".join(map(version, SHOWN)),
        "MLflow": said(mlflow, "-c", "import mlflow; print(mlflow.__version__)") if mlflow else "left out",
        "wrk": said("wrk", "-v").partition("[")[0].strip(),
        "the registry": said("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"),
    }


def said(*command: str) -> str:
    """The first line that a program says; a question mark if there is none."""
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "?"
    return next(iter(found.stdout.splitlines()), "?")


def processor() -> str:
    """What the processors call themselves."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


@contextmanager
def pinned(processor_number: int) -> Iterator[None]:
    """Let this process, and what it starts meanwhile, use one processor only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {processor_number})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
