"""Who is measured starts, and answers the question that is measured."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from bench import audit_log, contenders, lookup
from bench.contenders import TOKEN, Contender
from bench.load import registry
from bench.population import Size, name
from bench.processes import memory
from tests.conftest import as_role, database

SIZE = Size("tiny", models=10, versions=100)


@pytest.fixture(scope="module")
def loaded(server_url: str, template_url: str) -> Iterator[str]:
    with database(server_url, str(make_url(template_url).database)) as url:
        registry.load(url, SIZE, say=lambda _: None)
        for role in ("registry_app", "audit_sealer"):
            as_role(url, role)  # gives it the password that the URL has
        yield url


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the one sealer of the database remembers."""
    return tmp_path_factory.mktemp("service")


def test_the_service_and_its_sealer_start_and_are_weighed(loaded: str, directory: Path) -> None:
    contenders.seal(loaded, directory)
    with contenders.registry(loaded, directory) as us:
        known = lookup.known(lookup.asking(us), SIZE)

        assert us.headers["Authorization"] == f"Bearer {TOKEN}"
        assert known.positions >= SIZE.events
        assert us.seconds_to_ready > 0
        assert us.memory > memory([us.processes[1].process.pid]) > 1


def test_sealing_is_measured_batch_by_batch(loaded: str, directory: Path) -> None:
    assert audit_log.seal_more(loaded, directory, 3_000) > 0


def test_the_bare_route_answers_what_it_is_asked(loaded: str, tmp_path: Path) -> None:
    with contenders.bare(loaded, tmp_path) as bare:
        assert resolved(bare, 3) == {"version": 10, "stage": "Production"}


def resolved(bare: Contender, index: int) -> dict[str, object]:
    with urllib.request.urlopen(f"http://127.0.0.1:{bare.port}/{name(index)}", timeout=20) as answer:
        found = json.load(answer)
    return {key: found[key] for key in ("version", "stage")}
