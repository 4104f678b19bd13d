"""The service by way of PgBouncer in transaction mode, which has fewer connections than there are callers."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy import text

from chaos.postgres import DATABASE, SUPERUSER, Server, free_port
from chaos.proxy import Cut, Proxy
from registry.config import Settings, with_driver
from registry.database_url import DatabaseUrl
from registry.db import ask, db, unaudited
from registry.errors import Uncertain
from registry.settled import Settled
from tests.cli.running import Service, registry, service
from tests.conftest import application
from tests.factories import unique
from tests.own_server import migrated
from tests.pgbouncer import CONNECTIONS, PgBouncer, needs_pgbouncer, pooled
from tests.proxied import proxied
from tests.test_outcome import create, is_there, refusal_of
from tests.test_processes import TOKEN, at_once, create_model, create_version, holders, promote, send, send_raw

pytestmark = needs_pgbouncer
STATEMENT_SECONDS = 1.5
GIVEN_UP_SECONDS = 6.5
"""When a database that says nothing at all is given up (registry/silence.py)."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with migrated() as server:
        yield server


@pytest.fixture(scope="module")
def pooler(server: Server) -> Iterator[PgBouncer]:
    with pooled(server.port) as pooler:
        yield pooler


@pytest.fixture(scope="module")
def sealer_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sealer")


def settings(server: Server, pooler: PgBouncer, sealer_dir: Path) -> dict[str, str]:
    return {
        "REGISTRY_DATABASE_URL": pooler.url("registry_app"),
        "REGISTRY_DATABASE_POOLER": "transaction",
        "REGISTRY_DIRECT_DATABASE_URL": server.url("audit_sealer"),
        "REGISTRY_ADMIN_TOKEN": TOKEN,
        "REGISTRY_WORKERS": "2",
        "REGISTRY_SEALER": "on",
        "REGISTRY_SEALER_DIR": str(sealer_dir),
        "REGISTRY_STATEMENT_TIMEOUT_MS": f"{STATEMENT_SECONDS * 1000:.0f}",
        "REGISTRY_LOCK_TIMEOUT_MS": "60000",
    }


@pytest.fixture(scope="module")
def running(
    server: Server, pooler: PgBouncer, sealer_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("service"), **settings(server, pooler, sealer_dir)) as running:
        yield running


@pytest.fixture
def port(running: Service) -> int:
    return running.port


@contextmanager
def held(server: Server, statement: str) -> Iterator[None]:
    """Keep a lock around the pooler."""
    with closing(psycopg2.connect(server.url(SUPERUSER))) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        yield


def timed(job: Callable[[], tuple[int, Any]]) -> tuple[int, Any, float]:
    began = time.monotonic()
    status, answer = job()
    return status, answer, time.monotonic() - began


