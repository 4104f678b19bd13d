"""How a replica is: how old, of which history, and who is told."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from chaos.postgres import Server, free_port
from registry import replica as replicas
from registry.checkup import of_replica
from registry.config import Settings
from registry.metrics.board import Worker
from registry.replica import NUMBERED, Event, Known, Replica, Sample, State
from tests.metrics.reading import samples, value
from tests.replica.pair import BOUND, make, settings, wait_until


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
