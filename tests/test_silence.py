"""A database that says nothing any more is given up."""

import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from flask import current_app
from sqlalchemy import text

from chaos.proxy import Proxy
from registry import schema, silence
from registry.config import Settings
from registry.db import db, take_time, transaction
from registry.domain.access import OPERATOR
from registry.errors import Unavailable
from registry.silence import Watched
from tests.conftest import application
from tests.proxied import proxied


@pytest.fixture
def network(database_url: str) -> Iterator[tuple[str, Proxy]]:
    with proxied(database_url) as found:
        yield found


@pytest.fixture
def proxy(network: tuple[str, Proxy]) -> Iterator[Proxy]:
    """The way to the database, with an application at its end whose context is entered."""
    url, proxy = network
    settings = Settings(database_url=url, statement_timeout_ms=500, connect_timeout_seconds=2)
    with application(settings) as app, app.app_context():
        yield proxy
        proxy.clear()


def test_a_statement_that_gets_no_answer_at_all_is_given_up(proxy: Proxy) -> None:
    with pytest.raises(Unavailable, match="not reachable"), transaction(OPERATOR) as session:
        session.execute(text("SELECT 1"))
        proxy.set(stalled=True)
        session.execute(text("SELECT 1"))


def test_rows_that_a_cursor_on_the_server_does_not_hand_out_are_given_up(proxy: Proxy) -> None:
    with pytest.raises(Unavailable, match="not reachable"), transaction(OPERATOR) as session:
        rows = session.execute(
            text("SELECT generate_series(1, 100000)"), execution_options={"stream_results": True, "max_row_buffer": 10}
        )
        rows.fetchmany(10)
        proxy.set(stalled=True)
        rows.all()


def test_it_says_that_it_is_not_ready_while_the_database_stands_still(proxy: Proxy) -> None:
    client = current_app.test_client()
    assert client.get("/readyz").status_code == 200
    proxy.set(stalled=True)
    assert client.get("/readyz").status_code == 503


def test_a_check_that_connects_and_then_hears_no_more_is_given_up(network: tuple[str, Proxy]) -> None:
    url, proxy = network
    proxy.set(latency=1.5)  # it connects in five answers, each in time, and its questions take longer
    began = time.monotonic()
    assert schema.check(url, connect_timeout=2) != []
    assert time.monotonic() - began < 30


def test_a_transaction_may_be_given_more_time_and_the_next_one_has_no_more_than_all(proxy: Proxy) -> None:
    with transaction(OPERATOR) as session:
        take_time(session, 20_000)
        session.execute(text("SELECT pg_sleep(3.5)"))  # longer than a silence may last otherwise
        assert watched().longer > 20
    with transaction(OPERATOR):
        assert watched().longer == 0


def watched() -> Watched:
    return cast("Watched", db.session.connection().connection.dbapi_connection)


def test_only_who_still_waits_for_the_same_answer_is_given_up() -> None:
    given_up: list[float] = []

    def waiting(since: float | None, limit: float = 2.0) -> Any:
        found = SimpleNamespace(since=since, limit=limit, longer=0.0, give_up=given_up.append)
        found.silent = lambda now: Watched.silent(cast("Watched", found), now)
        return found

    now = time.monotonic()
    silence.end_silence([waiting(None), waiting(now - 1), waiting(now - 3), waiting(now - 3, limit=4)], now)
    assert given_up == [now - 3]


def test_a_forked_process_watches_too_though_the_lock_was_held_at_that_moment() -> None:
    watch = silence.Watch()
    with watch._lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of forking with threads about, which is what this is about
        child = os.fork()
        if child == 0:
            signal.alarm(10)  # ends a child that waits for ever
            watch.add(cast("Watched", Quiet()))
            os._exit(0 if any(thread.name == "silence" for thread in threading.enumerate()) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class Quiet:
    """Something that can be referred to weakly, as a connection can."""

    def silent(self, _: float) -> None:
        return None
