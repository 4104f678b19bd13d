"""A replica that fails in the middle of something: the primary goes on."""

import time
from contextlib import closing
from typing import Any

from flask import Flask
from sqlalchemy import event, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import selectinload

from chaos.postgres import Server
from registry.db import db
from registry.replica import Known, Reading, Replica, State
from registry.tables import RegisteredModel
from tests.conftest import client_with
from tests.factories import make_events, make_model
from tests.replica.pair import FRESH, Counted, replayed, settings, wait_until


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
