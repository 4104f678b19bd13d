"""`make workers`: measures which worker class and how many workers and threads serve best on this machine.

Each way of running gunicorn, our own worker (`registry/taking.py`) first, answers the same two questions under the same
load (wrk, 32 connections), in rounds that take turns, on a database of its own: resolve a stage over the MLflow face,
and resolve it over /api/v1. A service that has just started is warmed up first. Printed are medians as ratios to what
`registry serve` does by default, so that the speed of the machine does not matter, each with its lowest and highest
round: what lies within that is no difference. The last column says whether anybody is answered while a few slow callers
have sent half a request.
Run it on a machine that does nothing else. Needs Debian's package wrk.
"""

import os
import re
import socket
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
ROUNDS, SECONDS, WARM_UP_SECONDS, CONNECTIONS = 5, 4, 2, 32
SECONDS_TO_START = 60
SLOW_CALLERS = 3
"""Fewer than one worker of the default has threads: so many may be slow before somebody waits."""
OURS = ""
WAYS = {
    "our own, 2 workers, 4 threads (default)": (OURS, 2, 4),
    "our own, 2 workers, 1 thread": (OURS, 2, 1),
    "our own, 2 workers, 16 threads": (OURS, 2, 16),
    "our own, 1 worker, 8 threads": (OURS, 1, 8),
    "our own, 4 workers, 4 threads": (OURS, 4, 4),
    "gthread, 2 workers, 4 threads": ("gthread", 2, 4),
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
    command = [sys.executable, "-m", "gunicorn", "-c", "python:registry.gunicorn_conf", *(["-k", kind] if kind else [])]
    running = subprocess.Popen(
        [*command, "registry.app:create_app()"], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until_ready()
        yield
    finally:
        running.terminate()
        running.wait()


def wait_until_ready() -> None:
    """Wait for the service, however busy the machine is.

    :raises TimeoutError: it does not become ready.
    """
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{PORT}/readyz", timeout=5):
            return
        time.sleep(0.05)
    raise TimeoutError("The service does not become ready.")


def rate(script: Path, seconds: int) -> float:
    """Requests per second under load."""
    where = [f"http://127.0.0.1:{PORT}/", "-c", str(CONNECTIONS), "-t", "1", "-d", f"{seconds}s", "-s", str(script)]
    said = subprocess.run(["wrk", *where], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said:
        sys.exit(f"Error: the service refuses what is measured:\n{said}")
    found = re.search(r"Requests/sec:\s*([0-9.]+)", said)
    return float(found.group(1)) if found else 0.0


def answers_beside_slow_callers() -> bool:
    """Whether somebody is answered while a few others have sent half a request each, and then nothing."""
    slow = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(SLOW_CALLERS)]
    try:
        for caller in slow:
            caller.sendall(b"GET /livez HTTP/1.1\r\n")
        time.sleep(0.5)
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{PORT}/livez", timeout=3):
            return True
        return False
    finally:
        for caller in slow:
            caller.close()


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
        wait_until_ready()
        subprocess.run(command, env=speaking, check=True, capture_output=True)
    finally:
        running.terminate()
        running.wait()


def measure(url: str, directory: Path) -> tuple[dict[tuple[str, str], list[float]], dict[str, bool]]:
    """The rates of every way and question, round by round; and which ways answer beside slow callers."""
    scripts: dict[str, Path] = {}
    for question, text in QUESTIONS.items():
        scripts[question] = directory / f"{len(scripts)}.lua"
        scripts[question].write_text(f'{text}wrk.headers["Authorization"] = "Bearer {TOKEN}"\n')
    found: dict[tuple[str, str], list[float]] = {}
    patient: dict[str, bool] = {}
    for _ in range(ROUNDS):
        for way, how in WAYS.items():
            with serving(url, *how):
                for question, script in scripts.items():
                    rate(script, WARM_UP_SECONDS)
                    found.setdefault((way, question), []).append(rate(script, SECONDS))
                patient[way] = answers_beside_slow_callers()
    return found, patient


def main() -> None:
    """Measure, and print the table."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)  # PostgreSQL runs as another user where we are root
        with embedded.start(Path(made) / "data") as database:
            schema.upgrade(database.admin_url)
            prepare(database.url)
            found, patient = measure(database.url, Path(made))
    print(f"| way | {' | '.join(QUESTIONS)} | answers beside slow callers |\n|---|{'---|' * len(QUESTIONS)}---|")
    for way in WAYS:
        cells = [cell(found, way, question) for question in QUESTIONS]
        print(f"| {way} | {' | '.join(cells)} | {'yes' if patient[way] else 'no'} |")


def cell(found: dict[tuple[str, str], list[float]], way: str, question: str) -> str:
    """The median of one way as a ratio to that of the first one, with the lowest and the highest round."""
    base = statistics.median(found[next(iter(WAYS)), question])
    rates = found[way, question]
    return f"{statistics.median(rates) / base:.2f} ({min(rates) / base:.2f}-{max(rates) / base:.2f})"


if __name__ == "__main__":
    main()
