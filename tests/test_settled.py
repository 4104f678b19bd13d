"""Statements that are settled before anybody asks."""

from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session, aliased

from registry.db import ask, db, transaction
from registry.domain import lookup, registered_models, searching
from registry.domain.access import OPERATOR
from registry.domain.filtering import Comparison
from registry.domain.registered_models import latest_versions
from registry.domain.searching import Search
from registry.settled import Settled
from registry.tables import ModelVersion, RegisteredModel
from registry.vocabulary import Stage
from tests.conftest import application
from tests.factories import make_model, make_version

pytestmark = pytest.mark.usefixtures("context")

BOTH = Settled(
    select(RegisteredModel, RegisteredModel.last_number + 1, ModelVersion)
    .outerjoin(ModelVersion, ModelVersion.model_id == RegisteredModel.id)
    .where(RegisteredModel.name == bindparam("name"))
)


def test_a_row_is_read_as_objects_and_values() -> None:
    name = make_model()
    make_version(name, source="s3://b/settled")
    [row] = ask(db.session(), BOTH, name=name)
    model, following, version = BOTH.read(row)
    assert (model.name, following, version.number, version.source) == (name, 2, 1, "s3://b/settled")
    assert model.created_at.tzinfo is not None


def test_where_an_outer_join_finds_nothing_there_is_no_object() -> None:
    [row] = ask(db.session(), BOTH, name=make_model())
    assert BOTH.read(row)[2] is None
    assert latest_versions(db.session(), OPERATOR, make_model(), [Stage.PRODUCTION]) == []


def test_an_object_of_an_alias_is_one_of_its_table() -> None:
    other = aliased(RegisteredModel)
    question = Settled(select(other).where(other.name == bindparam("name")))
    name = make_model()
    [(model,)] = map(question.read, ask(db.session(), question, name=name))
    assert type(model) is RegisteredModel
    assert model.name == name


def test_a_list_among_the_parameters_is_refused_before_it_is_asked() -> None:
    with pytest.raises(ValueError, match="use an array"):
        Settled(select(RegisteredModel.id).where(RegisteredModel.id.in_(bindparam("ids", expanding=True))))


def test_a_session_that_has_a_connection_asks_by_that_one(app: Flask) -> None:
    name = make_model()
    one_connection = replace(app.config["REGISTRY"], pool_size=1, connect_timeout_seconds=1)
    with application(one_connection) as other, other.app_context():
        session = db.session()
        session.scalar(select(RegisteredModel.id).limit(1))
        assert lookup.find_model(session, name).name == name
        assert searched(session, name).name == name


def searched(session: Session, name: str) -> RegisteredModel:
    """The model of this name, by a question that is built anew each time."""
    return searching.models(session, OPERATOR, Search([Comparison("name", None, "=", name)])).items[0].model


def test_what_the_session_has_changed_is_written_before_it_is_asked() -> None:

    name = make_model()
    with transaction(OPERATOR) as session:
        registered_models.entered(session, registered_models.lock(session, name).model).description = "just now"
        assert searched(session, name).description == "just now"
    with transaction(OPERATOR) as session:
        registered_models.entered(session, registered_models.lock(session, name).model).description = "and now"
        assert lookup.find_model(session, name).description == "and now"
