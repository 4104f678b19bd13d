"""A primary, its standby, and a service on both."""

import shutil
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from chaos.postgres import Server, free_port
from registry.replica import Replica, State
from registry.vocabulary import Role
from tests.conftest import application, client_with, issue
from tests.own_server import migrated
from tests.replica.pair import replayed, settings, wait_until


@pytest.fixture(scope="package")
def server() -> Iterator[Server]:
    with migrated() as server:
        yield server


@pytest.fixture(scope="package")
def standby(server: Server) -> Iterator[Server]:
    standby = server.stand_by(server.directory.parent / "standby", free_port())
    try:
        yield standby
    finally:
        standby.kill()
        shutil.rmtree(standby.directory, ignore_errors=True)


@pytest.fixture(scope="package")
def service_app(server: Server, standby: Server) -> Iterator[Flask]:
    with application(settings(server, standby)) as app:
        yield app


@pytest.fixture(scope="package")
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
