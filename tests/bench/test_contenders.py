"""Who is measured starts, and answers the question that is measured."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy import make_url

from bench import audit_log, contenders, lookup
from bench.contenders import TOKEN, Contender
from bench.load import registry
from bench.population import Size, name
from bench.processes import memory
from bench.servers import plain
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


def test_the_bare_route_changes_what_it_is_told_to_and_the_log_has_it(loaded: str, tmp_path: Path) -> None:
    before = events(loaded)
    with contenders.bare(loaded, tmp_path) as bare:
        made = written(bare, "create", source="s3://models/new")
        moved = written(bare, "transition-stage", version="2", stage="Production", archive_existing_versions=True)
        tagged = written(bare, "set-tag", version="2", key="measured", value="yes")
        found = resolved(bare, 4)

    assert (made, tagged, found) == ({"version": 11}, {"version": 2}, {"version": 2, "stage": "Production"})
    assert sorted(moved["moved"]) == [2, 10]
    assert events(loaded) == before + 4


def events(url: str) -> int:
    with psycopg2.connect(plain(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit.event")
        [(count,)] = cursor.fetchall()
    return int(count)


def written(bare: Contender, what: str, **asked: object) -> dict[str, Any]:
    body = json.dumps({"name": name(4), **asked}).encode()
    at = f"http://127.0.0.1:{bare.port}/api/2.0/mlflow/model-versions/{what}"
    request = urllib.request.Request(at, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return dict(json.load(answer))


def resolved(bare: Contender, index: int) -> dict[str, object]:
    with urllib.request.urlopen(f"http://127.0.0.1:{bare.port}/{name(index)}", timeout=20) as answer:
        found = json.load(answer)
    return {key: found[key] for key in ("version", "stage")}
