"""A registry that was moved by a bundle gives the same answers to every question, byte for byte, and goes on."""

import itertools
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from registry import posture
from registry.config import Settings
from registry.ownership import APP
from registry.posture import Level
from registry.sealer.seals import Refusal
from tests.bundle.conftest import Lived, empty, exported, imported
from tests.conftest import application, as_role, client_with
from tests.faces.every_route import ROWS, Row
from tests.factories import make_version
from tests.sealer.logs import CONTEXT
from tests.verification.registries import Registry

PASSING = {"Date", "X-Request-ID", "Content-Length"}
"""Headers that no two answers share; the length is that of the body, which is compared."""


@pytest.fixture(scope="module")
def clients(lived: Lived, moved: Registry) -> Iterator[tuple[FlaskClient, FlaskClient]]:
    """Whoever asks the old registry, and the new one, with one and the same token."""
    with ExitStack() as stack:
        apps = [
            stack.enter_context(application(Settings(database_url=as_role(one.url, APP)))) for one in (lived, moved)
        ]
        old, new = (client_with(app, lived.issued.secret) for app in apps)
        yield old, new


def said(answer: TestResponse) -> tuple[int, dict[str, str], bytes]:
    headers = {name: value for name, value in answer.headers.items() if name not in PASSING}
    headers["Content-Disposition"] = re.sub(r"\d{8}T\d{6}Z", "", headers.get("Content-Disposition", ""))
    body = answer.get_data()
    if answer.status_code >= 400:
        body = re.sub(rb'"request_id": "[^"]*"', b"", body)
    return answer.status_code, headers, body


def ask(clients: tuple[FlaskClient, FlaskClient], path: str) -> tuple[TestResponse, TestResponse]:
    old, new = clients
    return old.get(path), new.get(path)


def assert_same(clients: tuple[FlaskClient, FlaskClient], path: str, status: int | None = 200) -> None:
    old, new = ask(clients, path)
    assert said(old) == said(new), path
    assert status is None or old.status_code == status, (path, old.get_data())


EXPORTS = ("format=jsonl", "format=csv")  # they are on record, at the moment when they are asked for
WHOLE_LOG = ("/audit", "/snapshot")
READS = [
    row
    for row in ROWS
    if not row.changes and not row.path.endswith(WHOLE_LOG) and not any(kind in row.path for kind in EXPORTS)
]


@pytest.mark.parametrize("row", READS, ids=lambda row: f"{row.endpoint} {row.verb} {row.path[-25:]}")
def test_every_route_gives_the_same_answer(clients: tuple[FlaskClient, FlaskClient], lived: Lived, row: Row) -> None:
    old, new = (row.send(client, lived.world) for client in clients)
    assert old.status_code == 200
    assert said(old) == said(new)


def pages(client: FlaskClient, path: str) -> list[Any]:
    """All items of a list, by its pages."""
    found: list[Any] = []
    page: str | None = f"{path}{'&' if '?' in path else '?'}limit=100"
    while page is not None:
        answer = client.get(page).json
        assert answer is not None
        found += next(value for value in answer.values() if isinstance(value, list))
        page = answer["next"]
    return found


def test_the_whole_log_has_one_more_event_at_its_end(clients: tuple[FlaskClient, FlaskClient]) -> None:
    old, new = (pages(client, "/api/v1/audit") for client in clients)
    assert len(old) > 400
    assert new[1:] == old
    assert (new[0]["action"], new[0]["actor"]["id"]) == ("system.import", "operator")
    assert new[0]["changes"]["events"] == [None, len(old)]
    assert_same(clients, f"/api/v1/audit?until={quote(new[0]['at'])}&limit=1000")