def wait_until(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_both_faces_do_their_work_for_more_callers_than_there_are_connections(server: Server, port: int) -> None:
    name = create_model(port)
    answers = at_once([lambda: create_version(port, name)] * 24)
    assert sorted(int(answer["model_version"]["version"]) for _, answer in answers) == list(range(1, 25))
    found = send(port, "GET", f"/api/v1/resolve?uri=models:/{name}/latest")
    assert (found[0], found[1]["version"]) == (200, 24)
    used = (
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'registry_app' AND application_name = 'model-registry'"
    )
    assert server.ask(used)[0][0] <= CONNECTIONS


@pytest.mark.parametrize("competitors", [2, 20])
def test_concurrent_promotions_leave_one_production(port: int, competitors: int) -> None:
    name = create_model(port)
    for _ in range(competitors):
        create_version(port, name)
    answers = at_once([lambda n=n: promote(port, name, n) for n in range(1, competitors + 1)])  # type: ignore[misc]
    assert {status for status, _ in answers} == {200}
    last = send(port, "GET", f"/api/v1/models/{name}/stages/Production/history?limit=1")[1]["items"]
    assert holders(port, name) == [last[0]["version"]]


def test_a_statement_that_takes_too_long_is_ended_by_its_time_limit(server: Server, port: int) -> None:
    name = create_model(port)
    with held(server, f"SELECT 1 FROM registry.registered_models WHERE name = '{name}' FOR UPDATE"):
        status, answer, seconds = timed(lambda: send(port, "PATCH", f"/api/v1/models/{name}", {"description": "x"}))
    assert (status, "took too long" in answer["detail"]) == (503, True)
    assert STATEMENT_SECONDS * 0.9 < seconds < GIVEN_UP_SECONDS


def test_so_is_one_that_only_reads(server: Server, port: int) -> None:
    name = create_model(port)
    with held(server, "LOCK TABLE registry.registered_models IN ACCESS EXCLUSIVE MODE"):
        status, answer, seconds = timed(lambda: send(port, "GET", f"/api/v1/models/{name}"))
    assert (status, "took too long" in answer["detail"]) == (503, True)
    assert STATEMENT_SECONDS * 0.9 < seconds < GIVEN_UP_SECONDS


def test_a_long_poll_holds_no_connection_and_hears_of_what_comes(server: Server, port: int) -> None:
    wait_until(lambda: server.ask("SELECT count(*) FROM audit.pending") == [(0,)])
    head = server.ask("SELECT max(position) FROM audit.seal")[0][0]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        waiting = [
            pool.submit(send, port, "GET", f"/api/v1/audit?after={head}&wait=20&action=registered_model.create")
            for _ in range(CONNECTIONS)
        ]
        time.sleep(1)
        name = create_model(port)
        heard = [one.result(30)[1]["items"] for one in waiting]
    assert [[event["model"] for event in items] for items in heard] == [[name]] * CONNECTIONS


def test_the_log_is_exported_sealed_and_verified_and_its_posture_is_what_it_is(
    server: Server, running: Service, sealer_dir: Path, tmp_path: Path
) -> None:
    create_model(running.port)
    events = "SELECT count(*) FROM audit.event"
    sealed = "SELECT coalesce(max(size), 0) FROM audit.checkpoint"
    wait_until(lambda: server.ask(events) == server.ask(sealed))
    status, lines = send_raw(running.port, "GET", "/api/v1/audit?format=jsonl", None, {})
    assert status == 200
    assert len(lines.splitlines()) > 100
    assert "checkpoint" in json.loads(lines.splitlines()[-1])
    audit = running.get("/readyz")[1]["audit"]
    assert (audit["posture"], audit["sealer"]["state"]) == ("enforced", "sealing")
    verified = registry(
        "audit", "verify", "--db", "--json", REGISTRY_SEALER_DIR=str(sealer_dir),
        REGISTRY_DATABASE_URL=server.url("registry_app"), REGISTRY_DATABASE_POOLER="transaction",
        REGISTRY_DIRECT_DATABASE_URL=server.url("audit_reader"),
    )  # fmt: skip
    assert verified.returncode == 0, verified.stderr


def test_a_pooler_that_dies_in_the_middle_is_survived(running: Service, pooler: PgBouncer) -> None:
    port = running.port
    name = create_model(port)
    acknowledged: list[int] = []
    statuses: set[int] = set()
    stop = threading.Event()

    def keep_creating() -> None:
        while not stop.is_set():
            status, answer = create_version(port, name)
            statuses.add(status)
            if status == 200:
                acknowledged.append(int(answer["model_version"]["version"]))

    workers = [threading.Thread(target=keep_creating) for _ in range(4)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(3):
            time.sleep(0.7)
            pooler.kill()
            time.sleep(0.3)
            pooler.start()
        before = len(acknowledged)
        wait_until(lambda: len(acknowledged) > before + 10)
    finally:
        stop.set()
        for worker in workers:
            worker.join(30)
    there = send(port, "GET", f"/api/v1/models/{name}/versions?limit=1000")[1]["items"]
    assert statuses <= {200, 503}
    assert len(set(acknowledged)) == len(acknowledged)
    assert set(acknowledged) <= {version["version"] for version in there}
    wait_until(lambda: running.get("/readyz")[0] == 200)


# What holds of one connection


@pytest.fixture
def through(server: Server, pooler: PgBouncer) -> Iterator[None]:
    """An application in its context, whose connections come from the pooler."""
    url = with_driver(DatabaseUrl.parse(pooler.url("registry_app")))
    limited = Settings(database_url=url, database_pooler="transaction", statement_timeout_ms=1234, lock_timeout_ms=567)
    with application(limited) as app, app.app_context():
        yield


LIMITS = (
    "SELECT current_setting('statement_timeout'), current_setting('lock_timeout'), "
    "current_setting('idle_in_transaction_session_timeout'), current_setting('timezone')"
)
IN_FORCE = ("1234ms", "567ms", "2468ms", "UTC")


@pytest.mark.usefixtures("through")
def test_the_limits_go_along_with_every_transaction() -> None:
    for _ in range(2):
        assert tuple(db.session.execute(text(LIMITS)).one()) == IN_FORCE  # the first statement, and a second one
        assert tuple(db.session.execute(text(LIMITS + " WHERE :percent = '%'"), {"percent": "%"}).one()) == IN_FORCE
        db.session.rollback()


@pytest.mark.usefixtures("through")
def test_whatever_kind_of_statement_comes_first() -> None:
    raw = db.engine.raw_connection()
    try:
        named = raw.cursor("named")
        named.execute(LIMITS)
        assert named.fetchone() == IN_FORCE
        raw.rollback()
        cursor = raw.cursor()
        cursor.executemany("SELECT %s", [(1,), (2,)])
        cursor.execute(LIMITS)
        assert cursor.fetchone() == IN_FORCE
    finally:
        raw.close()


@pytest.mark.usefixtures("through")
def test_so_it_is_where_the_transaction_begins_along_with_it() -> None:
    with unaudited() as session:
        assert tuple(session.execute(text(LIMITS), execution_options={"stream_results": True}).one()) == IN_FORCE
    with unaudited() as session:
        session.connection().exec_driver_sql("SELECT %s", [(1,), (2,)])
        assert tuple(session.execute(text(LIMITS)).one()) == IN_FORCE
    with unaudited() as session:
        assert ask(session, Settled(text(LIMITS))) == [IN_FORCE]


@pytest.mark.usefixtures("through")
def test_nothing_of_them_stays_behind_for_whom_the_connection_serves_next(pooler: PgBouncer) -> None:
    db.session.execute(text("SELECT 1"))
    db.session.rollback()
    for _ in range(2):
        with closing(psycopg2.connect(pooler.url("registry_app"))) as other, other.cursor() as cursor:
            cursor.execute(LIMITS)
            found = cursor.fetchone()
            assert found is not None
            assert found[:3] == ("0", "0", "0")


@pytest.fixture(params=["before the pooler", "behind the pooler"])
def proxy(request: pytest.FixtureRequest, server: Server, pooler: PgBouncer) -> Iterator[Proxy]:
    """A network that can fail, on either side of a pooler, with an application at its end whose context is entered."""
    first = server if request.param == "behind the pooler" else pooler
    with proxied(first.url("registry_app")) as (near, proxy):
        if request.param == "before the pooler":
            with connected(near):
                yield proxy
                proxy.clear()
            return
        with pooled(proxy.port) as other, connected(other.url("registry_app")):
            yield proxy
            proxy.clear()


@contextmanager
def connected(url: str) -> Iterator[None]:
    hasty = Settings(
        database_url=with_driver(DatabaseUrl.parse(url)), database_pooler="transaction", statement_timeout_ms=500,
        connect_timeout_seconds=2,
    )  # fmt: skip
    with application(hasty) as app, app.app_context():
        is_there("warm")
        yield


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER, Cut.AT, Cut.HOLE_BEFORE, Cut.HOLE_AFTER])
def test_a_change_that_lost_its_connection_at_the_commit_is_there_if_and_only_if_it_is_said_to_be(
    proxy: Proxy, cut: Cut
) -> None:
    name = unique()
    proxy.set(cut=cut)
    refusal = refusal_of(name)
    proxy.clear()
    assert not isinstance(refusal, Uncertain)
    assert is_there(name) is (refusal is None)
    create(unique())


