"""What has to be asked before questions can be: the token of a late page, ETags, the size of the log."""

import base64
import json
import random
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlencode

from werkzeug.datastructures import Headers

from bench import population
from bench.contenders import Contender
from bench.population import Size
from bench.questions import MLFLOW, OURS, REFERENCES, Known, last_page, page_length

LONGEST_PAGE = 1_000
ETAGS = 200
SECONDS = 120

Answer = tuple[bytes, Mapping[str, str] | Headers]
Ask = Callable[[str], Answer]
"""Asks for a path; returns the body and the headers."""


def known(ask: Ask, size: Size) -> Known:
    """What our service knows."""
    return Known(page=page_token(ask, size), etags=etags(ask, size), positions=positions(ask))


def known_of_mlflow(size: Size) -> Known:
    """What is known of MLflow's server: it counts what stands before a page."""
    offset = {"offset": page_length(size) * (last_page(size) - 1)}
    return Known(page=base64.b64encode(json.dumps(offset).encode()).decode())


def page_token(ask: Ask, size: Size) -> str:
    """Walk to a late page, in longer steps."""
    left, token = page_length(size) * (last_page(size) - 1), ""
    while left:
        step = min(left, LONGEST_PAGE)
        asked = urlencode({"max_results": step, "page_token": token})
        token = json.loads(ask(f"{MLFLOW}/registered-models/search?{asked}")[0])["next_page_token"]
        left -= step
    return token


def etags(ask: Ask, size: Size) -> dict[str, tuple[tuple[str, str], ...]]:
    """Ask what references to some models stand for that no write goes to, and keep the ETags."""
    chance = random.Random(0)
    names = [population.name(chance.randrange(size.models // 2, size.models)) for _ in range(min(ETAGS, size.models))]
    paths = {each: [f"{OURS}/resolve?uri={quote(f'models:/{name}{each}')}" for name in names] for each in REFERENCES}
    return {each: tuple((path, ask(path)[1]["ETag"]) for path in asked) for each, asked in paths.items()}


def positions(ask: Ask) -> int:
    """How many events the last checkpoint covers."""
    note = ask(f"{OURS}/audit/checkpoint")[0].decode()
    return int(note.split("\n")[1])


def asking(contender: Contender) -> Ask:
    """Return a way to ask a service that runs."""

    def ask(path: str) -> Answer:
        request = urllib.request.Request(f"http://127.0.0.1:{contender.port}{path}", headers=contender.headers)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path}: {error.code} {error.read().decode(errors='replace')}") from error

    return ask
