"""Transactions: one inside another joins it, and a dry run does everything and keeps nothing."""

import re
from typing import Any

import pytest
from flask import Flask
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INTRANS
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from chaos.postgres import free_port
from registry.config import Settings
from registry.db import ask, ask_at_once, db, say, transaction, translate, unaudited
from registry.domain import audit, lookup, model_versions, registered_models, stages, tags, tenures
from registry.domain.access import OPERATOR
from registry.domain.audit import Entry, Question
from registry.errors import Conflict, Invalid, NotFound, Unavailable
from registry.settled import Settled
from registry.silence import WatchedCursor
from registry.vocabulary import Role, Stage
from tests.conftest import application, superuser
from tests.factories import make_model, make_version, trusted

PID = Settled(text("SELECT pg_backend_pid()"))
QUOTIENT = Settled(text("SELECT 6 / CAST(:by AS integer)"))

pytestmark = pytest.mark.usefixtures("context")
SOMEBODY = trusted("somebody", Role.ADMINISTRATOR, "principal:4711")


def described(name: str) -> str | None:
    db.session.rollback()
    return registered_models.get(db.session(), OPERATOR, name).model.description


def events(name: str) -> list[Entry]:
    db.session.rollback()
    return audit.search(db.session(), OPERATOR, Question(model=name), newest_first=False).items


def describe(session: Session, name: str, words: str) -> None:
    registered_models.describe(session, OPERATOR, name, words)


def test_an_inner_transaction_joins_and_the_outermost_commits() -> None:
    name = make_model()
    with pytest.raises(NotFound), transaction(OPERATOR) as outer:
        with transaction(OPERATOR) as inner:
            describe(inner, name, "inner")
        assert inner is outer
        raise NotFound("a failure after the inner one has ended")
    assert described(name) is None

    with transaction(OPERATOR), transaction(OPERATOR) as inner:
        describe(inner, name, "inner")
    assert described(name) == "inner"


def test_what_is_done_inside_bears_the_inner_actor_and_reason_and_what_follows_the_outer_ones() -> None:
    name = make_model()
    with transaction(OPERATOR, reason="outer", request_id="r-1") as session:
        model = registered_models.entered(session, registered_models.lock(session, name).model)
        model.description = "before"  # not flushed: the inner block must not take it for its own
        with transaction(SOMEBODY, reason="inner", request_id="r-2"):
            model.description = "within"
        model.description = "after"
    said = [(e.event.actor, e.reason, e.event.request_id) for e in events(name)[1:]]
    assert said == [("operator", "outer", "r-1"), (SOMEBODY.id, "inner", "r-2"), ("operator", "outer", "r-1")]


def test_a_failure_inside_that_is_swallowed_still_keeps_nothing() -> None:
    name = make_model()
    with pytest.raises(RuntimeError), transaction(OPERATOR) as session:
        describe(session, name, "outer")
        with pytest.raises(Invalid), transaction(OPERATOR):
            describe(session, name, "inner")
            raise Invalid("no")
    assert described(name) is None
    with transaction(OPERATOR) as session:
        describe(session, name, "the next transaction knows nothing of it")
    assert described(name)


def test_what_the_database_refuses_inside_is_said_by_the_outermost() -> None:
    name = make_model()
    twice = text(
        "INSERT INTO registry.registered_models (name, created_at, updated_at, created_by) "
        "VALUES (:n, now(), now(), '')"
    )
    with pytest.raises(Conflict), transaction(OPERATOR), transaction(OPERATOR) as session:
        session.execute(twice, {"n": name})


def test_a_dry_run_answers_what_would_be_and_keeps_nothing() -> None:
    name = make_model()
    make_version(name)
    with transaction(OPERATOR, dry_run=True) as session:
        moved = stages.transition(session, OPERATOR, name, 1, Stage.STAGING)
        assert moved.stage == Stage.STAGING
    assert len(events(name)) == 2
    assert tenures.holders(db.session(), OPERATOR, name, Stage.STAGING) == []


def test_a_dry_run_is_checked_by_the_database_too() -> None:
    name = make_model()
    with pytest.raises(Conflict), transaction(OPERATOR, dry_run=True) as session:
        model = registered_models.entered(session, registered_models.lock(session, name).model)
        model.last_number = -1


def test_a_dry_run_has_done_what_would_have_gone_along_with_the_next_statement() -> None:
    name = make_model()
    with pytest.raises(Conflict), transaction(OPERATOR, dry_run=True) as session:
        held = registered_models.lock(session, name)
        say(session, model_versions.NUMBER, id=held.model.id, last=-1, instant=held.instant)


