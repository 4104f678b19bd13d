"""Requests of a case, how they are written in the tables, and how they reach a server."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from tests.mlflow.servers import Server

PREFIX = "/api/2.0/mlflow/"
JSON = {"Content-Type": "application/json"}
SECONDS = 60
PAUSE_SECONDS = 0.003
"""Before each write, so that no two writes fall into one millisecond: timestamps have no more to tell them apart."""
MOST_PAGES = 50
LONGEST_LABEL = 100


@dataclass(frozen=True)
class Step:
    """One request. `to_the_end` follows the page tokens; the pages are compared as one answer."""

    label: str
    verb: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    to_the_end: bool = False

    def __str__(self) -> str:
        """The request on one line, for failures."""
        body = self.body.decode(errors="replace")
        return f"{self.verb} {self.path} {body if len(body) < 400 else body[:400] + ' ...'}".rstrip()


@dataclass(frozen=True)
class Scenario:
    """Requests in order, from an empty registry on. Names of models must be its own: a registry may remember them."""

    name: str
    steps: tuple[Step, ...]

    def cases(self) -> list[str]:
        """What each step is called: in failures, and by the list of differences."""
        return [f"{self.name}: {step.label}" for step in self.steps]


@dataclass(frozen=True)
class Answer:
    """What a server said to one step, and when (milliseconds since the Unix epoch, rounded outwards)."""

    status: int
    content_type: str
    body: Any
    began: int
    ended: int
    writes: bool


def scenario(name: str, *steps: Step | Iterable[Step]) -> Scenario:
    """Make a scenario of steps and of lists of steps; a label that comes again gets a number."""
    flat: list[Step] = []
    for part in steps:
        flat.extend([part] if isinstance(part, Step) else part)
    seen: dict[str, int] = {}
    numbered = []
    for step in flat:
        seen[step.label] = times = seen.get(step.label, 0) + 1
        numbered.append(step if times == 1 else replace(step, label=f"{step.label} ({times})"))
    return Scenario(name, tuple(numbered))


def get(path: str, label: str = "", /, **query: str | Sequence[str]) -> Step:
    """GET with a query; a list repeats its key."""
    text = urlencode(query, doseq=True, quote_via=quote)
    where = located(path) + ("?" + text if text else "")
    return Step(label or brief("GET", path, query), "GET", where)


def all_pages(path: str, label: str = "", /, **query: str | Sequence[str]) -> Step:
    """GET one page after the other, until there is no token."""
    return replace(get(path, label or brief("pages of", path, query), **query), to_the_end=True)


def post(path: str, label: str = "", /, **fields: Any) -> Step:
    """POST an object; None is sent as null."""
    return with_body("POST", path, label, fields)


def patch(path: str, label: str = "", /, **fields: Any) -> Step:
    """PATCH with an object."""
    return with_body("PATCH", path, label, fields)


def delete(path: str, label: str = "", /, **fields: Any) -> Step:
    """DELETE with an object in the body."""
    return with_body("DELETE", path, label, fields)


def with_body(verb: str, path: str, label: str, body: Any) -> Step:
    """Send a body of any kind as JSON."""
    return Step(label or brief(verb, path, body), verb, located(path), json.dumps(body).encode(), JSON)


def raw(verb: str, path: str, label: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Step:
    """Send exactly these bytes; without `headers` they are said to be JSON."""
    return Step(label, verb, located(path), body, JSON if headers is None else headers)


def located(path: str) -> str:
    """Paths below the prefix are written without it."""
    return path if path.startswith("/") else PREFIX + path


def brief(verb: str, path: str, given: Any) -> str:
    """A label for a request that needs no better one."""
    shown = json.dumps(given, ensure_ascii=False)
    return f"{verb} {path} {shown}"[:LONGEST_LABEL]


def run(server: Server, steps: Sequence[Step]) -> list[Answer]:
    """Send the steps in order."""
    return [follow(server, step) if step.to_the_end else send(server, step) for step in steps]


def send(server: Server, step: Step) -> Answer:
    """Send one request, on a connection of its own: mlflow's server holds back what it answers on an old one."""
    writes = step.verb != "GET"
    if writes:
        time.sleep(PAUSE_SECONDS)
    parts = urlsplit(server.url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=SECONDS)
    began = time.time_ns() // 1_000_000
    try:
        connection.request(step.verb, step.path, step.body or None, {**step.headers, **credentials(server)})
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    ended = time.time_ns() // 1_000_000 + 1
    content_type = response.headers.get_content_type()
    return Answer(response.status, content_type, parsed(content_type, content), began, ended, writes)


def credentials(server: Server) -> dict[str, str]:
    """The header with the server's token."""
    return {"Authorization": f"Bearer {server.token}"} if server.token else {}


def parsed(content_type: str, content: bytes) -> Any:
    """A JSON body as what it says, an HTML page as such, other text as text."""
    if content_type == "application/json":
        return json.loads(content)
    return "an HTML page" if content_type == "text/html" else content.decode(errors="replace")


def follow(server: Server, step: Step) -> Answer:
    """Ask for page after page; the answer's body lists them."""
    answer = send(server, step)
    pages = [answer.body]
    while answer.status == 200 and "next_page_token" in answer.body and len(pages) < MOST_PAGES:
        joint = "&" if "?" in step.path else "?"
        token = quote(answer.body["next_page_token"])
        answer = send(server, replace(step, path=f"{step.path}{joint}page_token={token}"))
        pages.append(answer.body)
    return replace(answer, body={"pages": pages})


def emptied(server: Server) -> None:
    """Delete all registered models, prompts too, so that the next scenario finds nothing of this one."""
    for prompts in ("false", "true"):
        wanted = f"tags.`mlflow.prompt.is_prompt` = '{prompts}'"
        found = follow(server, all_pages("registered-models/search", filter=wanted, max_results="1000"))
        for page in found.body["pages"]:
            for model in page.get("registered_models", []):
                run(server, [delete("registered-models/delete", name=model["name"])])
