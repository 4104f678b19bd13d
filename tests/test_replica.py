"""Reads from a streaming replica: what may be a moment old, and no older than that; never what has to be true now."""

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import selectinload
from werkzeug.test import TestResponse

from chaos.postgres import SUPERUSER, Server, free_port
from registry import replica as replicas
from registry.checkup import of_replica
from registry.config import Settings, with_driver
from registry.database_url import DatabaseUrl
from registry.db import db
from registry.faces.contract import operation_of
from registry.faces.face import bare_view
from registry.metrics.board import Worker
from registry.replica import NUMBERED, Event, Known, Reading, Replica, Sample, State, end_of_log, horizon_at
from registry.tables import RegisteredModel
from registry.vocabulary import Role
from tests.cli.running import Service, service
from tests.conftest import application, client_with, issue
from tests.factories import make_events, make_model, unique
from tests.metrics.reading import samples, value
from tests.own_server import migrated
from tests.test_processes import TOKEN, create_model, create_version, send

BOUND = 2.0
TOLERANT = {
    "/api/v1/models": "search_models",
    "/api/v1/versions": "search_versions",
    "/api/v1/models/<name>/versions": "search_versions_of_model",
    "/api/v1/audit": "audit",
    "/api/v1/models/<name>/audit": "model_audit",
    "/api/v1/models/<name>/versions/<int:number>/audit": "version_audit",
    "/api/v1/audit/checkpoint": "checkpoint",
    "/api/v1/audit/proof/<int:position>": "inclusion_proof",
    "/api/v1/audit/consistency": "consistency_proof",
    "/api/v1/models/<name>/stages/<stage>/history": "stage_history",
    # Only about a past that is final:
    "/api/v1/models/<name>/stages/<stage>": "stage_holders",
    "/api/v1/resolve": "resolve",
    "/api/v1/snapshot": "snapshot",
}
ONLY_PAST = {"stage_holders", "resolve", "snapshot"}


# Which routes


def test_only_these_routes_may_be_answered_by_a_replica_and_none_that_changes_anything(app: Flask) -> None:
    found = {}
    for rule in app.url_map.iter_rules():
        with app.app_context():
            view = bare_view(rule.endpoint) or app.view_functions[rule.endpoint]
        operation = operation_of(view)
        if operation is None or operation.replica is None:
            continue
        found[rule.rule] = rule.endpoint.removeprefix("rest.")
        assert (rule.methods or set()) <= {"GET", "HEAD", "OPTIONS"}
        assert operation.replica.about_the_past is (found[rule.rule] in ONLY_PAST)
        assert len(operation.replica.why) > 20
    assert found == TOLERANT


# How old, and what is final: on samples of our own


def sample(second: int, *under_way: str, reached: int = 0) -> Sample:
    return Sample(float(second), datetime(2026, 11, 24, 14, 3, second, tzinfo=UTC), frozenset(under_way), None, reached)


@pytest.mark.parametrize(
    ("seen", "second"),
    [
        ([sample(1)], 1),
        ([sample(1), sample(2)], 2),
        ([sample(1, "7")], None),  # it may yet commit something of then
        ([sample(1, "7"), sample(2)], 2),
        ([sample(1, "7"), sample(2, "8")], 1),  # 7 has ended by then, and what 8 does bears a later time
        ([sample(1), sample(2, "7"), sample(3, "7")], 1),
        ([sample(1, "7"), sample(2, "7", "8"), sample(3, "8")], 1),
    ],
)
def test_final_is_what_no_transaction_can_add_to_any_more(seen: list[Sample], second: int | None) -> None:
    assert horizon_at(seen[-1], seen) == (second and sample(second).time)


def test_what_the_replica_has_not_reached_says_nothing_about_it() -> None:
    assert horizon_at(sample(1), [sample(1), sample(2)]) == sample(1).time


@pytest.mark.parametrize(("reached", "end"), [(8192 + 24, 8192), (8192 + 40, 8192), (8192 + 48, 8240), (8192, 8192)])
def test_a_log_that_ends_with_a_page_ends_there(reached: int, end: int) -> None:
    assert end_of_log(reached, 8192) == end