LISTS = (
    "/api/v1/models",
    "/api/v1/versions",
    "/api/v1/trash/models",
    "/api/v1/trash/versions",
    "/api/v1/tokens",
    "/api/v1/grants",
    "/api/v1/models?filter=tag.team IS NOT NULL OR name LIKE '%25a%25'&order_by=created_at desc&include_total=true",
    "/api/v1/versions?filter=stage = 'Production'&order_by=updated_at",
    "/api/v1/models?text=finds more fraud",
    "/api/v1/versions?text=Ada",
    "/api/v1/models?text=quoted",
    "/api/v1/audit?after=-1&limit=1000",
    "/api/v1/audit?order=oldest&model=asked",
    "/api/v1/audit?action=audit.erase",
    "/api/v1/audit?action=access.refuse",
    "/api/v1/audit?subject=token:1",
    "/api/v1/audit/checkpoint",
    "/api/2.0/mlflow/registered-models/search?max_results=1000",
    "/api/2.0/mlflow/model-versions/search?max_results=1000",
)


@pytest.mark.parametrize("path", LISTS)
def test_lists_searches_and_pages_are_the_same(clients: tuple[FlaskClient, FlaskClient], path: str) -> None:
    assert_same(clients, path)


def models(client: FlaskClient) -> list[str]:
    return [model["name"] for model in pages(client, "/api/v1/models")]


def test_everything_about_every_model_is_the_same(clients: tuple[FlaskClient, FlaskClient]) -> None:
    names = models(clients[0])
    assert len(names) > 5
    for name in map(quote, names):
        model = f"/api/v1/models/{name}"
        for path in ("", "/tags", "/aliases", "/comments", "/versions", "/audit?limit=1000", "/versions?limit=1"):
            assert_same(clients, model + path)
        for stage in ("None", "Staging", "Production", "Archived"):
            assert_same(clients, f"{model}/stages/{stage}")
            assert_same(clients, f"{model}/stages/{stage}/history")
        for number in range(1, 5):
            for path in ("", "/tags", "/transitions", "/comments", "/audit"):
                assert_same(clients, f"{model}/versions/{number}{path}", None)
            assert_same(clients, f"/api/2.0/mlflow/model-versions/get?name={name}&version={number}", None)


def moments(client: FlaskClient) -> list[str]:
    """Of some changes, the instant, and the microsecond before it."""
    events = pages(client, "/api/v1/audit?model=asked") + pages(client, "/api/v1/audit?model=swindle")
    instants = sorted({datetime.fromisoformat(event["at"]) for event in events})
    just = timedelta(microseconds=1)
    return [
        (at - shift).astimezone(UTC).isoformat().replace("+00:00", "Z") for at in instants for shift in (just, 0 * just)
    ]


def test_the_past_is_the_same(clients: tuple[FlaskClient, FlaskClient]) -> None:
    at = moments(clients[0])
    assert len(at) > 50
    found = 0
    for moment, name in itertools.product(at, ("asked", "swindle", "fraud")):
        for what in ("/Production", "/Staging", "/1", "@champion", "/latest"):
            path = f"/api/v1/resolve?uri=models:/{name}{what}&at={moment}"
            found += clients[0].get(path).status_code == 200
            assert_same(clients, path, None)
    assert found > 100


def test_snapshots_are_the_same_now_and_in_the_past(clients: tuple[FlaskClient, FlaskClient]) -> None:
    for moment in moments(clients[0])[::7]:
        assert_same(clients, f"/api/v1/snapshot?at={moment}")
    old, new = ask(clients, "/api/v1/snapshot?proof=true")
    lines = [answer.get_data().splitlines()[1:-1] for answer in (old, new)]
    assert len(lines[0]) > 5
    assert lines[0] == lines[1]


def test_proofs_are_the_same(clients: tuple[FlaskClient, FlaskClient], lived: Lived) -> None:
    sizes = [size for (size,) in lived.ask("SELECT size FROM audit.checkpoint ORDER BY size")]
    assert max(sizes) > 256  # so that roots of subtrees are kept
    for position in range(0, max(sizes), 5):
        assert_same(clients, f"/api/v1/audit/proof/{position}")
    for first, second in itertools.pairwise(sizes):
        assert_same(clients, f"/api/v1/audit/consistency?from={first}&to={second}")


def test_the_signed_export_is_byte_for_byte_the_same(clients: tuple[FlaskClient, FlaskClient]) -> None:
    assert_same(clients, "/api/v1/audit?format=jsonl")
    assert_same(clients, "/api/v1/audit?format=csv&model=swindle")


