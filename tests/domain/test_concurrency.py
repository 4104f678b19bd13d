"""What holds when many act at once: real threads, each with a connection of its own."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, select, text
from sqlalchemy.orm import Session

from registry.db import db, transaction
from registry.domain import audit, comments, model_versions, registered_models, stages, tags, tenures
from registry.domain.access import OPERATOR
from registry.domain.audit import Question
from registry.errors import AlreadyExists, VersionNotFound
from registry.tables import ModelVersion, RegisteredModel
from registry.vocabulary import Action, Stage
from tests.factories import make_model, make_version, move, unique

pytestmark = pytest.mark.usefixtures("context")
CONNECTIONS = 32


def at_once(app: Flask, jobs: list[Callable[[], object]]) -> list[object]:
    """Run all jobs, as many at a time as there are connections, each in an application context of its own."""
    together = threading.Barrier(min(len(jobs), CONNECTIONS))

    def run(job: Callable[[], object]) -> object:
        with app.app_context():
            if len(jobs) <= CONNECTIONS:
                together.wait(10)
            try:
                return job()
            except AlreadyExists as refusal:
                return refusal

    with ThreadPoolExecutor(min(len(jobs), CONNECTIONS)) as pool:
        return list(pool.map(run, jobs))


def test_64_creations_give_64_consecutive_numbers(app: Flask, session: Session) -> None:
    name = make_model()
    numbers = at_once(app, [lambda: make_version(name)] * 64)
    assert sorted(numbers) == list(range(1, 65))  # type: ignore[type-var]
    entries = audit.search(session, OPERATOR, Question(model=name), newest_first=False, limit=100).items
    assert [entry.event.seq for entry in entries] == list(range(1, 66))
    assert [entry.event.number for entry in entries[1:]] == list(range(1, 65))


def promotion(name: str, number: int) -> Callable[[], object]:
    return lambda: move(name, number, Stage.PRODUCTION, archive_others=True)


@pytest.mark.parametrize("competitors", [2, 3, 8, 20])
def test_promotions_that_archive_leave_one_production_and_the_log_tells_the_order(
    app: Flask, session: Session, competitors: int
) -> None:
    name = make_model()
    for _ in range(competitors):
        make_version(name)

    at_once(app, [promotion(name, number) for number in range(1, competitors + 1)])

    standing = session.scalars(
        select(ModelVersion.number)
        .join(RegisteredModel)
        .where(RegisteredModel.name == name, ModelVersion.stage == Stage.PRODUCTION)
    ).all()
    assert len(standing) == 1
    assert replayed(session, name) == standing


def replayed(session: Session, name: str) -> list[int]:
    """Who is left in Production when the log is replayed; at no event does anybody have company there."""
    question = Question(model=name, action=Action.VERSION_TRANSITION)
    holders: list[int] = []
    entries = audit.search(session, OPERATOR, question, newest_first=False, limit=1000).items
    for entry in entries:
        was, becomes = entry.changes["stage"]
        number = entry.event.number
        assert number is not None
        if was == Stage.PRODUCTION:
            holders.remove(number)
        if becomes == Stage.PRODUCTION:
            holders.append(number)
        assert len(holders) <= 1
    assert all(earlier.at <= later.at for earlier, later in pairwise(entries))
    return holders


def test_intervals_of_one_stage_never_overlap_when_all_archive(app: Flask, session: Session) -> None:
    name = make_model()
    for _ in range(6):
        make_version(name)
    at_once(app, [promotion(name, number) for number in range(1, 7)] * 3)
    newest_first = tenures.history(session, OPERATOR, name, Stage.PRODUCTION, limit=100).items
    assert all(later.since == earlier.until for later, earlier in pairwise(newest_first))


def test_one_of_many_gets_the_name(app: Flask, session: Session) -> None:
    name = unique()
    outcomes = Counter(type(outcome) for outcome in at_once(app, [lambda: make_model(name=name)] * 12))
    assert outcomes == {str: 1, AlreadyExists: 11}
    entries = audit.search(session, OPERATOR, Question(model=name)).items
    assert [entry.event.action for entry in entries] == [Action.MODEL_CREATE]


def test_one_of_many_gets_the_new_name(app: Flask) -> None:
    target = unique()
    names = [make_model() for _ in range(8)]

    def rename(name: str) -> Callable[[], object]:
        def job() -> str:
            with transaction(OPERATOR) as session:
                return registered_models.rename(session, OPERATOR, name, target).model.name

        return job

    outcomes = at_once(app, [rename(name) for name in names])
    assert sum(isinstance(outcome, AlreadyExists) for outcome in outcomes) == 7


@contextmanager
def held_by_a_writer(app: Flask, name: str) -> Iterator[None]:
    """Somebody else's transaction that has changed a model and does not end."""
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        with app.app_context(), transaction(OPERATOR) as session:
            comments.create(session, OPERATOR, name, None, "not finished yet")
            holding.set()
            done.wait(20)

    writer = threading.Thread(target=hold)
    writer.start()
    try:
        assert holding.wait(10)
        yield
    finally:
        done.set()
        writer.join()


def test_nobody_waits_for_the_writer_of_another_model(app: Flask) -> None:
    held, free = make_model(), make_model()
    make_version(free)
    with held_by_a_writer(app, held), transaction(OPERATOR) as session:
        session.execute(text("SET LOCAL lock_timeout = '200ms'"))
        stages.transition(session, OPERATOR, free, 1, Stage.PRODUCTION)
        comments.create(session, OPERATOR, free, 1, "no wait")
        registered_models.create(session, OPERATOR, unique(), tags={"a": "b"})