# On a real one


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with migrated() as server:
        yield server


@pytest.fixture(scope="module")
def standby(server: Server) -> Iterator[Server]:
    standby = server.stand_by(server.directory.parent / "standby", free_port())
    try:
        yield standby
    finally:
        standby.kill()
        shutil.rmtree(standby.directory, ignore_errors=True)


def settings(server: Server, standby: Server, **others: Any) -> Settings:
    urls = {
        "database_url": with_driver(DatabaseUrl.parse(server.url("registry_app"))),
        "replica_url": with_driver(DatabaseUrl.parse(standby.url("registry_app"))),
    }
    given = {"replica_max_lag_seconds": BOUND, "statement_timeout_ms": 2000, "connect_timeout_seconds": 2}
    return Settings(**(urls | given | others))


@pytest.fixture(scope="module")
def service_app(server: Server, standby: Server) -> Iterator[Flask]:
    with application(settings(server, standby)) as app:
        yield app


@pytest.fixture(scope="module")
def token(service_app: Flask) -> str:
    return issue(service_app, Role.ADMINISTRATOR)[1]


@pytest.fixture
def replica(service_app: Flask) -> Replica:
    """It, in step."""
    found: Replica = service_app.extensions["replica"]
    wait_until(lambda: found.state() is State.USED)
    return found


@pytest.fixture
def caller(service_app: Flask, token: str, replica: Replica) -> FlaskClient:
    return client_with(service_app, token)


@pytest.fixture
def paused(standby: Server, replica: Replica) -> Iterator[Callable[[], None]]:
    """What lets the standby stand still, as far as it has come; it goes on afterwards."""

    def pause() -> None:
        replayed(standby, replica)
        standby.ask("SELECT pg_wal_replay_pause()")
        wait_until(lambda: standby.ask("SELECT pg_get_wal_replay_pause_state()") == [("paused",)])

    yield pause
    standby.ask("SELECT pg_wal_replay_resume()")


def replayed(standby: Server, replica: Replica) -> None:
    """Wait until all that is committed by now is known to be there, and to be final."""
    now = datetime.now(UTC)
    wait_until(lambda: replica.is_final(now) and replica.state() is State.USED)


