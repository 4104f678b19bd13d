"""Takes the examples of the contract from a real service: `make examples`.

An example whose answer is still the same, but for times and the like, stays as it is in the file, so that a change
shows what has changed.
"""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import urllib3

from registry.faces.openapi.examples import FILE, Exchange
from tools.openapi import contract
from tools.story import STORY, Step

Answer = tuple[int, Mapping[str, str], bytes]
Send = Callable[[str, str, dict[str, str], bytes | None], Answer]
"""Takes a verb, an address, headers and a body to the service."""

SHOWN_HEADERS = ("ETag", "Location", "Audit-Receipt", "Idempotency-Replayed", "Retry-After", "WWW-Authenticate")
CHANGING = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)"), "<time>"),
    (re.compile(r"\b\d{13,16}\b"), "<milliseconds or microseconds>"),
    (re.compile(r"(?<=db_user)(\W+)\w+"), "<user>"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\b(?!c0ffee|9f86d081)[0-9a-f]{32,64}\b"), "<digest>"),
    (re.compile(r"(?<=<digest>,)\d*(?=\\r\\n)"), "<position>"),
    (re.compile(r"page_token=[^&\"]+"), "page_token=<token>"),
    (re.compile(r"(?<=position)(\W+)(\d+|null)"), "<position>"),
    (re.compile(r"(?<=after=)\d+"), "<position>"),
    (re.compile(r"(?<=audit\\n)\d+"), "<size>"),
    (re.compile(r"[A-Za-z0-9+/]{43,}=+"), "<base64>"),
)
SECRET = re.compile(r"mreg_[0-9a-f]+")
MASK = "mreg_" + "0" * 40
PORT = 5977
SECONDS_TO_START = 120


def play(send: Send, token: str) -> list[Exchange]:
    """Play the story and return what was exchanged; `token` is Ada's."""
    operations = {
        operation["operationId"]: (verb, path)
        for path, verbs in contract()["paths"].items()
        for verb, operation in verbs.items()
    }
    kept: dict[str, dict[str, Any]] = {"ada": {"secret": token}}
    played = [(step, exchange(send, step, *operations[step.operation], kept)) for step in STORY]
    return [found for step, found in played if step.is_shown]


def exchange(send: Send, step: Step, verb: str, template: str, kept: dict[str, dict[str, Any]]) -> Exchange:
    """Send the request of one step, keep the answer for later ones, and write both down."""
    path, query, headers = (filled(part, kept) for part in (step.path, step.query, step.headers))
    url = template.format(**{name: quote(str(value), safe="") for name, value in path.items()})
    body = None if step.body is None else json.dumps(step.body).encode()
    credential = {"Authorization": f"Bearer {kept[step.who]['secret']}"} if step.who else {}
    sent = {"Content-Type": "application/json"} if body is not None else {}
    status, said, data = send(
        verb.upper(), url + (f"?{urlencode(query)}" if query else ""), sent | headers | credential, body
    )
    answer = read(data, said.get("Content-Type", ""))
    if step.keep:
        kept[step.keep] = dict(said) | answer
    return {
        "operation": step.operation,
        "title": step.title,
        "path": path,
        "query": query,
        "headers": headers,
        "body": step.body,
        "status": status,
        "answer_headers": {name: said[name] for name in SHOWN_HEADERS if name in said},
        "media_type": said.get("Content-Type", "").partition(";")[0],
        "answer": masked(answer),
    }


def filled(values: dict[str, Any], kept: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Put in what earlier answers said."""

    def fill(value: Any) -> Any:
        if not isinstance(value, str) or not value.startswith("$"):
            return value
        name, _, part = value[1:].partition(".")
        return kept[name][part]

    return {name: fill(value) for name, value in values.items()}


def read(data: bytes, media_type: str) -> Any:
    """An answer as JSON or as text; null if there is none."""
    if not data:
        return None
    return json.loads(data) if "json" in media_type and "jsonl" not in media_type else data.decode()


def masked(answer: Any) -> Any:
    """An answer without the secret that was in it."""
    return json.loads(SECRET.sub(MASK, json.dumps(answer)))


def lasting(found: Exchange) -> str:
    """What of an exchange is the same whenever the story is played."""
    text = json.dumps({name: part for name, part in found.items() if name != "title"}, sort_keys=True)
    for pattern, word in CHANGING:
        text = pattern.sub(word, text)
    return text


def merged(old: list[Exchange], new: list[Exchange]) -> list[Exchange]:
    """The new examples, but the old ones where nothing lasting has changed."""
    known = {lasting(each): each for each in old}
    return [known.get(lasting(each), each) | {"title": each["title"]} for each in new]


def main() -> None:
    """Start a service on a database of its own, play the story and write the examples down."""
    token = "mreg_" + secrets.token_hex(20)
    with tempfile.TemporaryDirectory(prefix="registry-examples-") as directory:
        Path(directory).chmod(0o755)  # PostgreSQL runs as another user when we are root
        settings = {"REGISTRY_DATA_DIR": f"{directory}/data", "REGISTRY_PORT": str(PORT), "REGISTRY_ADMIN_TOKEN": token}
        settings["REGISTRY_SEALER_INTERVAL_MS"] = "10"  # what the story asks for is signed by then
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
        server = subprocess.Popen(
            [sys.executable, "-m", "registry", "serve"],
            env=inherited | settings,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_for(server)
            examples = play(over_http, token)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()
    old = json.loads(FILE.read_text()) if FILE.exists() else []
    FILE.write_text(json.dumps(merged(old, examples), indent=1, ensure_ascii=False) + "\n")


def wait_for(server: subprocess.Popen[bytes]) -> None:
    """Wait until the service answers."""
    deadline = time.monotonic() + SECONDS_TO_START
    while server.poll() is None and time.monotonic() < deadline:
        with suppress(urllib3.exceptions.HTTPError):
            if over_http("GET", "/readyz", {}, None)[0] == HTTPStatus.OK:
                return
        time.sleep(0.1)
    raise SystemExit("The service does not start.")


def over_http(verb: str, url: str, headers: dict[str, str], body: bytes | None) -> Answer:
    """Send a request to the service that was started here."""
    answer = urllib3.request(
        verb, f"http://127.0.0.1:{PORT}{url}", headers=headers, body=body, retries=False, redirect=False, timeout=30
    )
    return answer.status, answer.headers, answer.data


if __name__ == "__main__":
    main()