def tag_past_the_lock(session: Session, name: str, key: str) -> None:
    """Tag a model as somebody at the database's own prompt would: without its lock."""
    statement = (
        "INSERT INTO registry.registered_model_tags SELECT id, :key, 'v' FROM registry.registered_models "
        "WHERE name = :name"
    )
    session.execute(text(statement), {"key": key, "name": name})


def test_the_stream_of_a_model_takes_its_events_one_by_one_even_past_the_lock(app: Flask, session: Session) -> None:
    name = make_model()

    def second() -> None:
        with app.app_context(), transaction(OPERATOR) as change:
            tag_past_the_lock(change, name, "b")

    with ThreadPoolExecutor(1) as pool:
        with transaction(OPERATOR) as change:
            tag_past_the_lock(change, name, "a")
            waiting = pool.submit(second)
            wait_until_somebody_waits()
        waiting.result(20)
    entries = audit.search(session, OPERATOR, Question(model=name), newest_first=False).items
    assert [(entry.event.seq, entry.changes["key"]) for entry in entries[1:]] == [(2, [None, "a"]), (3, [None, "b"])]


def wait_until_somebody_waits() -> None:
    """Return once a transaction waits for another one to end."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with db.engine.connect() as bystander:
        for _ in range(200):
            if bystander.scalar(waiting):
                return
            bystander.rollback()
            threading.Event().wait(0.05)
    raise AssertionError("nobody waits")


def test_readers_do_not_wait_for_the_writer_of_their_model(app: Flask, session: Session) -> None:
    name = make_model()
    with held_by_a_writer(app, name):
        session.execute(text("SET LOCAL lock_timeout = '200ms'"))
        assert registered_models.get(session, OPERATOR, name).model.name == name


INSTANT = text("SELECT audit.instant(:stream), clock_timestamp()")


@pytest.mark.parametrize("known", [True, False], ids=["a stream that is there", "a new stream"])
def test_who_waits_in_a_stream_reads_its_clock_once_the_other_is_done(app: Flask, known: bool) -> None:
    stream = {"stream": f"test:{unique()}"}
    if known:
        with db.engine.begin() as connection:
            connection.execute(INSTANT, stream)

    def second() -> object:
        with db.engine.begin() as connection:
            return connection.scalar(INSTANT, stream)

    with ThreadPoolExecutor(1) as pool, db.engine.begin() as connection:
        first = connection.scalar(INSTANT, stream)
        waiting = pool.submit(within(app, second))
        until_somebody_waits(connection)
        again, now = connection.execute(INSTANT, stream).one()
        connection.commit()
        assert first == again
        assert waiting.result(10) > now


def within(app: Flask, job: Callable[[], object]) -> Callable[[], Any]:
    """The job in an application context of its own."""

    def run() -> object:
        with app.app_context():
            return job()

    return run


def until_somebody_waits(connection: Connection) -> None:
    """Return once another transaction waits for the one of this connection; fail after ten seconds."""
    waits = text("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid)))")
    deadline = time.monotonic() + 10
    while not connection.scalar(waits):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def tag(name: str) -> Callable[[Session], object]:
    """A change of version 1, which has to wait for the lock of its model."""
    return lambda change: tags.set_on_version(change, OPERATOR, name, 1, "seen", "too late")


def promote(name: str) -> Callable[[Session], object]:
    """Another one."""
    return lambda change: stages.transition(change, OPERATOR, name, 1, Stage.PRODUCTION)


def meanwhile(app: Flask, late: Callable[[Session], object], early: Callable[[Session], object]) -> None:
    """Do `early` and commit it while `late`, in another transaction, waits for the lock that it holds."""

    def second() -> None:
        with app.app_context(), transaction(OPERATOR) as change:
            late(change)

    with ThreadPoolExecutor(1) as pool:
        with transaction(OPERATOR) as change:
            early(change)
            waiting = pool.submit(second)
            wait_until_somebody_waits()
        waiting.result(20)


@pytest.mark.parametrize("late", [tag, promote])
def test_who_has_waited_sees_what_was_deleted_meanwhile(
    app: Flask, late: Callable[[str], Callable[[Session], object]]
) -> None:
    name = make_model()
    make_version(name)
    with pytest.raises(VersionNotFound):
        meanwhile(app, late(name), lambda change: model_versions.delete(change, OPERATOR, name, 1))


@pytest.mark.parametrize("late", [tag, promote])
def test_who_has_waited_changes_no_other_model_that_has_the_name_by_then(
    app: Flask, session: Session, late: Callable[[str], Callable[[Session], object]]
) -> None:
    """That one is not locked: it was not there when the waiting began."""
    name, other = make_model(), make_model()
    make_version(name)
    make_version(other)

    def change_places(change: Session) -> None:
        registered_models.rename(change, OPERATOR, name, unique())
        registered_models.rename(change, OPERATOR, other, name)

    with pytest.raises(VersionNotFound):
        meanwhile(app, late(name), change_places)
    assert model_versions.get(session, OPERATOR, name, 1).stage == Stage.NONE
    assert not tags.all_of(session, OPERATOR, name, 1)
