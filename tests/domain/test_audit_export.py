"""Exports of the log: all that was committed when one began, none twice, and nothing held between two batches."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.db import db
from registry.domain import audit_export
from registry.domain.access import OPERATOR
from registry.domain.audit import Events, Question
from registry.errors import Invalid, ModelNotFound
from registry.tables import AuditEvent
from registry.vocabulary import Stage
from tests.domain.test_concurrency import held_by_a_writer
from tests.factories import make_events, make_model, make_version, move

pytestmark = pytest.mark.usefixtures("context")
Place = tuple[int, int]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_export, "BATCH", 7)


def places(_: Session, events: Events) -> list[Place]:
    return [(event.at_us, event.id) for event in events]


@pytest.fixture
def export(app: Flask, session: Session) -> Callable[..., Iterator[list[Place]]]:
    @contextmanager
    def another() -> Iterator[Session]:
        with app.app_context():
            yield db.session()

    def begin(question: Question, **options: object) -> Iterator[list[Place]]:
        return audit_export.export(session, another, OPERATOR, question, places, **options)  # type: ignore[arg-type]

    return begin


def committed() -> set[Place]:
    db.session.rollback()
    return {(at_us, number) for at_us, number in db.session.execute(select(AuditEvent.at_us, AuditEvent.id))}


@pytest.mark.parametrize("newest_first", [False, True])
def test_an_export_has_all_of_its_beginning_once_however_much_is_written_meanwhile(
    app: Flask, export: Callable[..., Iterator[list[Place]]], newest_first: bool
) -> None:
    make_events(40)
    held, busy = make_model(), make_model()
    make_version(busy)
    got: list[Place] = []
    with held_by_a_writer(app, held):
        at_first = committed()
        batches = export(Question(), newest_first=newest_first)
        got += next(batches)
    for index, batch in enumerate(batches):  # the writer's event has come in late, and there is one more each time
        got += batch
        move(busy, 1, [Stage.STAGING, Stage.NONE][index % 2])
    assert len(got) == len(set(got))
    assert at_first <= set(got) < committed()
    assert all((earlier > later) if newest_first else (earlier < later) for earlier, later in pairwise(got))


@pytest.mark.parametrize("limit", [1, 6, 7, 8, 14, 100])
def test_a_limit_ends_an_export(export: Callable[..., Iterator[list[Place]]], limit: int) -> None:
    [name] = make_events(20)
    everything = [place for batch in export(Question(model=name)) for place in batch]
    assert len(everything) == 21
    assert [place for batch in export(Question(model=name), limit=limit) for place in batch] == everything[:limit]


def test_nothing_is_held_between_two_batches(app: Flask, export: Callable[..., Iterator[list[Place]]]) -> None:
    [name] = make_events(20)
    batches = export(Question(model=name))
    db.session.rollback()
    idle = db.engine.pool.checkedout()  # type: ignore[attr-defined]
    for _ in batches:
        assert db.engine.pool.checkedout() == idle  # type: ignore[attr-defined]


def test_what_is_refused_is_refused_before_the_first_batch(
    export: Callable[..., Iterator[list[Place]]],
) -> None:
    with pytest.raises(ModelNotFound):
        export(Question(model="no such model"))
    with pytest.raises(Invalid, match="without its model"):
        export(Question(number=1))


def test_nothing_found_is_no_batch(export: Callable[..., Iterator[list[Place]]]) -> None:
    assert list(export(Question(request_id="never used"))) == []