def test_answers_to_others_than_administrators_are_the_same_too(
    clients: tuple[FlaskClient, FlaskClient], lived: Lived
) -> None:
    nobody = tuple(client_with(client.application, None) for client in clients)
    assert_same((nobody[0], nobody[1]), "/api/v1/whoami", 401)
    assert_same((nobody[0], nobody[1]), "/api/2.0/mlflow/registered-models/search", 401)


# What follows goes on in a registry of its own.


@pytest.fixture
def going_on(server_url: str, template_url: str, lived: Lived, bundle: bytes, tmp_path: Path) -> Iterator[Registry]:
    """Another registry that the bundle was brought into, with a copy of the old sealer's directory."""
    with empty(server_url, template_url) as url:
        imported(url, bundle)
        shutil.copytree(lived.directory, tmp_path / "sealer")
        yield Registry(url, tmp_path / "sealer")


def test_the_log_verifies_with_old_checkpoints_and_goes_on_under_its_key(lived: Lived, going_on: Registry) -> None:
    outside = lived.notes()
    assert going_on.check(outside[0], outside[-1], late_seconds=1e9).first_divergences == []
    assert going_on.seal() == 2  # what the old one had not sealed yet, and the import
    report = going_on.check(outside[0], outside[-1], late_seconds=0)
    assert (report.first_divergences, report.events) == ([], report.sealed)
    assert report.erased == lived.check(late_seconds=1e9).erased > 0
    assert going_on.offline(going_on.notes()[-1], *outside)
    assert lived.lines() == going_on.lines()[: len(lived.lines())]


def test_its_guards_stand_as_before(going_on: Registry) -> None:
    assert posture.at(as_role(going_on.url, APP)).level is Level.ENFORCED


def test_numbers_ids_and_chains_go_on_behind_what_came(lived: Lived, going_on: Registry) -> None:
    with application(Settings(database_url=as_role(going_on.url, APP))) as app, app.app_context():
        client = client_with(app, lived.issued.secret)
        highest = max(comment for (comment,) in lived.ask("SELECT last_value FROM registry.comments_id_seq"))
        assert highest > lived.ask("SELECT max(id) FROM registry.comments")[0][0]  # the last one was deleted
        comment = client.post("/api/v1/models/asked/comments", json={"text": "moved"})
        assert comment.json is not None
        assert comment.json["id"] == highest + 1
        assert make_version("asked") == 5  # of four, the last one is in the trash
        assert client.post("/api/v1/models", json={"name": "older"}).status_code == 201
        assert make_version("older") == 2  # a model of this name was purged, and had a version
        moved_to = {"to": "Production", "archive_existing": True, "reason": "goes on"}
        answer = client.post("/api/v1/models/asked/versions/5/transitions", json=moved_to)
        assert answer.status_code == 200
        stream, seq, _ = answer.headers["Audit-Receipt"].split(",")[0].split("/")
        before = lived.ask("SELECT max(seq) FROM audit.event WHERE stream = :stream", stream=stream)[0][0]
        assert int(seq) > before
    going_on.seal()
    report = going_on.check(*lived.notes(), late_seconds=0)
    assert report.first_divergences == []
    assert report.verified


def test_a_bundle_of_the_moved_registry_has_the_same_lines_and_those_of_the_import(
    bundle: bytes, going_on: Registry
) -> None:
    old, new = bundle.splitlines()[1:-1], exported(going_on.url).splitlines()[1:-1]
    assert [line for line in new if line not in set(old)] == [line for line in new if b"system.import" in line]
    assert [line for line in new if b"system.import" not in line] == old


def test_without_its_key_it_goes_on_in_a_new_epoch(lived: Lived, going_on: Registry, tmp_path: Path) -> None:
    other = Registry(going_on.url, tmp_path / "another")
    with pytest.raises(Refusal, match="not from this directory"):
        other.seal()
    with other.sealer() as sealer:
        sealer.new_epoch(CONTEXT)
    other.seal()
    event = json.loads(other.lines()[len(lived.lines())])
    assert event["action"] == "system.restore"
    assert event["changes"]["size"][0] == len(lived.lines())
    assert other.offline(other.notes("model-registry/audit/2")[-1])
