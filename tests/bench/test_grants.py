"""Callers with many grants: who they are, and what their requests take."""

from collections.abc import Iterator

import pytest
from sqlalchemy import make_url, text

from bench import grants
from bench.grants import ANEW, ASKED_AGAIN, COUNTS, KEPT, ROOM, Asking
from bench.load import registry
from bench.population import Size
from bench.questions import BY_NAME, RESOLVE, TRANSITION, Known
from registry.db import db
from registry.ownership import APP
from tests.conftest import as_role, database

SIZE = Size("tiny", models=40, versions=420, largest=30)
MANY = 150
"""More than are made in one transaction."""


@pytest.fixture(scope="module")
def loaded(server_url: str, template_url: str) -> Iterator[str]:
    with database(server_url, str(make_url(template_url).database)) as url:
        registry.load(url, SIZE, say=lambda _: None)
        as_role(url, APP)  # where roles have passwords, this one gets the same
        yield url


@pytest.fixture(scope="module")
def callers(loaded: str) -> dict[int, str]:
    with grants.application(loaded) as app:
        return {count: grants.caller(app, count) for count in (1, MANY)}


def test_each_has_as_many_grants_as_it_should_and_the_last_one_is_for_what_is_measured(
    loaded: str, callers: dict[int, str]
) -> None:
    question = (
        "SELECT count(*), max(pattern) FILTER (WHERE g.id = last) FROM registry.grants g JOIN (SELECT principal_id, "
        "max(id) AS last FROM registry.grants WHERE pattern <> '*' GROUP BY 1) AS latest USING (principal_id) "
        "GROUP BY principal_id ORDER BY 1"
    )
    with grants.application(loaded) as app, app.app_context():
        found = [tuple(row) for row in db.session.execute(text(question))]
    assert found == [(1, "model-*"), (MANY, "model-*")]
    assert callers.keys() == {1, MANY}


@pytest.mark.parametrize("question", [KEPT, ANEW, TRANSITION])
def test_more_grants_take_no_more_statements(loaded: str, callers: dict[int, str], question: str) -> None:
    changes = question == TRANSITION
    asking = Asking(BY_NAME[TRANSITION if changes else RESOLVE].requests(SIZE, Known()), changes=changes)
    counted = grants.count_statements(loaded, ROOM[question], asking, callers)
    assert counted[1] == counted[MANY] > 0
    assert question != KEPT or counted[1] == 1


def test_transitions_take_turns_and_questions_stay_the_same() -> None:
    moves = BY_NAME[TRANSITION].requests(SIZE, Known())
    asking = Asking(moves, changes=True)
    assert [*asking.some(2), *asking.some(3)] == moves[:5]
    assert Asking(moves[:ASKED_AGAIN]).some(3) == [moves[0]] * 3
    assert COUNTS == (1, 10, 100, 1_000)