def test_what_goes_along_with_nothing_else_is_done_before_the_commit() -> None:
    name = make_model()
    with transaction(OPERATOR) as session:
        held = registered_models.lock(session, name)
        say(session, model_versions.NUMBER, id=held.model.id, last=7, instant=held.instant)
    assert registered_models.get(db.session(), OPERATOR, name).model.last_number == 7
    with pytest.raises(Conflict), transaction(OPERATOR) as session:
        held = registered_models.lock(session, name)
        say(session, model_versions.NUMBER, id=held.model.id, last=-1, instant=held.instant)
    assert registered_models.get(db.session(), OPERATOR, name).model.last_number == 7


def test_what_is_said_after_a_savepoint_is_undone_with_it_and_what_was_said_before_is_kept() -> None:
    name = make_model()
    with transaction(OPERATOR) as session:
        held = registered_models.lock(session, name)
        say(session, model_versions.NUMBER, id=held.model.id, last=3, instant=held.instant)
        with transaction(OPERATOR, dry_run=True):
            say(session, model_versions.NUMBER, id=held.model.id, last=9, instant=held.instant)
    assert registered_models.get(db.session(), OPERATOR, name).model.last_number == 3


def test_what_is_said_within_a_savepoint_is_undone_with_it() -> None:
    name = make_model()
    with transaction(OPERATOR) as session:
        held = registered_models.lock(session, name)
        with pytest.raises(Invalid), session.begin_nested():
            say(session, model_versions.NUMBER, id=held.model.id, last=9, instant=held.instant)
            assert ask(session, lookup.BY_NAME, name=name)  # so it is done
            raise Invalid("and undone")
        model_versions.create(session, OPERATOR, name, source="s3://b/1", tags={})
    assert registered_models.get(db.session(), OPERATOR, name).model.last_number == 1


@pytest.mark.parametrize(
    "inside", [Session.begin_nested, lambda _: transaction(OPERATOR, request_id="r", dry_run=True)]
)
def test_what_goes_along_is_kept_where_a_savepoint_was_never_needed(inside: Any) -> None:
    name = make_model()
    with transaction(OPERATOR, request_id="r") as session:
        tags.set_on_model(session, OPERATOR, name, "key", "kept")
        with inside(session):
            pass
    assert tags.all_of(db.session(), OPERATOR, name, None) == {"key": "kept"}


def test_what_cannot_be_sent_takes_neither_the_beginning_nor_what_goes_along_with_it() -> None:
    name = make_model()
    with pytest.raises(NotFound), transaction(OPERATOR) as session:
        unsendable(session)
        tags.set_on_model(session, OPERATOR, name, "key", "undone")
        raise NotFound("a failure after the change")
    assert tags.all_of(db.session(), OPERATOR, name, None) == {}
    with transaction(OPERATOR) as session:
        tags.set_on_model(session, OPERATOR, name, "key", "kept")
        unsendable(session)
    assert tags.all_of(db.session(), OPERATOR, name, None) == {"key": "kept"}


@pytest.mark.parametrize("first", [False, True])
def test_a_cursor_of_the_server_that_cannot_be_opened_leaves_no_transaction_behind(first: bool) -> None:
    name = make_model()
    db.session.rollback()
    with pytest.raises(ProgrammingError), transaction(OPERATOR) as session:
        if not first:
            registered_models.lock(session, name)
        session.execute(text("SELECT :x"), {"x": object()}, execution_options={"stream_results": True})
    assert status() == TRANSACTION_STATUS_IDLE


def test_a_cursor_of_the_server_asks_in_the_transaction_of_all_the_other_statements() -> None:
    name, streamed = make_model(), {"stream_results": True}
    question = text("SELECT description FROM registry.registered_models WHERE name = :name")
    with pytest.raises(NotFound), transaction(OPERATOR) as session:
        describe(session, name, "undone")
        for _ in range(2):
            assert session.scalars(question, {"name": name}, execution_options=streamed).all() == ["undone"]
        raise NotFound("a failure after it was asked")
    assert described(name) is None
    with transaction(OPERATOR) as session:
        assert session.scalars(question, {"name": name}, execution_options=streamed).all() == [None]
        describe(session, name, "kept")
    assert described(name) == "kept"
    assert status() == TRANSACTION_STATUS_IDLE


def unsendable(session: Session) -> None:
    """Ask for what the driver cannot write down."""
    with pytest.raises(ProgrammingError, match="adapt"):
        session.execute(text("SELECT :x"), {"x": object()})


