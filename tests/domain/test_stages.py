"""Transitions: their rules as one table, their time, their record."""

from dataclasses import dataclass

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.db import transaction
from registry.domain import audit, registered_models, stages, tenures
from registry.domain.access import OPERATOR, Principal
from registry.domain.audit import Question
from registry.domain.tenures import Holder
from registry.domain.times import rfc3339
from registry.errors import Conflict, Forbidden, Invalid, VersionNotFound
from registry.tables import ModelVersion, RegisteredModel, StageInterval
from registry.vocabulary import Action, Role, Stage
from tests.factories import make_model, make_version, move, trusted

NONE, STAGING, PRODUCTION, ARCHIVED = Stage
CONTRIBUTOR = trusted("carla", Role.CONTRIBUTOR)
VIEWER = trusted("vera", Role.VIEWER)


@dataclass(frozen=True)
class Rule:
    """Versions 1, 2, 3 stand in `before`; version 1 moves to `to`; then they stand in `after`, or it is refused."""

    says: str
    before: list[Stage]
    to: Stage
    after: list[Stage] | type[Exception]
    archive: bool = False
    expected: list[int] | None = None
    who: Principal = OPERATOR


RULES = [
    Rule("any stage to any stage", [NONE], ARCHIVED, [ARCHIVED]),
    Rule("back out of Archived", [ARCHIVED], PRODUCTION, [PRODUCTION]),
    Rule("to where it stands already", [STAGING], STAGING, [STAGING]),
    Rule("several may share a stage", [NONE, PRODUCTION], PRODUCTION, [PRODUCTION, PRODUCTION]),
    Rule("others make way", [NONE, PRODUCTION, PRODUCTION], PRODUCTION, [PRODUCTION, ARCHIVED, ARCHIVED], archive=True),
    Rule(
        "only those in the target make way", [NONE, STAGING, PRODUCTION], STAGING, [STAGING, ARCHIVED, PRODUCTION], True
    ),
    Rule("itself makes no way", [PRODUCTION, PRODUCTION], PRODUCTION, [PRODUCTION, ARCHIVED], archive=True),
    Rule("nobody makes way in Archived", [NONE, ARCHIVED], ARCHIVED, Invalid, archive=True),
    Rule("nobody makes way in None", [STAGING, NONE], NONE, Invalid, archive=True),
    Rule("as expected, held by 2", [NONE, PRODUCTION], PRODUCTION, [PRODUCTION, ARCHIVED], True, expected=[2]),
    Rule("held by 3, not by 2", [NONE, NONE, PRODUCTION], PRODUCTION, Conflict, True, expected=[2]),
    Rule("held by 2 and 3, not by 2 alone", [NONE, PRODUCTION, PRODUCTION], PRODUCTION, Conflict, True, expected=[2]),
    Rule("empty, as expected", [NONE], PRODUCTION, [PRODUCTION], expected=[]),
    Rule("not empty, as expected", [NONE, PRODUCTION], PRODUCTION, Conflict, expected=[]),
    Rule("a contributor moves to Staging", [NONE], STAGING, [STAGING], who=CONTRIBUTOR),
    Rule("a contributor does not promote", [STAGING], PRODUCTION, Forbidden, who=CONTRIBUTOR),
    Rule("a contributor does not demote", [PRODUCTION], ARCHIVED, Forbidden, who=CONTRIBUTOR),
    Rule("a viewer moves nothing", [NONE], STAGING, Forbidden, who=VIEWER),
]


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.says)
def test_transition(rule: Rule, session: Session) -> None:
    name = make_model()
    for stage in rule.before:
        make_version(name, stage=stage)
    if isinstance(rule.after, list):
        carry_out(name, rule)
        assert stages_of(session, name) == rule.after
    else:
        count = len(events(session, name))
        with pytest.raises(rule.after):
            carry_out(name, rule)
        session.rollback()
        assert stages_of(session, name) == rule.before
        assert len(events(session, name)) == count


def carry_out(name: str, rule: Rule) -> None:
    with transaction(rule.who) as session:
        stages.transition(session, rule.who, name, 1, rule.to, archive_others=rule.archive, expected=rule.expected)


def stages_of(session: Session, name: str) -> list[Stage]:
    rows = session.scalars(
        select(ModelVersion.stage)
        .join(RegisteredModel)
        .where(RegisteredModel.name == name)
        .order_by(ModelVersion.number)
    )
    return [Stage(stage) for stage in rows]


