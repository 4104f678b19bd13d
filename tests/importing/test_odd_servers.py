"""Servers that are no MLflow, are away, refuse, or answer oddly; and one that stops in the middle."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from registry.cli.import_mlflow import server_at
from registry.config import Settings
from registry.importing.mlflow import MlflowError, Server
from registry.ownership import APP, READER
from registry.vocabulary import Stage
from tests.cli.running import free_port, registry
from tests.conftest import application, as_role
from tests.factories import move
from tests.sealer.logs import Place

Answer = tuple[int, Any]
MODEL = {"name": "Churn", "creation_timestamp": 1614780180123, "last_updated_timestamp": 1614780180124}


def a_version(number: int, **parts: Any) -> dict[str, Any]:
    row = {"name": "Churn", "version": str(number), "source": f"s3://bucket/{number}", "current_stage": "None"}
    return row | {"status": "READY", "creation_timestamp": 1614780180200 + number} | parts


@contextmanager
def answering(answer: Callable[[str, dict[str, str], Any], Answer]) -> Iterator[str]:
    """A server that answers a path and its query as it is told."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            status, body = answer(parts.path.removeprefix("/api/2.0/mlflow/"), query, self.headers)
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Quietly."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def one_model(*versions: Any) -> Callable[[str, dict[str, str], Any], Answer]:
    def answer(route: str, query: dict[str, str], _: Any) -> Answer:
        if route == "registered-models/search":
            return 200, {} if "filter" in query else {"registered_models": [MODEL]}
        if route == "registered-models/get":
            return 200, {"registered_model": MODEL}
        return 200, {"model_versions": [*versions]}

    return answer


@pytest.mark.parametrize(
    ("status", "body", "telling"),
    [
        (200, b"<html>", "answers no JSON: is this the address of an MLflow server?"),
        (401, b"You are not authenticated.", "answers 401: You are not authenticated."),
        (403, {"error_code": "PERMISSION_DENIED", "message": "not you"}, "answers 403: not you"),
        (404, b"", "answers 404: nothing"),
    ],
)
def test_a_server_that_is_none_or_refuses_is_told_in_a_line(status: int, body: Any, telling: str) -> None:
    with answering(lambda *_: (status, body)) as url, pytest.raises(MlflowError) as refusal:
        next(Server(url).models())

    assert telling in str(refusal.value)


def test_a_server_that_is_away_is_told_in_a_line() -> None:
    with pytest.raises(MlflowError, match=r"cannot be reached: .*Connection refused"):
        next(Server(f"http://127.0.0.1:{free_port()}").models())


def test_what_is_no_address_is_wrong_use() -> None:
    assert registry("import-mlflow", "mlflow.db").returncode == 2


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, None),
        ({"MLFLOW_TRACKING_TOKEN": "t"}, "Bearer t"),
        ({"MLFLOW_TRACKING_USERNAME": "u", "MLFLOW_TRACKING_PASSWORD": "p"}, "Basic dTpw"),
        ({"MLFLOW_TRACKING_USERNAME": "u", "MLFLOW_TRACKING_TOKEN": "t"}, "Basic dTo="),
    ],
)
def test_credentials_are_those_of_mlflow_clients(settings: dict[str, str], expected: str | None) -> None:
    seen = []

    def answer(route: str, query: dict[str, str], headers: Any) -> Answer:
        seen.append(headers.get("Authorization"))
        return 200, {}

    with answering(answer) as url:
        assert list(server_at(url, settings).models()) == []

    assert set(seen) == {expected}


def test_credentials_in_the_address_are_sent_and_never_shown(empty_database_url: str) -> None:
    seen = []

    def answer(route: str, query: dict[str, str], headers: Any) -> Answer:
        seen.append(headers.get("Authorization"))
        return one_model(a_version(1))(route, query, headers)

    with answering(answer) as url:
        address = url.replace("://", "://user:hush-hush@")
        ran = registry("import-mlflow", address, REGISTRY_DATABASE_URL=empty_database_url)

    assert ran.returncode == 0
    assert set(seen) == {"Basic dXNlcjpodXNoLWh1c2g="}
    assert "hush" not in ran.stdout + ran.stderr