def test_a_transaction_whose_connection_breaks_gives_back_none_that_is_broken() -> None:
    name = make_model()
    pool = db.engine.pool
    assert isinstance(pool, QueuePool)
    db.session.rollback()
    before = pool.checkedout()
    with pytest.raises(Unavailable), transaction(OPERATOR) as session:
        [[pid]] = ask(session, PID)
        with superuser() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        ask(session, PID)
    assert pool.checkedout() == before
    for _ in range(pool.size() + 1):
        assert registered_models.get(db.session(), OPERATOR, name).model.name == name
        db.session.rollback()


def test_a_change_outside_a_transaction_is_refused() -> None:
    with pytest.raises(RuntimeError):
        say(db.session(), model_versions.NUMBER, id=1, last=1, instant=None)


def test_what_was_read_cannot_be_changed_in_silence() -> None:
    name = make_model()
    with pytest.raises(RuntimeError, match="by a statement"), transaction(OPERATOR) as session:
        registered_models.lock(session, name).model.description = "lost"
    assert described(name) is None


def test_a_transaction_in_which_nothing_is_asked_neither_begins_nor_ends() -> None:
    db.session.rollback()
    with pytest.raises(Invalid), transaction(OPERATOR) as session:
        driver: Any = session.connection().connection.dbapi_connection
        driver.notices.clear()
        raise Invalid("before anything was asked")
    assert status() == TRANSACTION_STATUS_IDLE
    assert not driver.notices  # the server warns of a ROLLBACK without a BEGIN
    with transaction(OPERATOR):
        pass
    assert not driver.notices


def test_a_dry_run_inside_another_transaction_undoes_itself_alone() -> None:
    name, other = make_model(), make_model()
    with transaction(OPERATOR, reason="outer") as session:
        describe(session, name, "kept")
        with transaction(SOMEBODY, reason="inner", dry_run=True):
            describe(session, name, "tried")
            describe(session, other, "tried")
        assert registered_models.get(session, OPERATOR, name).model.description == "kept"
        describe(session, other, "after")
    assert (described(name), described(other)) == ("kept", "after")
    assert [(e.event.actor, e.reason) for e in events(other)[1:]] == [("operator", "outer")]


def test_a_transaction_inside_a_dry_run_is_undone_with_it() -> None:
    name = make_model()
    with transaction(OPERATOR, dry_run=True), transaction(OPERATOR) as session:
        describe(session, name, "tried")
    assert described(name) is None


def test_nothing_that_would_end_a_transaction_can_begin_within_it() -> None:
    name = make_model()
    with pytest.raises(RuntimeError), transaction(OPERATOR) as session:
        describe(session, name, "words")
        with unaudited():
            pass
    assert described(name) is None


def test_the_settings_reach_every_connection(database_url: str) -> None:
    settings = Settings(database_url=database_url, statement_timeout_ms=1234, lock_timeout_ms=567, threads=3)
    with application(settings) as app, app.app_context():
        shown = {
            name: db.session.scalar(text(f"SHOW {name}"))
            for name in ("statement_timeout", "lock_timeout", "timezone", "application_name")
        }
        assert db.engine.pool.size() == settings.pool_size == 3  # type: ignore[attr-defined]
    assert shown == {
        "statement_timeout": "1234ms",
        "lock_timeout": "567ms",
        "timezone": "UTC",
        "application_name": "model-registry",
    }


def test_a_statement_that_takes_longer_than_the_setting_is_given_up(database_url: str) -> None:
    settings = Settings(database_url=database_url, statement_timeout_ms=100)
    with (
        application(settings) as app,
        app.app_context(),
        pytest.raises(Unavailable, match="took too long"),
        transaction(OPERATOR) as session,
    ):
        session.execute(text("SELECT pg_sleep(20)"))


def test_what_users_sent_does_not_stand_in_the_trace_of_a_fault() -> None:
    with pytest.raises(DBAPIError) as fault:
        db.session.execute(text("SELECT length(:words) / 0"), {"words": "a secret of somebody's"})
    assert "secret" not in str(fault.value)
    db.session.rollback()


def status() -> int:
    driver: Any = db.session.connection().connection.dbapi_connection
    return int(driver.info.transaction_status)


