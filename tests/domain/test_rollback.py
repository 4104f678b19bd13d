"""Rollback: who held a stage before, as one table; what is refused, and what is left on record."""

from dataclasses import dataclass, field

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.db import transaction
from registry.domain import audit, model_versions, stages, tenures
from registry.domain.access import OPERATOR, Principal
from registry.domain.audit import Question
from registry.errors import Conflict, Forbidden, Invalid, ModelNotFound
from registry.tables import ModelVersion, RegisteredModel
from registry.vocabulary import Action, Role, Stage
from tests.domain.test_concurrency import at_once
from tests.factories import make_model, make_version, move, trusted

pytestmark = pytest.mark.usefixtures("context")
NONE, STAGING, PRODUCTION, ARCHIVED = Stage
CONTRIBUTOR = trusted("carla", Role.CONTRIBUTOR)
VIEWER = trusted("vera", Role.VIEWER)


@dataclass(frozen=True)
class Way:
    """Versions 1 to 4 make these moves, archiving others or not; a rollback gives the stage to `to`, or refuses."""

    says: str
    moves: list[tuple[int, Stage, bool]]
    to: int | type[Exception]
    stage: Stage = PRODUCTION
    deleted: list[int] = field(default_factory=list)
    expected: list[int] | None = None
    who: Principal = OPERATOR


WAYS = [
    Way("to the one before", [(1, PRODUCTION, True), (2, PRODUCTION, True)], 1),
    Way("not to the first, to the one before", [(n, PRODUCTION, True) for n in (1, 2, 3)], 2),
    Way("an empty stage, to its last holder", [(1, PRODUCTION, True), (2, PRODUCTION, True), (2, NONE, False)], 2),
    Way("over one that was deleted", [(n, PRODUCTION, True) for n in (1, 2, 3)], 1, deleted=[2]),
    Way("the holder was deleted", [(1, PRODUCTION, True), (2, PRODUCTION, True)], 1, deleted=[2]),
    Way("who stands there is not before", [(1, PRODUCTION, True), (2, PRODUCTION, False)], Conflict),
    Way("all holders make way", [(1, PRODUCTION, True), (2, PRODUCTION, True), (3, PRODUCTION, False)], 1),
    Way(
        "who came after the holder is not before",
        [(1, PRODUCTION, True), (2, PRODUCTION, False), (2, NONE, False)],
        Conflict,
    ),
    Way(
        "the last tenure counts",
        [(1, PRODUCTION, True), (2, PRODUCTION, True), (1, PRODUCTION, True), (3, PRODUCTION, True)],
        1,
    ),
    Way("back from where it stands now", [(1, PRODUCTION, True), (2, PRODUCTION, True), (1, STAGING, True)], 1),
    Way("nobody was there", [], Conflict),
    Way("nobody was there before", [(1, PRODUCTION, True)], Conflict),
    Way("of Staging", [(1, STAGING, True), (2, STAGING, True)], 1, stage=STAGING),
    Way(
        "of Staging, not out of Production",
        [(1, STAGING, True), (1, PRODUCTION, True), (2, STAGING, True)],
        Conflict,
        stage=STAGING,
    ),
    Way("not of Archived", [(1, ARCHIVED, False), (2, ARCHIVED, False)], Invalid, stage=ARCHIVED),
    Way("not of None", [(1, STAGING, False)], Invalid, stage=NONE),
    Way("as expected", [(1, PRODUCTION, True), (2, PRODUCTION, True)], 1, expected=[2]),
    Way("not as expected", [(1, PRODUCTION, True), (2, PRODUCTION, True)], Conflict, expected=[1]),
    Way("not empty as expected", [(1, PRODUCTION, True), (2, PRODUCTION, True)], Conflict, expected=[]),
    Way("a contributor, of Staging", [(1, STAGING, True), (2, STAGING, True)], 1, stage=STAGING, who=CONTRIBUTOR),
    Way("a contributor, not of Production", [(1, PRODUCTION, True), (2, PRODUCTION, True)], Forbidden, who=CONTRIBUTOR),
    Way("a viewer, not at all", [(1, STAGING, True), (2, STAGING, True)], Forbidden, stage=STAGING, who=VIEWER),
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.says)
def test_rollback(session: Session, way: Way) -> None:
    name = make_model()
    for _ in range(4):
        make_version(name)
    for number, stage, archive in way.moves:
        move(name, number, stage, archive_others=archive)
    for number in way.deleted:
        with transaction(OPERATOR) as change:
            model_versions.delete(change, OPERATOR, name, number)
    before = state(session, name)
    if isinstance(way.to, int):
        assert roll_back(name, way.stage, way.who, way.expected) == way.to
        assert standing(session, name, way.stage) == [way.to]
    else:
        with pytest.raises(way.to):
            roll_back(name, way.stage, way.who, way.expected)
        session.rollback()
        assert state(session, name) == before


def roll_back(name: str, stage: Stage, who: Principal = OPERATOR, expected: list[int] | None = None) -> int:
    with transaction(who, reason="errors went up") as session:
        return stages.rollback(session, who, name, stage, expected=expected).number


def standing(session: Session, name: str, stage: Stage) -> list[int]:
    return sorted(tenure.number for tenure in tenures.holders(session, OPERATOR, name, stage))


def state(session: Session, name: str) -> list[tuple[int, str]]:
    rows = session.execute(
        select(ModelVersion.number, ModelVersion.stage)
        .join(RegisteredModel)
        .where(RegisteredModel.name == name)
        .order_by(ModelVersion.number)
    )
    events = audit.search(session, OPERATOR, Question(model=name), limit=1000).items
    return [*((number, stage) for number, stage in rows), (len(events), "events")]


def two_in_turn() -> str:
    name = make_model()
    for _ in range(2):
        number = make_version(name)
        move(name, number, PRODUCTION, archive_others=True)
    return name


def test_a_second_rollback_returns_to_where_the_first_came_from(session: Session) -> None:
    name = two_in_turn()
    assert [roll_back(name, PRODUCTION) for _ in range(4)] == [1, 2, 1, 2]


def test_a_rollback_is_two_transitions_at_one_time_and_for_one_reason(session: Session) -> None:
    name = two_in_turn()
    roll_back(name, PRODUCTION)

    second, first = audit.search(session, OPERATOR, Question(model=name), limit=2).items

    assert {entry.event.action for entry in (first, second)} == {Action.VERSION_TRANSITION}
    assert (first.event.number, first.changes) == (2, {"stage": ["Production", "Archived"]})
    assert (second.event.number, second.changes) == (1, {"stage": ["Archived", "Production"]})
    assert (first.at, first.reason) == (second.at, second.reason)
    assert first.reason == "errors went up"


def test_a_missing_model_is_said_so() -> None:
    with pytest.raises(ModelNotFound):
        roll_back("never-made", PRODUCTION)


def test_parallel_rollbacks_take_turns_and_leave_one_holder(app: Flask, session: Session) -> None:
    name = two_in_turn()
    moved = at_once(app, [lambda: roll_back(name, PRODUCTION)] * 9)
    assert sorted(moved) == [1] * 5 + [2] * 4  # type: ignore[type-var]
    assert standing(session, name, PRODUCTION) == [1]