def test_what_makes_no_sense_is_reported_and_the_rest_comes(empty_database_url: str) -> None:
    odd = [
        a_version(1),
        a_version(2, status="FAILED_REGISTRATION"),
        a_version(3, current_stage="Limbo"),
        a_version(4, version="four"),
        a_version(5, creation_timestamp=None),
        a_version(6, tags=[{"key": "a,b", "value": "x"}, {"key": "good", "value": "x"}]),
        a_version(7, source="/mlruns/7"),
        a_version(8),
    ]
    with answering(one_model(*odd)) as url:
        ran = registry("import-mlflow", url, "--json", REGISTRY_DATABASE_URL=empty_database_url)

    report = json.loads(ran.stdout)
    assert ran.returncode == 3
    assert (report["models"], report["versions"]) == (1, 3)
    told = [problem["problem"] for problem in report["problems"]]
    assert [text.partition(":")[0].partition(",")[0] for text in told] == [
        "version 2",
        "version 3",
        "version four",
        "version 5",
        "version 6",
        "version 7",
    ]
    assert "REGISTRY_LOCAL_SOURCES" in told[-1]


def test_an_import_that_broke_off_goes_on(empty_database_url: str) -> None:
    whole = {"Churn": MODEL, "Fraud": MODEL | {"name": "Fraud"}}
    broken = threading.Event()

    def answer(route: str, query: dict[str, str], _: Any) -> Answer:
        if route == "registered-models/search":
            return 200, {} if "filter" in query else {"registered_models": [*whole.values()]}
        if route == "registered-models/get":
            return 200, {"registered_model": whole[query["name"]]}
        if "Fraud" in query["filter"] and not broken.is_set():
            return 500, {"message": "out of memory"}
        name = "Fraud" if "Fraud" in query["filter"] else "Churn"
        return 200, {"model_versions": [a_version(number, name=name) for number in range(1, 151)]}

    with answering(answer) as url:
        first = registry("import-mlflow", url, "--json", REGISTRY_DATABASE_URL=empty_database_url)
        broken.set()
        second = registry("import-mlflow", url, "--json", REGISTRY_DATABASE_URL=empty_database_url)
        third = registry("import-mlflow", url, "--json", REGISTRY_DATABASE_URL=empty_database_url)

    assert first.returncode == 6
    assert "out of memory" in first.stderr
    assert "Run the command again to go on" in first.stderr
    reports = [json.loads(ran.stdout) for ran in (second, third)]
    assert [(one["models"], one["versions"], one["present"]) for one in reports] == [(1, 150, 151), (0, 0, 302)]


def test_a_dry_run_reports_all_and_brings_nothing(empty_database_url: str) -> None:
    versions = [a_version(1), a_version(2, source="/mlruns/2"), a_version(3)]
    with answering(one_model(*versions)) as url:
        runs = [
            registry("import-mlflow", url, "--json", "--dry-run", REGISTRY_DATABASE_URL=empty_database_url)
            for _ in range(2)
        ]

    for ran in runs:
        report = json.loads(ran.stdout)
        assert (report["models"], report["versions"], len(report["problems"])) == (1, 2, 1)
        assert report["dry_run"] is True


def test_afterwards_the_log_says_what_the_tables_say(empty_database_url: str, tmp_path: Path) -> None:
    tags = [{"key": "team", "value": "growth"}]
    versions = [a_version(3, current_stage="Production", tags=tags, description="third"), a_version(9)]
    with answering(one_model(*versions)) as url:
        ran = registry("import-mlflow", url, REGISTRY_DATABASE_URL=as_role(empty_database_url, APP))
    place = Place(empty_database_url, tmp_path)
    place.seal()

    verified = registry(
        "audit", "verify", "--db", "--key", place.key, REGISTRY_DATABASE_URL=as_role(empty_database_url, READER)
    )

    assert (ran.returncode, verified.returncode) == (0, 0), verified.stdout + verified.stderr


def test_what_was_moved_here_since_stays_and_is_reported(empty_database_url: str) -> None:
    with answering(one_model(a_version(1), a_version(2, current_stage="Staging"))) as url:
        registry("import-mlflow", url, REGISTRY_DATABASE_URL=empty_database_url)
        with application(Settings(database_url=empty_database_url)) as app, app.app_context():
            move("Churn", 2, Stage.PRODUCTION)
        again = registry("import-mlflow", url, "--json", REGISTRY_DATABASE_URL=empty_database_url)

    report = json.loads(again.stdout)
    assert (again.returncode, report["versions"], report["present"]) == (3, 0, 3)
    told = "version 2 stands in Production here, and in Staging there: it stays"
    assert report["problems"] == [{"model": "Churn", "problem": told}]
