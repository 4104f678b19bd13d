"""How many SQL statements a request takes, and how many rows they look at: no more of either where there is much."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, text

from registry.db import db, transaction
from registry.domain import aliases, comments, references
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
    (MLFLOW + "registered-models/search?filter=name LIKE '{family}-{some}'", 4),
    (MLFLOW + "model-versions/search?filter=name LIKE '{family}-{some}'", 2),
    (MLFLOW + "registered-models/get?name={family}-{one}", 2),
    (MLFLOW + "registered-models/get-latest-versions?name={family}-{one}", 1),
    ("/api/v1/models?filter=name LIKE '{family}-{some}'", 4),
    ("/api/v1/models?filter=name LIKE '{family}-{some}'&text=risk ada&include_total=true", 5),
    ("/api/v1/versions?filter=name LIKE '{family}-{some}'", 3),
    ("/api/v1/versions?filter=name LIKE '{family}-{some}' AND creator = 'operator'&text=ada&include_total=true", 4),
    ("/api/v1/models/{family}-{one}/versions", 4),
    ("/api/v1/models/{family}-{one}", 2),
    ("/api/v1/models/{family}-{one}/audit?limit=1000", 4),
    ("/api/v1/models/{family}-{one}/comments", 2),
    ("/api/v1/models/{family}-{one}/stages/None/history", 3),
    ("/api/v1/models/{family}-{one}/versions/{one}/transitions", 3),
    ("/api/v1/models/{family}-{one}/tags", 2),
    (MLFLOW + "model-versions/get?name={family}-{one}&version=1", 1),
    ("/api/v1/models/{family}-{one}/versions/1", 1),
    ("/api/v1/models/{family}-{one}/versions/1/tags", 2),
    ("/api/v1/models/{family}-{one}/aliases", 2),
    ("/api/v1/audit?limit=1000", 4),
    ("/api/v1/tokens?limit=1000", 1),
    ("/api/v1/trash/models?limit=1000", 2),
    ("/api/v1/trash/versions?limit=1000", 2),
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


CHUNK = 200
"""Versions made in one transaction: each event of one stream makes the next one of the same transaction dearer."""
CROWD = """
    INSERT INTO registry.model_versions (model_id, number, stage, source, created_at, updated_at, created_by)
    SELECT m.id, n, 'Production', 's3://b/k', m.created_at, m.created_at, m.created_by
    FROM registry.registered_models m, generate_series(CAST(:first AS integer), CAST(:last AS integer)) n
    WHERE m.name = :name
"""


def worn(versions: int) -> str:
    """A model whose versions were in Production one and all; the first one is there again, the others are archived."""
    name = make_model()
    for first in range(1, versions + 1, CHUNK):
        with transaction(OPERATOR) as session:
            session.execute(text(CROWD), {"name": name, "first": first, "last": min(first + CHUNK - 1, versions)})
    for first in range(1, versions + 1, CHUNK):
        with transaction(OPERATOR) as session:
            session.execute(
                text(
                    "UPDATE registry.model_versions v SET stage = 'Archived' FROM registry.registered_models m "
                    "WHERE m.id = v.model_id AND m.name = :name AND number BETWEEN :first AND :last AND number > 1"
                ),
                {"name": name, "first": first, "last": first + CHUNK - 1},
            )
    with transaction(OPERATOR) as session:
        aliases.set(session, OPERATOR, name, "champion", versions // 2)
    return name


def rows_looked_at(app: Flask, uri: str) -> int:
    """Over all steps of the plans of a resolution, the rows that were found and those that were thrown away."""
    seen: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, values: object, *___: object) -> None:
        seen.append((statement, values))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        references.resolve(db.session(), OPERATOR, uri)
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    with db.engine.connect() as connection:
        connection.execute(
            text("SET LOCAL enable_seqscan = off")
        )  # a small table's plan says nothing about a large one
        plans: list[Any] = [
            connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values).scalar()
            for statement, values in seen
        ]
    return sum(touched(plan[0]["Plan"]) for plan in plans)


def touched(plan: dict[str, Any]) -> int:
    """The rows of a step and of those below it."""
    own = int((plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"])
    return own + sum(touched(below) for below in plan.get("Plans", []))


def test_to_resolve_looks_at_no_more_rows_where_many_versions_stood_before(app: Flask) -> None:
    few, many = worn(10), worn(1000)
    for rest in ("/Production", "/Archived", "/latest", "@champion", "/5"):
        looked = [rows_looked_at(app, f"models:/{name}{rest}") for name in (few, many)]
        assert looked[0] == looked[1] < 20, rest
