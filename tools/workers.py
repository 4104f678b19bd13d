"""`make workers`: measures which worker class and how many workers and threads serve best on this machine.

Each way of running gunicorn answers the same two questions under the same load (wrk, 32 connections), in rounds that
take turns, on a database of its own: resolve a stage over the MLflow face, and resolve it over /api/v1. Printed are
medians as ratios to what `registry serve` does by default, so that the speed of the machine does not matter.
Needs Debian's package wrk.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from registry import embedded, schema

TOKEN = "a-token-for-measuring-0123456789"
PORT = 5075
ROUNDS, SECONDS, CONNECTIONS = 3, 2, 32
WAYS = {
    "gthread, 2 workers, 4 threads (default)": ("gthread", 2, 4),
    "gthread, 2 workers, 1 thread": ("gthread", 2, 1),
    "gthread, 2 workers, 16 threads": ("gthread", 2, 16),
    "gthread, 1 worker, 8 threads": ("gthread", 1, 8),
    "gthread, 4 workers, 4 threads": ("gthread", 4, 4),
    "sync, 2 workers": ("sync", 2, 1),
    "sync, 5 workers": ("sync", 5, 1),
}
MLFLOW = """wrk.method = "POST"; wrk.body = '{"name": "M", "stages": ["Production"]}'
wrk.path = "/api/2.0/mlflow/registered-models/get-latest-versions" wrk.headers["Content-Type"] = "application/json"
"""
QUESTIONS = {"MLflow face": MLFLOW, "/api/v1/resolve": 'wrk.path = "/api/v1/resolve?uri=models:/M/Production"\n'}


@contextmanager
def serving(url: str, kind: str, workers: int, threads: int) -> Iterator[None]:
    """The service, run by gunicorn in one way."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
    environ |= {"REGISTRY_DATABASE_URL": url, "REGISTRY_PORT": str(PORT), "REGISTRY_WORKERS": str(workers)}
    environ |= {"REGISTRY_THREADS": str(threads)}
    command = [sys.executable, "-m", "gunicorn", "-c", "python:registry.gunicorn_conf", "-k", kind]
    running = subprocess.Popen(
        [*command, "registry.app:create_app()"], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(200):
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{PORT}/livez", timeout=1):
                break
            time.sleep(0.05)
        yield
    finally:
        running.terminate()
        running.wait()


def rate(script: Path) -> float:
    """Requests per second under load."""
    where = [f"http://127.0.0.1:{PORT}/", "-c", str(CONNECTIONS), "-t", "1", "-d", f"{SECONDS}s", "-s", str(script)]
    said = subprocess.run(["wrk", *where], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said:
        sys.exit(f"Error: the service refuses what is measured:\n{said}")
    found = re.search(r"Requests/sec:\s*([0-9.]+)", said)
    return float(found.group(1)) if found else 0.0


def prepare(url: str) -> None:
    """Put a model into Production, and a token into the database."""
    settings = {"REGISTRY_DATABASE_URL": url, "REGISTRY_ADMIN_TOKEN": TOKEN, "REGISTRY_PORT": str(PORT)}
    running = subprocess.Popen(
        [sys.executable, "-m", "registry", "serve"],
        env=os.environ | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    command = [sys.executable, "-m", "registry", "register", "M", "s3://bucket/m", "--create", "--stage", "Production"]
    speaking = os.environ | {"REGISTRY_URL": f"http://127.0.0.1:{PORT}", "REGISTRY_TOKEN": TOKEN}
    try:
        subprocess.run(command, env=speaking, check=True, capture_output=True)
    finally:
        running.terminate()
        running.wait()


def measure(url: str, directory: Path) -> dict[tuple[str, str], list[float]]:
    """The rates of every way and question, round by round."""
    scripts: dict[str, Path] = {}
    for question, text in QUESTIONS.items():
        scripts[question] = directory / f"{len(scripts)}.lua"
        scripts[question].write_text(f'{text}wrk.headers["Authorization"] = "Bearer {TOKEN}"\n')
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(ROUNDS):
        for way, how in WAYS.items():
            with serving(url, *how):
                for question, script in scripts.items():
                    found.setdefault((way, question), []).append(rate(script))
    return found


def main() -> None:
    """Measure, and print the table."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)  # PostgreSQL runs as another user where we are root
        with embedded.start(Path(made) / "data") as database:
            schema.upgrade(database.url)
            prepare(database.url)
            found = measure(database.url, Path(made))
    first = next(iter(WAYS))
    print(f"| way | {' | '.join(QUESTIONS)} |\n|---|{'---|' * len(QUESTIONS)}")
    for way in WAYS:
        medians = [statistics.median(found[way, question]) for question in QUESTIONS]
        bases = [statistics.median(found[first, question]) for question in QUESTIONS]
        cells = [f"{value / base:.2f}" for value, base in zip(medians, bases, strict=True)]
        print(f"| {way} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
