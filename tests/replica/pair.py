"""What is done to a primary and its standby, and asked of the service on both."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from chaos.postgres import Server
from registry.config import Settings, with_driver
from registry.database_url import DatabaseUrl
from registry.replica import Replica, State
from tests.factories import unique

BOUND = 2.0


def settings(server: Server, standby: Server, **others: Any) -> Settings:
    urls = {
        "database_url": with_driver(DatabaseUrl.parse(server.url("registry_app"))),
        "replica_url": with_driver(DatabaseUrl.parse(standby.url("registry_app"))),
    }
    given = {"replica_max_lag_seconds": BOUND, "statement_timeout_ms": 2000, "connect_timeout_seconds": 2}
    return Settings(**(urls | given | others))


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