def wait_until(found: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def make(caller: FlaskClient, name: str | None = None) -> tuple[str, str]:
    """A model, and the receipt of its making."""
    name = name or unique()
    answer = caller.post("/api/v1/models", json={"name": name})
    assert answer.status_code == 201
    return name, answer.headers["Audit-Receipt"]


def register(caller: FlaskClient, name: str) -> None:
    assert caller.post(f"/api/v1/models/{name}/versions", json={"source": "s3://b/k"}).status_code == 201


def promote(caller: FlaskClient, name: str, number: int) -> TestResponse:
    body = {"to": "Production", "archive_existing": True}
    answer = caller.post(f"/api/v1/models/{name}/versions/{number}/transitions", json=body)
    assert answer.status_code == 200
    return answer


def listed(caller: FlaskClient, name: str, **headers: str) -> bool:
    query = {"filter": f"name = '{name}'"}
    answer = caller.get("/api/v1/models", query_string=query, headers=headers)
    assert answer.status_code == 200
    return bool(answer.get_json()["items"])


class Counted:
    """Who answered the reads inside the block."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def __enter__(self) -> "Counted":
        self._before = self._all()
        return self

    def __exit__(self, *_: object) -> None:
        after = self._all()
        self.found = {key: n - self._before.get(key, 0) for key, n in after.items() if n != self._before.get(key, 0)}

    def _all(self) -> dict[tuple[str, str], float]:
        sums = self._app.extensions["meters"].board.sums()
        return {(key[1], key[2]): numbers[0] for key, numbers in sums.items() if key[0] == "registry_replica_reads"}


FRESH = ("replica", "fresh")


def test_every_route_of_the_list_is_answered_by_the_replica(
    service_app: Flask, caller: FlaskClient, standby: Server, replica: Replica
) -> None:
    name, _ = make(caller)
    register(caller, name)
    promote(caller, name, 1)
    replayed(standby, replica)
    at = datetime.now(UTC) - timedelta(seconds=0.001)
    replayed(standby, replica)
    past = {"at": at.isoformat()}
    asked: list[tuple[str, dict[str, str]]] = [
        ("models", {}),
        ("versions", {}),
        (f"models/{name}/versions", {}),
        ("audit", {}),
        ("audit", {"format": "jsonl", "actor": "nobody"}),
        (f"models/{name}/audit", {}),
        (f"models/{name}/versions/1/audit", {}),
        (f"models/{name}/stages/Production/history", {}),
        (f"models/{name}/stages/Production", past),
        ("resolve", past | {"uri": f"models:/{name}/Production"}),
        ("snapshot", past),
    ]
    for path, query in asked:
        with Counted(service_app) as reads:
            answer = caller.get(f"/api/v1/{path}", query_string=query)
        assert (answer.status_code, reads.found) == (200, {FRESH: 1}), path


def test_what_has_to_be_true_now_is_asked_of_the_primary(
    service_app: Flask, caller: FlaskClient, paused: Callable[[], None]
) -> None:
    paused()
    name, _ = make(caller)
    register(caller, name)
    promote(caller, name, 1)
    tag = caller.get(f"/api/v1/models/{name}").headers["ETag"]
    with Counted(service_app) as reads:
        found = caller.get("/api/v1/resolve", query_string={"uri": f"models:/{name}/Production"})
        assert found.get_json()["version"] == 1
        assert caller.get(f"/api/v1/models/{name}/versions/1").get_json()["stage"] == "Production"
        assert caller.get(f"/api/v1/models/{name}/stages/Production").get_json()["items"]
        assert caller.get("/api/2.0/mlflow/registered-models/get", query_string={"name": name}).status_code == 200
        searched = caller.get(
            "/api/2.0/mlflow/registered-models/search", query_string={"filter": f"name = '{name}'"}
        ).get_json()
        assert len(searched["registered_models"]) == 1
        described = caller.patch(f"/api/v1/models/{name}", json={"description": "x"}, headers={"If-Match": tag})
        assert described.status_code == 200
        assert caller.get("/api/v1/audit", query_string={"after": "-1"}).status_code == 200
        assert caller.get("/api/v1/models", headers={"If-Match": '"old"'}).status_code == 412
    assert reads.found == {}


def test_an_answer_is_as_old_as_it_may_be_and_no_older(
    service_app: Flask, caller: FlaskClient, replica: Replica, paused: Callable[[], None]
) -> None:
    paused()
    name, _ = make(caller)
    made = time.monotonic()
    assert not listed(caller, name)  # so it is the replica that answers
    assert replica.state() is State.USED
    wait_until(lambda: listed(caller, name), BOUND + 2)
    assert time.monotonic() - made <= BOUND + 0.5
    assert replica.state() is State.BEHIND
    with Counted(service_app) as reads:
        assert listed(caller, name)
    assert reads.found == {("primary", "behind"): 1}


def test_who_sends_the_receipt_of_a_change_sees_it(
    service_app: Flask, caller: FlaskClient, replica: Replica, standby: Server, paused: Callable[[], None]
) -> None:
    older = make(caller)[1]
    paused()
    name, receipt = make(caller)
    with Counted(service_app) as reads:
        assert listed(caller, name, **{"Audit-Receipt": receipt})
        assert listed(caller, name, **{"Audit-Receipt": f"{older}, {receipt}"})
        assert listed(caller, name, **{"Audit-Receipt": "nonsense"})
        assert not listed(caller, name, **{"Audit-Receipt": older})
    assert reads.found == {("primary", "receipt"): 3, FRESH: 1}
    assert replica.state() is State.USED


def test_a_refusal_is_never_an_old_one(service_app: Flask, caller: FlaskClient, paused: Callable[[], None]) -> None:
    paused()
    name, _ = make(caller)
    with Counted(service_app) as reads:
        assert caller.get(f"/api/v1/models/{name}/audit").status_code == 200
        assert caller.get(f"/api/v1/models/{unique()}/audit").status_code == 404
    assert reads.found == {("primary", "refused"): 2}


def test_the_past_is_answered_rightly_while_the_replica_stands_still(
    service_app: Flask, caller: FlaskClient, paused: Callable[[], None]
) -> None:
    name, _ = make(caller)
    for _ in range(2):
        register(caller, name)
    promote(caller, name, 1)
    time.sleep(0.01)
    before = datetime.now(UTC)
    paused()
    promote(caller, name, 2)
    time.sleep(0.01)
    after = datetime.now(UTC)

    def holder(at: datetime) -> int:
        query = {"uri": f"models:/{name}/Production", "at": at.isoformat()}
        found: int = caller.get("/api/v1/resolve", query_string=query).get_json()["version"]
        return found

    with Counted(service_app) as reads:
        assert [holder(before), holder(after)] == [1, 2]
    assert reads.found == {FRESH: 1, ("primary", "recent"): 1}


def test_what_is_under_way_is_waited_for_before_the_past_is_final(
    server: Server, standby: Server, replica: Replica, caller: FlaskClient
) -> None:
    name, _ = make(caller)
    with closing(psycopg2.connect(server.url(SUPERUSER))) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.actor', 'a', true), set_config('app.request_id', 'r', true)")
        cursor.execute("UPDATE registry.registered_models SET description = 'late' WHERE name = %s", [name])
        time.sleep(0.01)
        then = datetime.now(UTC)
        make(caller)  # something later, which the replica gets at once
        time.sleep(2 * BOUND)
        assert replica.state() is State.USED
        assert not replica.is_final(then)
        connection.commit()
    wait_until(lambda: replica.is_final(then))
    assert standby.ask("SELECT description FROM registry.registered_models WHERE name = %s", [name]) == [("late",)]


def test_an_idle_primary_does_not_make_it_old(replica: Replica) -> None:
    until = time.monotonic() + 2 * BOUND
    while time.monotonic() < until:
        assert replica.state() is State.USED
        time.sleep(0.1)


def test_a_primary_at_rest_is_asked_to_send_what_it_has_written(
    server: Server, standby: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands there without a COMMIT behind it goes with the next one, and there may be none for long."""
    looking = Replica(settings(server, standby), watched=False)
    said: list[str] = []
    event.listen(looking._primary, "before_cursor_execute", lambda *given: said.append(given[2]))
    monkeypatch.setattr(looking, "_compare", lambda samples: (samples[0], None))  # it has not come to the last one
    looking.look()
    assert str(NUMBERED) not in said

    def was_asked() -> bool:
        looking.look()
        return str(NUMBERED) in said

    wait_until(was_asked)
    monkeypatch.setattr(looking, "_compare", lambda samples: (samples[-1], None))
    said.clear()
    for _ in range(3):
        looking.look()
    assert str(NUMBERED) not in said


def test_probes_metrics_and_doctor_say_how_it_is(
    service_app: Flask, caller: FlaskClient, server: Server, standby: Server, paused: Callable[[], None]
) -> None:
    def told() -> tuple[str, float]:
        service_app.extensions.pop("vitals", None)
        used = value(samples(caller.get("/metrics").text), "registry_replica_used")
        return caller.get("/readyz").get_json()["replica"]["state"], used

    assert told() == ("used", 1.0)
    assert list(of_replica.look(settings(server, standby))) == []
    assert list(of_replica.look(Settings())) == []
    paused()
    make(caller)
    wait_until(lambda: told() == ("behind", 0.0))
    [behind] = of_replica.look(settings(server, standby, replica_max_lag_seconds=0.5))
    assert "behind the primary" in behind.what
    [no_standby] = of_replica.look(settings(server, server))
    assert "it is no standby" in no_standby.what
    nowhere = settings(server, standby, replica_url=f"postgresql+psycopg2://a@127.0.0.1:{free_port()}/registry")
    assert "cannot be used" in next(of_replica.look(nowhere)).what


def test_metrics_say_so_where_one_worker_does_without_it(
    service_app: Flask, caller: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = service_app.extensions["meters"].board
    living = board.living

    def told(other: float | None) -> tuple[float, bool]:
        service_app.extensions.pop("vitals", None)
        monkeypatch.setattr(board, "living", lambda: [*living(), Worker(0, [], other)])
        found = samples(caller.get("/metrics").text)
        return value(found, "registry_replica_used"), value(found, "registry_replica_lag_seconds") > 50

    assert told(0.0) == (1.0, False)  # one that has not looked yet
    assert told(time.monotonic()) == (1.0, False)
    assert told(None) == (0.0, False)
    assert told(time.monotonic() - 100) == (0.0, True)


@pytest.mark.parametrize("where", ["primary", "replica"])
def test_a_replica_with_another_history_is_not_used(
    server: Server, standby: Server, replica: Replica, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a failover, when it still follows the old primary: each side may have what the other one lacks."""
    lacking = {"primary": server.port, "replica": standby.port}[where]
    has = replicas.has

    def with_one_lacking(connection: Any, event: Event) -> bool:
        return has(connection, event) and connection.engine.url.port != lacking

    monkeypatch.setattr(replicas, "has", with_one_lacking)
    other = Replica(settings(server, standby), watched=False)
    for _ in range(3):
        other.look()
        assert other.state() is not State.USED
    monkeypatch.setattr(replicas, "has", has)
    other.look()
    assert other.state() is State.USED


def test_where_the_primarys_clock_goes_back_nothing_is_final_until_it_was_looked_at_again(
    server: Server, standby: Server, replica: Replica
) -> None:
    other = Replica(settings(server, standby), watched=False)
    other.look()
    now = other.known().horizon
    assert now is not None
    other._samples = [Sample(0.0, now + timedelta(hours=1), frozenset(), None, 0)]
    other._known = Known(other.known().fresh, now + timedelta(hours=1))
    other.look()
    assert not other.is_final(now + timedelta(minutes=30))


def test_an_export_goes_on_from_the_primary_when_the_replica_dies_in_its_middle(
    service_app: Flask, server: Server, standby: Server, replica: Replica, token: str
) -> None:
    with service_app.app_context():
        make_events(1500)
    replayed(standby, replica)
    client = client_with(service_app, token)
    with Counted(service_app) as reads:
        answer = client.get("/api/v1/audit?format=jsonl&order=oldest&limit=1200", buffered=False)
    assert reads.found == {FRESH: 1}
    chunks = iter(answer.iter_encoded())
    found = next(chunks)
    standby.kill()
    try:
        found += b"".join(chunks)
    finally:
        standby.start()
    assert len(found.splitlines()) == len(set(found.splitlines())) == 1200
    wait_until(lambda: replica.state() is State.USED)


IN_RECOVERY = text("SELECT pg_is_in_recovery()")
SLOW = text("SELECT CASE WHEN pg_is_in_recovery() THEN pg_sleep(30) END")


def test_a_question_that_loses_its_connection_is_put_to_the_primary(
    service_app: Flask, standby: Server, replica: Replica
) -> None:
    with service_app.app_context(), closing(Reading(replica, db.engine)) as session:
        assert session.scalar(IN_RECOVERY) is True
        standby.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'registry_app'")
        assert session.scalars(IN_RECOVERY).one() is False
        assert session.failed
        assert session.execute(IN_RECOVERY).scalar() is False
    assert replica.known().fresh is None
    wait_until(lambda: replica.state() is State.USED)


def test_one_that_takes_it_too_long_is_too_and_says_nothing_about_other_questions(
    service_app: Flask, replica: Replica
) -> None:
    with service_app.app_context(), closing(Reading(replica, db.engine)) as session:
        session.execute(SLOW)
        assert session.failed
    assert replica.state() is State.USED


def test_who_has_asked_the_primary_goes_on_there(service_app: Flask, server: Server, standby: Server) -> None:
    """Else an export that began there would lack what the replica has not got yet, in its middle."""
    replica = Replica(settings(server, standby), watched=False)
    replica._known = Known(fresh=time.monotonic())
    with service_app.app_context(), closing(Reading(replica, db.engine)) as session:
        with closing(session.another()) as later:
            assert later.scalar(IN_RECOVERY) is True
        session.execute(SLOW)
        assert replica.known().fresh is not None
        with closing(session.another()) as later:
            assert later.scalar(IN_RECOVERY) is False


def test_what_was_read_before_it_failed_is_completed_from_the_primary(service_app: Flask, replica: Replica) -> None:
    """Relations are loaded by questions of their own, while the answer to the first one is taken in."""
    with service_app.app_context(), closing(Reading(replica, db.engine)) as session:
        name = make_model(team="fraud")
        wait_until(lambda: session.scalar(select(RegisteredModel.id).where(RegisteredModel.name == name)) is not None)

        def fail(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if "registered_model_tags" in statement:
                raise OperationalError(statement, {}, Exception("broken"), connection_invalidated=True)

        event.listen(replica.engine, "before_cursor_execute", fail)
        try:
            tags = selectinload(RegisteredModel.tags)
            [found] = session.scalars(select(RegisteredModel).where(RegisteredModel.name == name).options(tags)).all()
        finally:
            event.remove(replica.engine, "before_cursor_execute", fail)
        assert session.failed
        assert [(tag.key, tag.value) for tag in found.tags] == [("team", "fraud")]
        assert found in session


# Under load


@pytest.fixture(scope="module")
def running(server: Server, standby: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    given = {
        "REGISTRY_DATABASE_URL": server.url("registry_app"),
        "REGISTRY_REPLICA_URL": standby.url("registry_app"),
        "REGISTRY_REPLICA_MAX_LAG_SECONDS": f"{BOUND}",
        "REGISTRY_STATEMENT_TIMEOUT_MS": "1000",
        "REGISTRY_CONNECT_TIMEOUT_SECONDS": "2",
        "REGISTRY_ADMIN_TOKEN": TOKEN,
        "REGISTRY_WORKERS": "2",
    }
    with service(tmp_path_factory.mktemp("service"), **given) as running:
        yield running


def replica_reads(running: Service) -> float:
    return value(samples(running.get("/metrics")[1]), "registry_replica_reads_total", by="replica", why="fresh")


def state_of(running: Service) -> set[str]:
    """How it is for either worker."""
    return {running.get("/readyz")[1]["replica"]["state"] for _ in range(8)}


@pytest.mark.parametrize("fault", ["killed", "stopped"])
def test_a_replica_that_fails_under_load_fails_no_request(running: Service, standby: Server, fault: str) -> None:
    port, stop = running.port, threading.Event()
    name = create_model(port)
    create_version(port, name)
    statuses: dict[int, int] = {}
    past = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    paths = [
        "/api/v1/models?limit=5",
        f"/api/v1/models/{name}/audit",
        f"/api/v1/resolve?uri=models:/{name}/1&at={past}",
        f"/api/v1/models/{name}/stages/Production/history",
    ]

    def keep_reading() -> None:
        while not stop.is_set():
            for path in paths:
                status = send(port, "GET", path)[0]
                statuses[status] = statuses.get(status, 0) + 1

    wait_until(lambda: state_of(running) == {"used"})
    before = replica_reads(running)
    readers = [threading.Thread(target=keep_reading) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        time.sleep(1)
        assert replica_reads(running) > before
        standby.signal_all(signal.SIGSTOP) if fault == "stopped" else standby.kill()
        time.sleep(5)
        standby.signal_all(signal.SIGCONT) if fault == "stopped" else standby.start()
        wait_until(lambda: state_of(running) == {"used"})
        back = replica_reads(running)
        time.sleep(1)
        assert replica_reads(running) > back
    finally:
        stop.set()
        for reader in readers:
            reader.join(60)
    assert set(statuses) == {200}
    assert statuses[200] > 100
    assert "the replica is not used, because" in running.said
    assert "the replica is used again" in running.said