def events(session: Session, name: str) -> list[audit.Entry]:
    return audit.search(session, OPERATOR, Question(model=name), newest_first=False).items


def test_a_conflict_says_who_holds_the_stage_and_since_when(session: Session) -> None:
    name = make_model()
    make_version(name)
    holder = make_version(name, stage=PRODUCTION)
    [tenure] = tenures.holders(session, OPERATOR, name, PRODUCTION)

    with pytest.raises(Conflict) as refused, transaction(OPERATOR) as change:
        stages.transition(change, OPERATOR, name, 1, PRODUCTION, expected=[7])

    assert f"held by version {holder} (since {rfc3339(tenure.since)}, by operator); expected was version 7" in (
        refused.value.message
    )
    assert refused.value.details == {"holders": [Holder(holder, tenure.since, tenure.by)]}


def test_a_version_that_is_not_there_archives_nothing(session: Session) -> None:
    name = make_model()
    make_version(name, stage=PRODUCTION)
    with pytest.raises(VersionNotFound), transaction(OPERATOR) as change:
        stages.transition(change, OPERATOR, name, 2, PRODUCTION, archive_others=True)
    assert stages_of(session, name) == [PRODUCTION]


def test_all_that_moves_gets_one_time_and_so_do_its_records(session: Session) -> None:
    name = make_model()
    for stage in (PRODUCTION, PRODUCTION, NONE):
        make_version(name, stage=stage)

    move(name, 3, PRODUCTION, archive_others=True)

    detail = registered_models.get(session, OPERATOR, name)
    versions = session.scalars(select(ModelVersion).where(ModelVersion.model_id == detail.model.id))
    times = {version.updated_at for version in versions} | {detail.model.updated_at}
    times |= {entry.at for entry in events(session, name)[-3:]}
    opened = select(StageInterval.since).where(StageInterval.model_id == detail.model.id, StageInterval.until.is_(None))
    times |= set(session.scalars(opened))
    assert len(times) == 1


@pytest.mark.parametrize("up", [True, False], ids=["a higher number comes", "a lower number comes"])
def test_making_way_is_an_event_of_its_own_before_the_promotion(session: Session, up: bool) -> None:
    name = make_model()
    first = make_version(name, stage=PRODUCTION if up else STAGING)
    second = make_version(name, stage=STAGING if up else PRODUCTION)
    leaving, coming = (first, second) if up else (second, first)
    with transaction(OPERATOR, reason="better on every slice", request_id="request-7") as change:
        stages.transition(change, OPERATOR, name, coming, PRODUCTION, archive_others=True)

    archived, promoted = events(session, name)[-2:]

    assert [entry.event.action for entry in (archived, promoted)] == [Action.VERSION_TRANSITION] * 2
    assert (archived.event.number, archived.changes) == (leaving, {"stage": ["Production", "Archived"]})
    assert (promoted.event.number, promoted.changes) == (coming, {"stage": ["Staging", "Production"]})
    assert {entry.event.request_id for entry in (archived, promoted)} == {"request-7"}
    assert {entry.reason for entry in (archived, promoted)} == {"better on every slice"}


def test_a_move_to_where_it_stands_is_no_change_and_leaves_no_event(session: Session) -> None:
    name = make_model()
    make_version(name, stage=STAGING)
    before = events(session, name)
    move(name, 1, STAGING)
    assert events(session, name) == before


def test_history_tells_who_stood_there_when_and_who_ended_it(session: Session) -> None:
    name = make_model()
    make_version(name, stage=PRODUCTION)
    make_version(name)
    with transaction(OPERATOR, reason="drift") as change:
        stages.transition(change, OPERATOR, name, 2, PRODUCTION, archive_others=True)

    now, before = tenures.history(session, OPERATOR, name, PRODUCTION, limit=100).items

    assert (now.number, now.until, now.by.id, now.reason) == (2, None, OPERATOR.id, "drift")
    assert before.ended_by is not None
    assert (before.number, before.until, before.ended_by.id) == (1, now.since, OPERATOR.id)
    assert [t.number for t in tenures.holders(session, OPERATOR, name, PRODUCTION)] == [2]
    assert [t.number for t in tenures.holders(session, OPERATOR, name, PRODUCTION, before.since)] == [1]
