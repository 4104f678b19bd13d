"""`make demo`: starts the service, does its main job through its own REST API, call by call, and leaves it running.

Every call shown is a real one. A second run finds the data of the first and goes on from there.
"""

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from registry import config
from registry.cli.serve import refuse_taken_port
from registry.config import ConfigError, Settings
from registry.server import url

MODEL = "ChurnPredictionModel"
MLFLOW = "/api/2.0/mlflow"
V1 = "/api/v1"
SECONDS_TO_START = 180

Json = dict[str, Any]


class Screen:
    """Writes to the terminal, in colours only if it is one."""

    def __init__(self) -> None:
        self.width = min(max(shutil.get_terminal_size((96, 24)).columns, 60), 100)
        self._colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"

    def paint(self, text: str, code: str) -> str:
        """Return the text in a colour."""
        return f"\x1b[{code}m{text}\x1b[0m" if self._colours else text

    def say(self, text: str = "") -> None:
        """Write a paragraph."""
        for line in text.split("\n"):
            indent = line[: len(line) - len(line.lstrip())]
            print("\n".join(textwrap.wrap(line, self.width, subsequent_indent=indent)) or "", flush=True)

    def title(self, text: str) -> None:
        """Begin a step."""
        print(f"\n{self.paint(f'── {text} ', '1')}{self.paint('─' * (self.width - len(text) - 4), '2')}", flush=True)

    def call(self, verb: str, path: str, body: Json | None) -> None:
        """Show a request."""
        print(f"{self.paint(verb, '1;36')} {self.paint(path, '36')}")
        if body is not None:
            print(self._json(body, "  "))

    def answer(self, status: int, body: Json, keep: tuple[str, ...]) -> None:
        """Show what came back; of a long answer only the fields to `keep`."""
        good = status < HTTPStatus.BAD_REQUEST
        inner = next(iter(body.values())) if len(body) == 1 else body  # MLflow wraps what it answers
        kept = {name: inner[name] for name in keep if name in inner} if good and keep else body
        left = len(inner) - len(kept) if kept is not body else 0
        more = f"  (and {left} more fields)" if left else ""
        print(f"{self.paint(str(int(status)), '1;32' if good else '1;31')}{self.paint(more, '2')}")
        if kept:
            print(self.paint(self._json(kept, "  "), "2"), flush=True)

    def _json(self, value: Json, indent: str) -> str:
        """Lay JSON out: on one line if it fits, a line for each field otherwise."""
        return "\n".join(indent + line for line in self._lines(value, self.width - len(indent)))

    def _lines(self, value: Any, width: int) -> list[str]:
        flat = json.dumps(value, ensure_ascii=False)
        if len(flat) <= width or not isinstance(value, dict | list) or not value:
            return [flat if len(flat) <= width else flat[: width - 3] + '..."']
        keys = [json.dumps(key) + ": " for key in value] if isinstance(value, dict) else [""] * len(value)
        items = list(value.values()) if isinstance(value, dict) else value
        lines: list[str] = []
        for key, item in zip(keys, items, strict=True):
            first, *rest = self._lines(item, width - len(key) - 3)
            lines += [f"  {key}{first}", *(f"  {line}" for line in rest)]
            lines[-1] += ","
        lines[-1] = lines[-1].removesuffix(",")
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        return [opening, *lines, closing]


