"""The moves of a version: all of them, with who and why, newest first, and only its own."""

import pytest
from sqlalchemy.orm import Session

from registry.db import transaction
from registry.domain import model_versions, stages, tags, transitions
from registry.domain.access import OPERATOR, Principal
from registry.domain.transitions import Move
from registry.errors import Invalid, ModelNotFound, VersionNotFound
from registry.vocabulary import Stage
from tests.factories import make_model, make_version, move

pytestmark = pytest.mark.usefixtures("context")


def moves(session: Session, name: str, number: int = 1) -> list[Move]:
    return transitions.search(session, OPERATOR, name, number, limit=100).items


def path(found: list[Move]) -> list[tuple[str, str | None, str | None]]:
    return [(one.action.partition(".")[2], one.before, one.after) for one in found]


def test_they_tell_the_whole_way(session: Session, steward: Principal) -> None:
    name = make_model(steward)
    make_version(name, steward)
    make_version(name, stage=Stage.PRODUCTION)
    move(name, 1, Stage.STAGING, steward)
    with transaction(steward, reason="better", request_id="request-9") as change:
        stages.transition(change, steward, name, 1, Stage.PRODUCTION, archive_others=True)
        tags.set_on_version(change, steward, name, 1, "team", "risk")
    with transaction(OPERATOR) as change:
        model_versions.delete(change, OPERATOR, name, 1)

    found = moves(session, name)

    assert path(found) == [
        ("delete", "Production", None),
        ("transition", "Staging", "Production"),
        ("transition", "None", "Staging"),
        ("create", None, "None"),
    ]
    deleted, promoted, *_ = found
    assert (promoted.by.id, promoted.by.name) == (steward.id, steward.name)
    assert (promoted.reason, promoted.request_id) == ("better", "request-9")
    assert (deleted.by.id, deleted.reason) == ("operator", None)
    assert [one.at for one in found] == sorted((one.at for one in found), reverse=True)
    assert {one.number for one in found} == {1}


def test_a_version_registered_in_a_stage_came_from_none(session: Session) -> None:
    name = make_model()
    with transaction(OPERATOR) as change:
        stages.register(change, OPERATOR, name, stage=Stage.STAGING, source="s3://b/k", tags={})
    created, moved = moves(session, name)[::-1]
    assert path([created, moved]) == [("create", None, "None"), ("transition", "None", "Staging")]
    assert created.at == moved.at


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pages_show_every_move_once(session: Session, size: int) -> None:
    name = make_model()
    make_version(name)
    for stage in [Stage.STAGING, Stage.PRODUCTION, Stage.ARCHIVED] * 2:
        move(name, 1, stage)
    seen, token = [], None
    while True:
        page = transitions.search(session, OPERATOR, name, 1, limit=size, token=token)
        seen += page.items
        token = page.next_token
        if token is None:
            break
    assert seen == moves(session, name)
    assert len(seen) == 7


def test_a_token_belongs_to_its_version(session: Session) -> None:
    name = make_model()
    for _ in range(2):
        make_version(name, stage=Stage.STAGING)
    token = transitions.search(session, OPERATOR, name, 1, limit=1).next_token
    with pytest.raises(Invalid):
        transitions.search(session, OPERATOR, name, 2, limit=1, token=token)


@pytest.mark.parametrize("number", [0, 2, 2**31, 10**30])
def test_a_version_that_never_was_is_not_found(session: Session, number: int) -> None:
    name = make_model()
    make_version(name)
    with pytest.raises(VersionNotFound):
        moves(session, name, number)
    with pytest.raises(ModelNotFound):
        moves(session, name + "x", 1)