# Where nobody has said that there is a pooler, or what leads around it


@pytest.mark.parametrize("ignored", ["", "options"])
def test_nothing_starts_by_way_of_a_pooler_that_nobody_has_told_of(server: Server, ignored: str) -> None:
    with pooled(server.port, ignored) as untold:
        given = {"REGISTRY_DATABASE_URL": untold.url(SUPERUSER), "REGISTRY_PORT": str(free_port())}
        for command in (("serve",), ("db", "upgrade"), ("sealer", "--once"), ("audit", "verify", "--db"), ("doctor",)):
            ran = registry(*command, **given)
            assert ran.returncode != 0
            assert "set REGISTRY_DATABASE_POOLER=transaction" in ran.stderr, command
    left = (
        "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' "
        "AND a.datname = %s AND a.application_name <> 'model-registry-sealer'"
    )
    assert server.ask(left, [DATABASE]) == [(0,)]


def test_an_instance_that_runs_there_all_the_same_is_not_ready(server: Server) -> None:
    with pooled(server.port, "options") as untold:
        url = with_driver(DatabaseUrl.parse(untold.url("registry_app")))
        with application(Settings(database_url=url)) as app:
            answer = app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert "drops our limits (statement_timeout is 0, " in answer.get_json()["problems"][0]
