"""Failed attempts: what they count against, where they end, and that as many are let through as the settings say."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, text, update

from registry.config import Settings
from registry.db import db, unaudited
from registry.domain import attempts
from registry.tables import FailedAttempts
from tests.conftest import superuser
from tests.factories import unique

pytestmark = pytest.mark.usefixtures("context")

LIMITS = Settings(failed_attempts_per_address=3, failed_attempts_per_token=2, failed_attempts_seconds=600)
BY_ADDRESS = replace(LIMITS, failed_attempts_per_token=0)


def attempt(address: str, secret: str = "mreg_0", settings: Settings = LIMITS) -> int | None:
    with unaudited() as session:
        return attempts.exhausted(session, settings, address, secret)


def rows() -> int:
    db.session.rollback()
    return db.session.scalars(select(func.count()).select_from(FailedAttempts)).one()


def test_an_address_is_refused_after_so_many_and_told_how_long() -> None:
    here = unique()
    assert [attempt(here, unique()) for _ in range(3)] == [None] * 3
    wait = attempt(here, unique())
    assert wait is not None
    assert 590 <= wait <= 600
    assert attempt(unique(), unique()) is None


def test_a_token_is_refused_after_so_many_wherever_it_comes_from() -> None:
    secret = unique()  # its first twelve characters are its own
    assert [attempt(unique(), secret) for _ in range(2)] == [None] * 2
    assert attempt(unique(), secret) is not None
    assert attempt(unique(), secret[:12] + "something else") is not None
    assert attempt(unique(), "x" + secret) is None


def test_credentials_of_issuers_begin_alike_and_count_against_their_address_alone() -> None:
    signed = "eyJhbGciOiJS.eyJpc3MiOi.c2ln"
    assert [attempt(unique(), signed) for _ in range(5)] == [None] * 5
    here = unique()
    assert [attempt(here, signed) is None for _ in range(4)] == [True, True, True, False]


def test_a_limit_of_0_is_none() -> None:
    here, secret = unique(), unique()
    none = replace(LIMITS, failed_attempts_per_address=0, failed_attempts_per_token=0)
    before = rows()
    assert [attempt(here, secret, none) for _ in range(9)] == [None] * 9
    assert rows() == before


def test_all_addresses_of_one_caller_count_together() -> None:
    prefix = f"2001:db8:{secrets_hex()}"
    assert [attempt(f"{prefix}::{n}", unique()) is None for n in range(4)] == [True, True, True, False]
    assert attempt(f"{prefix}:1::1", unique()) is None


def secrets_hex() -> str:
    return unique()[-4:]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("a socket", "a socket"),
    ],
)
def test_what_an_address_counts_as(address: str, network: str) -> None:
    assert attempts.network_of(address) == network


def test_counting_begins_anew_once_its_time_is_over() -> None:
    here = unique()
    while attempt(here, settings=BY_ADDRESS) is None:
        pass
    with unaudited() as session:
        session.execute(update(FailedAttempts).values(expires_at=func.clock_timestamp() - timedelta(seconds=1)))
    assert attempt(here, settings=BY_ADDRESS) is None


def test_a_flood_writes_nothing_more_once_it_is_refused() -> None:
    here = unique()
    while attempt(here, settings=BY_ADDRESS) is None:
        pass
    state = select(FailedAttempts.key, FailedAttempts.count, text("xmin::text")).order_by(FailedAttempts.key)
    before = db.session.execute(state).all()
    assert attempt(here, settings=BY_ADDRESS)
    db.session.rollback()
    assert db.session.execute(state).all() == before


def test_what_has_run_out_is_removed_by_those_who_come_after() -> None:
    for _ in range(5):
        attempt(unique(), settings=BY_ADDRESS)
    with unaudited() as session:
        session.execute(update(FailedAttempts).values(expires_at=func.clock_timestamp() - timedelta(seconds=1)))
    before = rows()
    for _ in range(before // attempts.FORGOTTEN_AT_ONCE + 1):
        attempt(unique(), settings=BY_ADDRESS)
    assert rows() <= before // attempts.FORGOTTEN_AT_ONCE + 1


def test_of_those_that_come_at_once_exactly_as_many_are_let_through(app: Flask) -> None:
    here, start = unique(), threading.Barrier(12)
    limits = replace(BY_ADDRESS, failed_attempts_per_address=7)

    def at_once(_: int) -> bool:
        with app.app_context():
            start.wait()
            return attempt(here, settings=limits) is None

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(at_once, range(12))) == 7


def test_neither_addresses_nor_what_was_tried_can_be_read_in_the_table() -> None:
    here, secret = unique(), "correct horse battery"
    attempt(here, secret)
    with superuser() as connection:
        kept = connection.scalars(text("SELECT encode(key, 'escape') FROM registry.failed_attempts")).all()
        assert connection.scalar(text("SELECT relpersistence FROM pg_class WHERE relname = 'failed_attempts'")) == "u"
    assert kept
    assert not [key for key in kept if here in key or "correct" in key]


def test_the_library_can_look_after_its_counts() -> None:
    with unaudited() as session:
        counts = attempts.Counts(session)
        assert counts.check()
        assert (counts.incr("a", 60), counts.incr("a", 60, 3), counts.get("a")) == (1, 4, 4)
        counts.clear("a")
        assert counts.get("a") == 0
        counts.incr("b", 60)
        assert counts.reset() == 1 or counts.get("b") == 0
