"""Frequent statements are planned once on each connection."""

import dataclasses
from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import bindparam, select, text

from registry.db import ask, db, transaction
from registry.domain import lookup, references
from registry.domain.access import OPERATOR
from registry.errors import AlreadyExists, ModelNotFound
from registry.prepared import marked, spelled
from registry.tables import RegisteredModel
from registry.vocabulary import Stage
from tests.conftest import application
from tests.factories import make_model, make_version

pytestmark = pytest.mark.usefixtures("context")
MARKED = marked(select(RegisteredModel.id).where(RegisteredModel.name == bindparam("name")))


def known() -> set[str]:
    """The names of what is prepared on the connection of this session."""
    found = db.session.execute(text("SELECT name FROM pg_prepared_statements WHERE name LIKE 'registry%'"))
    return set(found.scalars())


def test_a_statement_is_spelled_with_places_in_the_order_of_its_names() -> None:
    preparing, executing = spelled("SELECT %(a)s, %(b)s::TEXT, %(a)s WHERE x LIKE '%%'")
    called = executing.split()[1]
    assert preparing == f"PREPARE {called} AS SELECT $1, $2::TEXT, $1 WHERE x LIKE '%'"
    assert executing == f"EXECUTE {called} (%(a)s, %(b)s)"
    assert spelled("SELECT 1")[1].split() == ["EXECUTE", spelled("SELECT 1")[1].split()[1]]
    assert spelled("SELECT 1")[1] != spelled("SELECT 2")[1]


def test_what_is_marked_is_prepared_once_and_answers_the_same() -> None:
    name = make_model()
    before = known()
    [plain] = db.session.scalars(select(RegisteredModel.id).where(RegisteredModel.name == name))
    assert known() == before
    for _ in range(3):
        assert db.session.scalar(MARKED, {"name": name}) == plain
    assert len(known() | before) - len(before) <= 1
    assert any("registered_models" in statement for statement in spoken())


def spoken() -> list[str]:
    return list(db.session.scalars(text("SELECT statement FROM pg_prepared_statements")))


def test_a_connection_plans_it_once_for_all_values() -> None:
    name = make_model()
    make_version(name, stage=Stage.PRODUCTION)
    for _ in range(3):
        references.resolve(db.session(), OPERATOR, f"models:/{name}/Production")
    generic = text("SELECT sum(generic_plans), sum(custom_plans) FROM pg_prepared_statements")
    plans, others = db.session.execute(generic).one()
    assert plans >= 3
    assert others == 0


def test_it_stays_prepared_where_the_transaction_in_which_that_was_done_is_undone() -> None:
    name = make_model()
    db.session.rollback()
    with pytest.raises(AlreadyExists), transaction(OPERATOR) as session:
        assert session.scalar(MARKED, {"name": name})
        raise AlreadyExists("undone")
    assert db.session.scalar(MARKED, {"name": name})


def test_nothing_is_prepared_by_way_of_a_pooler(app: Flask) -> None:
    settings = dataclasses.replace(app.config["REGISTRY"], database_pooler="transaction")
    with application(settings) as other, other.app_context():
        with pytest.raises(ModelNotFound):
            lookup.find_model(db.session(), "nobody")
        assert known() == set()


def test_the_settled_questions_know_the_types_of_their_values() -> None:
    """PostgreSQL prepares a statement before it sees a value; one whose type it cannot tell is refused."""
    values = {"name": "n", "number": 1, "alias": "a", "stage": "Production", "stages": ["None"], "models": [1]}
    for kind in ("number", "alias", "stage", "latest"):
        for timed in (False, True):
            question = references.question_of(kind, timed=timed)
            moment = {"at": datetime.now(UTC)} if timed else {}
            ask(db.session(), question, **values, **moment)
    for question in (lookup.ONE_VERSION, lookup.HIGHEST, lookup.HIGHEST_IN, lookup.ALIASED, lookup.NEWEST):
        ask(db.session(), question, **values)