@dataclass
class Api:
    """Calls the service, and shows what it does."""

    base: str
    token: str | None
    screen: Screen

    def show(
        self, verb: str, path: str, body: Json | None = None, keep: tuple[str, ...] = (), reason: str | None = None
    ) -> Json:
        """Make a call before the eyes of the reader; one that fails ends the tour."""
        self.screen.call(verb, path, body)
        status, answer = self.send(verb, path, body, reason)
        self.screen.answer(status, answer, keep)
        if status >= HTTPStatus.BAD_REQUEST:
            fail(f"The tour expected another answer than {status} from {path}.")
        return answer

    def send(self, verb: str, path: str, body: Json | None = None, reason: str | None = None) -> tuple[int, Json]:
        """Make a call; return its status and JSON."""
        headers = {"Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= {"X-Registry-Reason": urllib.parse.quote(reason)} if reason else {}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, headers, method=verb)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)


def main() -> None:
    """Run the tour, then wait for Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    try:
        settings = config.from_env(os.environ)
        refuse_taken_port(settings)  # before the tour asks whoever listens there, and takes it for the service
    except ConfigError as error:
        fail(str(error))
    screen = Screen()
    screen.say("Starting the model registry; the first start makes its database.")
    token = the_token(settings)
    with service(settings, token, screen) as process:
        tour(Api(url(settings), token, screen), screen)
        farewell(settings, token, screen)
        process.wait()
    fail("The service has stopped by itself; its log says why.")


def leave(_number: int, _frame: FrameType | None) -> None:
    """End as an exception does, so that the service is stopped on the way out."""
    raise KeyboardInterrupt


def fail(message: str) -> NoReturn:
    """End with an error line."""
    sys.exit(f"Error: {message}")


def the_token(settings: Settings) -> str | None:
    """Return the administrator's token: the one from the settings, or one kept in a file for the next run."""
    if settings.admin_token or not settings.auth:
        return settings.admin_token
    file = settings.data_dir / "demo-token"
    with contextlib.suppress(FileNotFoundError):
        return file.read_text().strip()
    with writing(file, os.O_EXCL) as descriptor:
        os.write(descriptor, (token := f"mreg_{secrets.token_hex(20)}").encode())
    return token


@contextlib.contextmanager
def writing(file: Path, how: int) -> Iterator[int]:
    """Open a file of the data directory, which nobody else may read."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | how, 0o600)
    except OSError as error:
        fail(
            f"{file} cannot be written ({error.strerror}): set REGISTRY_DATA_DIR to a directory that you may write to."
        )
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def service(settings: Settings, token: str | None, screen: Screen) -> Iterator[subprocess.Popen[bytes]]:
    """Run `registry serve`, its log in a file, and stop it at the end."""
    environ = {name: value for name, value in os.environ.items() if name != "REGISTRY_ADMIN_TOKEN_FILE"}
    if token:
        environ["REGISTRY_ADMIN_TOKEN"] = token
    log = settings.data_dir / "service.log"
    with writing(log, os.O_APPEND) as output:
        seen = os.fstat(output).st_size
        command = [sys.executable, "-m", "registry", "serve"]
        process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        await_start(process, settings, log, seen, screen)
        yield process
    except KeyboardInterrupt:
        screen.say("\nStopping.")
        sys.exit(0)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is stopping already
        process.terminate()
        process.wait()


def await_start(process: subprocess.Popen[bytes], settings: Settings, log: Path, seen: int, screen: Screen) -> None:
    """Repeat what the service says to people while it starts, until it answers."""
    deadline = time.monotonic() + SECONDS_TO_START
    with log.open("rb") as written:
        written.seek(seen)
        while time.monotonic() < deadline:
            ended = process.poll() is not None
            for line in written.read().decode(errors="replace").splitlines():
                if line.startswith(("Starting", "  upgrading", "Error")):
                    screen.say(line)
            if ended:
                sys.exit(process.returncode or 1)
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url(settings)}/livez", timeout=5):
                return
            time.sleep(0.1)
    fail(f"The service does not answer; see {log}.")


def tour(api: Api, screen: Screen) -> None:
    """Do the main job: register, promote, resolve, look back."""
    known = register(api, screen)
    first = new_version(api, screen, "Logistic regression on the features of the first quarter.", "0.871")
    screen.title(f"Version {first}: from None through Staging to Production, the way MLflow scripts do it")
    for stage in ("Staging", "Production"):
        body = {
            "name": MODEL,
            "version": str(first),
            "stage": stage,
            "archive_existing_versions": stage == "Production",
        }
        path = f"{MLFLOW}/model-versions/transition-stage"
        api.show("POST", path, body, ("version", "current_stage"), reason=f"Goes to {stage} as planned")
    second = new_version(api, screen, "Gradient boosting; better on customers of less than a year.", "0.893")
    promote(api, screen, first, second)
    look_back(api, screen, first)
    trail(api, screen, known)


def register(api: Api, screen: Screen) -> int:
    """Register the model, or find it; return how many audit events it had before."""
    screen.title(f"A model called {MODEL}")
    status, answer = api.send("GET", f"{MLFLOW}/registered-models/get?name={MODEL}")
    if status == HTTPStatus.OK:
        newest = api.send("GET", f"{V1}/models/{MODEL}/audit?order=newest&limit=1")[1]["items"]
        latest = answer["registered_model"].get("latest_versions", [])
        highest = max((int(version["version"]) for version in latest), default=0)
        screen.say(
            f"It is here already, from an earlier run, with versions up to {highest}; the tour goes on with newer ones."
        )
        return int(newest[0]["seq"])
    described = {"name": MODEL, "description": "Which customers will leave within 90 days?"}
    api.show("POST", f"{MLFLOW}/registered-models/create", described)
    api.show("POST", f"{MLFLOW}/registered-models/set-tag", {"name": MODEL, "key": "team", "value": "retention"})
    comment = {"text": "Owner on call: the retention team, weekdays 8 to 18."}
    api.show("POST", f"{V1}/models/{MODEL}/comments", comment, ("id", "author_name", "text"))
    return 0


def new_version(api: Api, screen: Screen, description: str, score: str) -> int:
    """Register a version as an MLflow client does, tag it and comment on it; return its number."""
    run = secrets.token_hex(16)
    screen.title("A new version, from the run that trained it")
    body = {"name": MODEL, "source": f"runs:/{run}/model", "run_id": run, "description": description}
    made = api.show("POST", f"{MLFLOW}/model-versions/create", body, ("name", "version", "current_stage", "status"))
    number = int(made["model_version"]["version"])
    tag = {"name": MODEL, "version": str(number), "key": "auc", "value": score}
    api.show("POST", f"{MLFLOW}/model-versions/set-tag", tag)
    comment = {"text": f"Checked on the hold-out set: AUC {score}."}
    api.show("POST", f"{V1}/models/{MODEL}/versions/{number}/comments", comment, ("id", "author_name", "text"))
    return number


def promote(api: Api, screen: Screen, first: int, second: int) -> None:
    """Promote the second version over the first, with a reason and only if nothing has changed meanwhile."""
    screen.title(f"Version {second} takes over from version {first}, in one transaction, with a reason")
    screen.say(f"It is refused if version {first} were not the one in Production any more (expected_current).")
    body = {
        "to": "Production",
        "archive_existing": True,
        "expected_current": first,
        "reason": "Two weeks in shadow mode, 2.2 points better",
    }
    api.show("POST", f"{V1}/models/{MODEL}/versions/{second}/transitions", body, ("name", "version", "stage"))


def look_back(api: Api, screen: Screen, first: int) -> None:
    """Ask which version is in Production now, and which one was before."""
    uri = urllib.parse.quote(f"models:/{MODEL}/Production", safe="/:")
    screen.title("Which version is in Production now?")
    now = api.show("GET", f"{V1}/resolve?uri={uri}")
    before = datetime.fromisoformat(now["since"]) - timedelta(milliseconds=1)
    screen.title(f"And which was it just before that promotion, at {before:%H:%M:%S.%f} UTC?")
    then = api.show("GET", f"{V1}/resolve?uri={uri}&at={before:%Y-%m-%dT%H:%M:%S.%fZ}")
    if then["version"] != first:
        fail(f"The registry should have said version {first}.")
    screen.say(f"Version {now['version']} now, version {then['version']} then.")


def trail(api: Api, screen: Screen, known: int) -> None:
    """Show the audit log of this tour."""
    screen.title("Who did what, when, and why: the audit log, written by the database itself")
    path: str | None = f"{V1}/models/{MODEL}/audit?order=oldest&limit=100"
    screen.call("GET", str(path), None)
    if known:
        screen.say(f"(events 1 to {known} are of earlier runs)")
    while path:
        _, answer = api.send("GET", path)
        for event in answer["items"]:
            if event["seq"] > known:
                show_event(screen, event)
        path = answer["next"]


def show_event(screen: Screen, event: Json) -> None:
    """Show one event in two or three lines."""
    when = f"{datetime.fromisoformat(event['at']):%H:%M:%S.%f}"[:-3]
    which = f"version {event['version']}" if event["version"] else "the model"
    head = f"{event['seq']:>4}  {when}  {event['actor']['name']}"
    print(f"{head}  {screen.paint(event['action'], '1')}  {which}")
    for line in changed(event):
        for part in textwrap.wrap(line, screen.width - 6, subsequent_indent="  "):
            print(screen.paint(f"      {part}", "2"))


def changed(event: Json) -> Iterator[str]:
    """Yield what an event changed, and why, in words; what only repeats the line above is left out."""
    plain = {"id", "model_id", "number", "name", "created_at", "created_by", "author", "alias", "updated_at"}
    for field, (before, after) in event["changes"].items():
        if after and after != before and not (field in plain and before is None):
            yield f"{field}: {after}" if before is None else f"{field}: {before} → {after}"
    if event["reason"]:
        yield f"because: {event['reason']}"


def farewell(settings: Settings, token: str | None, screen: Screen) -> None:
    """Say how to go on."""
    screen.title("The service goes on running: Ctrl-C stops it")
    screen.say("To use it from MLflow, leave your tracking server as it is and add:\n")
    lines = [f"MLFLOW_REGISTRY_URI={url(settings)}"]
    lines += [f"MLFLOW_TRACKING_TOKEN={token}"] if token else []
    for line in lines:
        print(f"    export {line}")
    print(
        f"    {screen.paint('# MLFLOW_TRACKING_URI as before: runs and artifacts stay on your tracking server', '2')}"
    )
    where = settings.data_dir.absolute() if settings.database_url is None else "the database of REGISTRY_DATABASE_URL"
    screen.say(f"\nThe next `make demo` or `make serve` finds this data again, in {where}.")


if __name__ == "__main__":
    main()
