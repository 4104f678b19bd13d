"""How many SQL statements a request takes, and how many rows they look at: no more of either where there is much."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from bench.statements import counted
from registry import settled
from registry.db import db, transaction, unaudited
from registry.domain import aliases, comments, grants, references, tokens
from registry.domain.access import OPERATOR
from registry.domain.grants import Wanted
from registry.settled import Settled
from registry.vocabulary import Effect, Permission, Role, Stage
from tests.conftest import client_with
from tests.factories import make_model, make_version, unique

pytestmark = pytest.mark.usefixtures("context")
AUTHENTICATION = 1


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
    (MLFLOW + "registered-models/search?filter=name LIKE '{family}-{some}'", 2),
    (MLFLOW + "model-versions/search?filter=name LIKE '{family}-{some}'", 1),
    (MLFLOW + "registered-models/get?name={family}-{one}", 2),
    (MLFLOW + "registered-models/get-latest-versions?name={family}-{one}", 1),
    ("/api/v1/models?filter=name LIKE '{family}-{some}'", 2),
    ("/api/v1/models?filter=name LIKE '{family}-{some}'&text=risk ada&include_total=true", 3),
    ("/api/v1/versions?filter=name LIKE '{family}-{some}'", 1),
    ("/api/v1/versions?filter=name LIKE '{family}-{some}' AND creator = 'operator'&text=ada&include_total=true", 2),
    ("/api/v1/models/{family}-{one}/versions", 2),
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
        with counted() as sent:
            client.get(path.format(family=family, some=some, one=one))
        counts.append(len(sent) - AUTHENTICATION)
    assert counts[1] <= at_most, sent
    assert counts[1] - counts[0] <= 2, "more rows, more statements"


def calling(app: Flask, *wanted: Wanted, **narrowed: Any) -> FlaskClient:
    """Somebody with these grants alone, and a token that is narrowed so."""
    name = unique("caller")
    with transaction(OPERATOR) as session:
        made = tokens.create(session, OPERATOR, name=name, role=Role.APPROVER, **narrowed)
        assert made.grant_id is not None
        grants.delete(session, OPERATOR, made.grant_id)
        for one in wanted:
            grants.create(session, OPERATOR, replace(one, principal=name))
    caller = client_with(app, made.secret)
    caller.get("/api/v1/whoami")  # notes the use of the token
    return caller


def statements(app: Flask, ask: Callable[[], TestResponse]) -> tuple[int, int]:
    """What was answered, and how many statements it took."""
    with counted() as sent:
        status = ask().status_code
    return status, len(sent)


HERE = [Wanted(role=Role.VIEWER, pattern=f"{word}*") for word in ("Model", "a", "b", "c", "d")]
DENIALS = [Wanted(effect=Effect.DENY, permissions=[Permission.READ], pattern=f"{word}*") for word in "xyz"]


@pytest.mark.parametrize("path", ["/api/v1/resolve?uri=models:/{}/Production", MLFLOW + "registered-models/alias?{}"])
def test_permission_adds_no_statement_to_a_resolution(app: Flask, path: str) -> None:
    name = make_model()
    make_version(name, stage=Stage.PRODUCTION)
    with transaction(OPERATOR) as session:
        aliases.set(session, OPERATOR, name, "champion", 1)
    asked = path.format(name if "resolve" in path else f"name={name}&alias=champion")
    callers = [calling(app, *HERE), calling(app, *HERE, *DENIALS), calling(app, *HERE, models=["Model*"])]
    whole = statements(app, partial(calling(app, Wanted(role=Role.ADMINISTRATOR)).get, asked))
    assert whole[0] == 200
    assert {statements(app, partial(caller.get, asked)) for caller in callers} == {whole}
    if "resolve" in path:
        assert whole[1] == AUTHENTICATION + 1


def test_the_right_of_an_owner_is_one_statement_more_whatever_else_is_asked(app: Flask) -> None:
    owner = calling(app, Wanted(role=Role.CONTRIBUTOR, pattern="mine-*"))
    name = unique("mine")
    owner.post("/api/v1/models", json={"name": name})
    owner.post(f"/api/v1/models/{name}/versions", json={"source": "s3://b/k"})
    bare, new = calling(app), unique("mine")
    take_over(name, bare)
    asked = [
        ("GET", f"/api/v1/models/{name}/versions/1", None),
        ("GET", f"/api/v1/resolve?uri=models:/{name}/1", None),
        ("POST", f"/api/v1/models/{name}/versions/1/transitions", {"to": "Staging"}),
        ("PATCH", f"/api/v1/models/{name}", {"description": new}),
    ]
    approver = calling(app, Wanted(role=Role.APPROVER))
    for verb, path, body in asked:
        rich = statements(app, partial(approver.open, path, method=verb, json=body))
        poor = statements(app, partial(bare.open, path, method=verb, json=body))
        assert rich[0] in {200, 201}
        assert poor == (rich[0], rich[1] + 1), path


def take_over(name: str, caller: FlaskClient) -> None:
    """Make somebody the owner of a model, besides the one who is."""
    number = caller.get("/api/v1/whoami").get_json()["id"].partition(":")[2]
    with transaction(OPERATOR) as session:
        session.execute(
            text(
                "INSERT INTO registry.grants (principal_id, effect, role, model_id, created_by) "
                "SELECT :number, 'allow', 'owner', id, 'operator' FROM registry.registered_models WHERE name = :name"
            ),
            {"number": number, "name": name},
        )


def test_lists_of_those_who_may_not_see_all_take_no_more_statements(app: Flask) -> None:
    narrow, wide = calling(app, *HERE, *DENIALS), calling(app, Wanted(role=Role.ADMINISTRATOR))
    # On every page that either sees stands something whose author has a name to be looked up.
    assert wide.post("/api/v1/models", json={"name": unique("a")}).status_code == 201
    for path in ("/api/v1/models", "/api/v1/versions", "/api/v1/audit?limit=10", MLFLOW + "registered-models/search"):
        counts = [statements(app, partial(caller.get, path)) for caller in (narrow, wide)]
        assert counts[0] == counts[1], path


def plan_of(statement: str, **values: object) -> str:
    """How PostgreSQL answers, where it may not read whole tables."""
    with unaudited() as session:
        session.execute(text("SET LOCAL enable_seqscan = off"))
        return "\n".join(session.scalars(text(f"EXPLAIN {statement}"), values))


def test_grants_and_owners_are_found_by_their_indexes() -> None:
    mine = "SELECT * FROM registry.grants WHERE principal_id = 1 AND model_id IS NULL"
    assert "Index Cond: (principal_id = 1)" in plan_of(mine)
    assert "ix_grants_group_name" in plan_of("SELECT * FROM registry.grants WHERE group_name = ANY ('{g}')")
    owned = (
        "SELECT g.id FROM registry.grants g JOIN registry.registered_models m ON m.id = g.model_id "
        "WHERE g.principal_id = 1 AND m.name = 'x' AND m.deleted_at IS NULL"
    )
    plan = plan_of(owned)
    assert "Seq Scan" not in plan
    assert "Index Cond: (name = 'x'::text)" in plan


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
    really_ask = settled.ask

    def note(driver: Any, statement: Settled, values: Any) -> Any:
        seen.append((statement.text, {**statement.given, **values}))  # what is executed is known to one connection
        return really_ask(driver, statement, values)

    with patch.object(settled, "ask", note):
        references.resolve(db.session(), OPERATOR, uri)
    assert seen
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
