"""How many SQL statements a request takes: as many for many rows as for few."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from registry.db import db, transaction
from registry.domain import comments
from registry.domain.access import OPERATOR
from registry.vocabulary import Stage
from tests.factories import make_model, make_version, unique

pytestmark = pytest.mark.usefixtures("context")
AUTHENTICATION = 1


@contextmanager
def counted(app: Flask) -> Iterator[list[str]]:
    """Collect the statements that are sent meanwhile."""
    sent: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        sent.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
def family() -> str:
    """Models of one family: one with a version, one with twelve; comments; tags on everything."""
    family = unique("family")
    for count in (1, 12):
        name = make_model(name=f"{family}-{count}", team="risk", owner="ada")
        for number in range(count):
            make_version(name, stage=list(Stage)[number % 4], team="risk", owner="ada")
        with transaction(OPERATOR) as session:
            for _ in range(count):
                comments.create(session, OPERATOR, name, None, "words")
    return family


MLFLOW = "/api/2.0/mlflow/"
LISTS = [
    (MLFLOW + "registered-models/search?filter=name LIKE '{family}-{some}'", 6),
    (MLFLOW + "model-versions/search?filter=name LIKE '{family}-{some}'", 2),
    (MLFLOW + "registered-models/get?name={family}-{one}", 6),
    (MLFLOW + "registered-models/get-latest-versions?name={family}-{one}", 4),
    ("/api/v1/models/{family}-{one}", 6),
    ("/api/v1/models/{family}-{one}/audit?limit=1000", 3),
    ("/api/v1/models/{family}-{one}/comments", 2),
    ("/api/v1/models/{family}-{one}/stages/None/history", 3),
    ("/api/v1/models/{family}-{one}/versions/{one}/transitions", 3),
    ("/api/v1/models/{family}-{one}/tags", 2),
    ("/api/v1/models/{family}-{one}/versions/1/tags", 4),
    ("/api/v1/models/{family}-{one}/aliases", 2),
    ("/api/v1/audit?limit=1000", 3),
    ("/api/v1/resolve?uri=models:/{family}-{one}/Production", 1),
    ("/api/v1/resolve?uri=models:/{family}-{one}/latest", 1),
]


@pytest.mark.parametrize(("path", "at_most"), LISTS)
def test_a_list_takes_a_constant_number_of_statements(
    app: Flask, client: FlaskClient, family: str, path: str, at_most: int
) -> None:
    counts = []
    for some, one in (("1", "1"), ("%25", "12")):
        with counted(app) as sent:
            client.get(path.format(family=family, some=some, one=one))
        counts.append(len(sent) - AUTHENTICATION)
    assert counts[1] <= at_most, sent
    assert counts[1] - counts[0] <= 2, "more rows, more statements"