def test_reading_begins_no_transaction_and_a_change_does() -> None:
    db.session.rollback()
    db.session.execute(text("SELECT 1"))
    assert status() == TRANSACTION_STATUS_IDLE
    with transaction(OPERATOR) as session:
        session.execute(text("SELECT 1"))
        assert status() == TRANSACTION_STATUS_INTRANS
    db.session.execute(text("SELECT 1"))
    assert status() == TRANSACTION_STATUS_IDLE
    with unaudited() as session:
        session.execute(text("SELECT 1"))
        assert status() == TRANSACTION_STATUS_INTRANS
    db.session.rollback()
    with db.engine.connect() as connection:  # the pool hands the same one out again
        connection.execute(text("SELECT 1"))
        driver: Any = connection.connection.dbapi_connection
        assert driver.info.transaction_status == TRANSACTION_STATUS_INTRANS


def test_one_question_takes_no_transaction_and_gives_its_connection_back() -> None:
    db.session.rollback()
    pool = db.engine.pool
    assert isinstance(pool, QueuePool)
    before = pool.checkedout()
    assert ask_at_once(db.engine, QUOTIENT, {"by": 2}) == [(3,)]
    with pytest.raises(DBAPIError):
        ask_at_once(db.engine, QUOTIENT, {"by": 0})
    assert pool.checkedout() == before


def test_where_nobody_can_connect_that_is_a_fault_of_the_database_as_any_other() -> None:
    engine = create_engine(f"postgresql+psycopg2://nobody@127.0.0.1:{free_port()}/nowhere")
    with pytest.raises(DBAPIError) as refused:
        ask_at_once(engine, PID, {})
    assert isinstance(translate(refused.value), Unavailable)


def test_no_connection_is_handed_out_that_has_ended_meanwhile(app: Flask) -> None:
    with application(app.config["REGISTRY"]) as other, other.app_context():
        [[pid]] = ask_at_once(db.engine, PID, {})
        assert ask_at_once(db.engine, PID, {}) == [(pid,)]
        with superuser() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        assert ask_at_once(db.engine, PID, {}) != [(pid,)]


def test_a_connection_with_news_that_still_lives_is_used_on(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with application(app.config["REGISTRY"]) as other, other.app_context():
        [[pid]] = ask_at_once(db.engine, PID, {})
        monkeypatch.setattr("registry.db.has_news", lambda _: True)
        assert ask_at_once(db.engine, PID, {}) == [(pid,)]


def test_a_transaction_begins_and_is_told_who_acts_along_with_its_first_statement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name, watch = make_model(), WatchedCursor._watched
    messages: list[str] = []

    def watched(cursor: WatchedCursor, ask: Any, *given: Any) -> Any:
        messages.extend(one if isinstance(one, str) else one.decode() for one in given if one)
        return watch(cursor, ask, *given)

    pool = db.engine.pool
    assert isinstance(pool, QueuePool)
    for _ in range(pool.size()):  # then all that is prepared is prepared on each connection
        with transaction(OPERATOR) as session:
            tags.set_on_model(session, OPERATOR, name, "key", "warm")
    monkeypatch.setattr(WatchedCursor, "_watched", watched)
    with transaction(OPERATOR) as session:
        tags.set_on_model(session, OPERATOR, name, "key", "100 %")
    monkeypatch.undo()
    [begin] = messages  # the rest goes along with the COMMIT
    assert re.fullmatch(r"BEGIN; SELECT set_config\('app.actor', 'operator', .*; EXECUTE registry_\w+ \(.*\)", begin)
    assert [entry.event.actor for entry in events(name)] == ["operator"] * 3  # made, warm, and 100 %


def test_statements_without_names_for_their_values_are_told_it_too() -> None:
    name = make_model()
    statement = "UPDATE registry.registered_models SET description = %s WHERE name = %s"
    with transaction(SOMEBODY, reason="many") as session:
        session.connection().exec_driver_sql(statement, [("one", name), ("two", name)])
    assert [(entry.event.actor, entry.reason) for entry in events(name)[1:]] == [(SOMEBODY.id, "many")] * 2


def test_what_was_not_said_before_a_savepoint_was_undone_is_not_said_afterwards() -> None:
    name = make_model()
    with transaction(OPERATOR, reason="outer") as session:
        describe(session, name, "before")
        with transaction(SOMEBODY, reason="inner", dry_run=True):
            pass
        describe(session, name, "after")
    assert {(entry.event.actor, entry.reason) for entry in events(name)[1:]} == {("operator", "outer")}


def test_nothing_that_was_to_be_said_outlives_its_transaction() -> None:
    name = make_model()
    with transaction(SOMEBODY, reason="nothing is done"):
        pass
    with pytest.raises(Invalid), transaction(SOMEBODY, reason="nothing was done"):
        raise Invalid("no")
    with pytest.raises(DBAPIError), unaudited() as session:
        describe(session, name, "in nobody's name")
