"""Filters in the whole language, against an oracle: the same tree asked of the database and of plain Python."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import make_url, select, update

from registry.config import Settings
from registry.db import db, transaction
from registry.domain import aliases, asking, model_versions, registered_models, searching, stages, tokens
from registry.domain.access import OPERATOR, Principal
from registry.domain.conditions import condition
from registry.domain.fields import MODELS, OPERATORS, VERSIONS, Kind
from registry.domain.filtering import And, Comparison, IsNull, Node, Not, Or
from registry.domain.names import PROMPT_TAG
from registry.domain.searching import Search
from registry.tables import ModelVersion, RegisteredModel
from registry.vocabulary import Role, Stage
from tests.conftest import application, database
from tests.factories import authenticate
from tests.oracle import ORACLE

DAY = datetime(2026, 1, 1, tzinfo=UTC)
DIGEST = "sha256:" + "0123456789abcdef" * 4
LONG = "x" * 128  # all that the index of tags holds of a value


@dataclass(frozen=True)
class V:
    """A version of the data set; days after DAY."""

    stage: Stage = Stage.NONE
    run_id: str = ""
    source: str = "s3://bucket/model"
    description: str | None = None
    logged_model_id: str | None = None
    digest: str | None = None
    aliases: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    by: str = "ada"
    day: int = 0
    deleted: bool = False


@dataclass(frozen=True)
class M:
    """A model of the data set."""

    name: str
    description: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    versions: tuple[V, ...] = ()
    by: str = "ada"
    day: int = 0


DATA = (
    M(
        "churn",
        "Who leaves",
        {"team": "risk", "a b": "1"},
        (
            V(Stage.PRODUCTION, "run-1", aliases=("champion", "eu"), description="Gradient boosting", day=1),
            V(Stage.STAGING, "run-2", "s3://Bucket/100%", tags={"team": "risk", "k": "1"}, by="bob"),
            V(Stage.ARCHIVED, "RUN-1", logged_model_id="m-1", digest=DIGEST, aliases=("old",), by="bob", day=2),
        ),
        day=1,
    ),
    M("Churn", None, {"team": "Risk", "k": ""}, (V(tags={"team": "fraud"}, description="100%", day=2),), "bob", 1),
    M("fraud_v2", "who steals", {"team": "fraud"}, (V(Stage.PRODUCTION, aliases=("Champion",)),), "bob", 2),
    M("fraudXv2", "100%", {"k": LONG + "a"}, (V(Stage.STAGING, deleted=True, aliases=("gone",)), V(run_id="é")), day=2),
    M("Émile", "ÉTÉ", {"k": LONG + "b"}, (V(tags={"k": LONG + "a"}), V(tags={"k": LONG})), "carl", 3),
    M("empty", None, {}, (), "carl", 3),
)
Numbered = tuple[M, int, V]
LIVE = tuple((model, number, v) for model in DATA for number, v in enumerate(model.versions, 1) if not v.deleted)


# The data set, in a database of its own.


@pytest.fixture(scope="module")
def people() -> dict[str, Principal]:
    return {}


@pytest.fixture(scope="module")
def service(server_url: str, template_url: str, people: dict[str, Principal]) -> Iterator[Flask]:
    with (
        database(server_url, str(make_url(template_url).database)) as url,
        application(Settings(database_url=url)) as app,
        app.app_context(),
    ):
        for name in ("ada", "bob", "carl"):
            people[name] = known(name)
        for model in DATA:
            plant(model, people)
        yield app


def known(name: str) -> Principal:
    with transaction(OPERATOR) as session:
        made = authenticate(session, tokens.create(session, OPERATOR, name=name, role=Role.ADMINISTRATOR).secret)
    assert made is not None
    return made.principal


def plant(model: M, people: dict[str, Principal]) -> None:
    with transaction(OPERATOR) as session:
        registered_models.create(session, people[model.by], model.name, description=model.description, tags=model.tags)
        for number, v in enumerate(model.versions, 1):
            plant_version(session, people[v.by], model.name, number, v)
    with transaction(OPERATOR) as session:
        mine = RegisteredModel.name == model.name
        model_id = session.scalars(select(RegisteredModel.id).where(mine)).one()
        session.execute(update(RegisteredModel).where(mine).values(created_at=at(-model.day), updated_at=at(model.day)))
        for number, v in enumerate(model.versions, 1):
            own = (ModelVersion.model_id == model_id) & (ModelVersion.number == number)
            session.execute(update(ModelVersion).where(own).values(created_at=at(-v.day), updated_at=at(v.day)))


def plant_version(session: Any, by: Principal, name: str, number: int, v: V) -> None:
    model_versions.create(
        session,
        by,
        name,
        source=v.source,
        run_id=v.run_id,
        description=v.description,
        logged_model_id=v.logged_model_id,
        digest=v.digest,
        tags=v.tags,
    )
    if v.stage is not Stage.NONE:
        stages.transition(session, OPERATOR, name, number, v.stage)
    for alias in v.aliases:
        aliases.set(session, OPERATOR, name, alias, number)
    if v.deleted:
        model_versions.delete(session, OPERATOR, name, number)


def at(day: int) -> datetime:
    return DAY + timedelta(days=day, microseconds=day)


@pytest.fixture(autouse=True)
def context(service: Flask) -> Iterator[None]:
    with service.app_context():
        yield


# The oracle: every field is a list of values, empty where there is none.


def of_model(model: M, name: str, key: str | None) -> list[Any]:
    living = [v for v in model.versions if not v.deleted]
    values: dict[str, list[Any]] = {
        "name": [model.name],
        "description": [] if model.description is None else [model.description],
        "created_by": [model.by],
        "created_at": [at(-model.day)],
        "updated_at": [at(model.day)],
        "stage": [v.stage for v in living],
        "alias": [alias for v in living for alias in v.aliases],
        "tag": [value for own, value in model.tags.items() if own == key],
    }
    return values[name]


def of_version(one: Numbered, name: str, key: str | None) -> list[Any]:
    model, number, v = one
    values: dict[str, list[Any]] = {
        "name": [model.name],
        "version": [number],
        "stage": [v.stage],
        "alias": list(v.aliases),
        "description": [] if v.description is None else [v.description],
        "created_by": [v.by],
        "source": [v.source],
        "run_id": [v.run_id],
        "logged_model_id": [] if v.logged_model_id is None else [v.logged_model_id],
        "digest": [] if v.digest is None else [v.digest],
        "created_at": [at(-v.day)],
        "updated_at": [at(v.day)],
        "tag": [value for own, value in v.tags.items() if own == key],
    }
    return values[name]


def holds(node: Node, values: Callable[[str, str | None], list[Any]], people: dict[str, Principal]) -> bool:
    match node:
        case And(terms):
            return all(holds(term, values, people) for term in terms)
        case Or(terms):
            return any(holds(term, values, people) for term in terms)
        case Not(term):
            return not holds(term, values, people)
        case IsNull(name, key):
            return not values(name, key)
        case Comparison("created_by", _, op, wanted):
            [who] = values("created_by", None)
            return by(people[who], op, wanted)
        case Comparison(name, key, op, wanted):
            return any(ORACLE[op](value, wanted) for value in values(name, key))


def by(who: Principal, op: str, wanted: Any) -> bool:
    if op in {"!=", "NOT IN"}:
        return not by(who, {"!=": "=", "NOT IN": "IN"}[op], wanted)
    return ORACLE[op](who.name, wanted) or ORACLE[op](who.id, wanted)


# Asking, in words.


def written(node: Node) -> str:
    match node:
        case And(terms):
            return " AND ".join(f"({written(term)})" for term in terms)
        case Or(terms):
            return " OR ".join(f"({written(term)})" for term in terms)
        case Not(IsNull(name, key)):
            return f"{target(name, key)} IS NOT NULL"
        case Not(term):
            return f"NOT ({written(term)})"
        case IsNull(name, key):
            return f"{target(name, key)} IS NULL"
        case Comparison(name, key, op, value):
            return f"{target(name, key)} {op} {literal(value)}"


def target(name: str, key: str | None) -> str:
    return name if key is None else f"tag.`{key}`"


def literal(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))})"
    if isinstance(value, datetime):
        return f"'{value.isoformat()}'"
    return str(value) if isinstance(value, int) else f"'{value}'"


def models_found(node: Node) -> list[str]:
    """Ask for nothing but names, because there are thousands of questions."""
    asked = condition(asking.model_filter(written(node)), MODELS)
    return list(db.session().scalars(select(RegisteredModel.name).where(asked).order_by(RegisteredModel.name)))


def versions_found(node: Node) -> list[tuple[str, int]]:
    asked = condition(asking.version_filter(written(node)), VERSIONS)
    question = select(RegisteredModel.name, ModelVersion.number).join(ModelVersion.model)
    living = question.where(ModelVersion.deleted_at.is_(None), asked)
    rows = db.session().execute(living.order_by(RegisteredModel.name, ModelVersion.number))
    return [(name, number) for name, number in rows]


def models_expected(node: Node, people: dict[str, Principal]) -> list[str]:
    found = [model.name for model in DATA if holds(node, partial(of_model, model), people)]
    return sorted(found, key=str.encode)


def versions_expected(node: Node, people: dict[str, Principal]) -> list[tuple[str, int]]:
    found = [(one[0].name, one[1]) for one in LIVE if holds(node, partial(of_version, one), people)]
    return sorted(found, key=lambda one: (one[0].encode(), one[1]))


# Every field with every operator, and its complement.

TEXTS = (
    *("churn", "Churn", "CHURN", "risk", "run-1", "é", "champion", "Who leaves", "s3://bucket/model", "m-1", "100%"),
    *("", "fraud", "ada", "principal:2", LONG, LONG + "a", DIGEST, '"; --', "\\"),
)
PATTERNS = (
    *("", "%", "_%", "churn", "%CHURN%", "fraud_v2", "fraud\\_v2", "100\\%", "é%", "É%", "who%", "a__", "x%a"),
    *("principal:_", "run-_", "s3://%", "m-%", "sha256:%", "Champion", "%\\\\%"),
)
LISTS = (
    ("churn", "Churn"),
    ("risk", "fraud", LONG + "b"),
    ("champion", "old", "run-1", DIGEST),
    ("ada", "principal:2"),
    TEXTS[:-1],
)
VALUES: dict[Kind, dict[str, tuple[Any, ...]]] = {
    Kind.TEXT: {"IN": LISTS, "NOT IN": LISTS, "LIKE": PATTERNS, "ILIKE": PATTERNS, "": TEXTS},
    Kind.NUMBER: {"IN": ((1,), (1, 3), (7,)), "NOT IN": ((1,), (1, 3), (7,)), "": (-1, 0, 1, 2, 3, 2**31, 2**63 - 1)},
    Kind.TIME: {"": (*map(at, range(-3, 4)), DAY, datetime(1, 1, 1, tzinfo=UTC))},
    Kind.STAGE: {"IN": (tuple(Stage), (Stage.NONE,)), "NOT IN": (tuple(Stage), (Stage.NONE,)), "": tuple(Stage)},
}
VALUES[Kind.PROSE] = VALUES[Kind.PRINCIPAL] = VALUES[Kind.TEXT]
KEYS = ("team", "k", "a b", "TEAM")

Pair = tuple[str, str]


def pairs(fields: Any) -> list[Pair]:
    return [(name, op) for name, each in fields.items() for op in OPERATORS[each.kind]]


def leaves(fields: Any, name: str, op: str) -> list[Comparison]:
    """The field with the operator and everything it can be compared with."""
    kind = fields[name].kind
    values = VALUES[kind].get(op, VALUES[kind][""])
    keys = KEYS if name == "tag" else (None,)
    return [Comparison(name, key, op, value) for key, value in product(keys, values)]


@pytest.mark.parametrize(("name", "op"), pairs(MODELS))
def test_models_by_every_field_and_operator(people: dict[str, Principal], name: str, op: str) -> None:
    found = 0
    for leaf in leaves(MODELS, name, op):
        expected = models_expected(leaf, people)
        assert (leaf, models_found(leaf)) == (leaf, expected)
        assert models_found(Not(leaf)) == sorted({model.name for model in DATA} - {*expected}, key=str.encode)
        found += len(expected)
    assert found


@pytest.mark.parametrize(("name", "op"), pairs(VERSIONS))
def test_versions_by_every_field_and_operator(people: dict[str, Principal], name: str, op: str) -> None:
    found = 0
    everything = {(model.name, number) for model, number, _ in LIVE}
    for leaf in leaves(VERSIONS, name, op):
        expected = versions_expected(leaf, people)
        assert (leaf, versions_found(leaf)) == (leaf, expected)
        assert versions_found(Not(leaf)) == sorted(everything - {*expected}, key=lambda one: (one[0].encode(), one[1]))
        found += len(expected)
    assert found


def absent(fields: Any) -> list[IsNull]:
    named = [name for name, each in fields.items() if each.may_be_null]
    return [IsNull(name, key) for name in named for key in (KEYS if name == "tag" else (None,))]


@pytest.mark.parametrize("leaf", absent(MODELS), ids=written)
def test_models_without_something(people: dict[str, Principal], leaf: IsNull) -> None:
    assert models_found(leaf) == models_expected(leaf, people)
    assert models_found(Not(leaf)) == models_expected(Not(leaf), people)


@pytest.mark.parametrize("leaf", absent(VERSIONS), ids=written)
def test_versions_without_something(people: dict[str, Principal], leaf: IsNull) -> None:
    assert versions_found(leaf) == versions_expected(leaf, people)
    assert versions_found(Not(leaf)) == versions_expected(Not(leaf), people)


# Any tree.


def trees(fields: Any) -> st.SearchStrategy[Node]:
    compared = st.sampled_from(pairs(fields)).flatmap(lambda pair: st.sampled_from(leaves(fields, *pair)))
    leaf: st.SearchStrategy[Node] = st.one_of(compared, st.sampled_from(absent(fields)))

    def grown(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
        terms = st.lists(inner, min_size=2, max_size=3).map(tuple)
        return st.one_of(inner.map(Not), terms.map(And), terms.map(Or))

    return st.recursive(leaf, grown, max_leaves=8)


ANY_TREE = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@ANY_TREE
@given(tree=trees(MODELS))
def test_models_by_any_tree(people: dict[str, Principal], tree: Node) -> None:
    assert models_found(tree) == models_expected(tree, people)


@ANY_TREE
@given(tree=trees(VERSIONS))
def test_versions_by_any_tree(people: dict[str, Principal], tree: Node) -> None:
    assert versions_found(tree) == versions_expected(tree, people)


# A few answers spelled out, lest the oracle err as the code does.

SPELLED_OUT = [
    ("not equal needs a value", "description != 'x'", ["churn", "fraudXv2", "fraud_v2", "Émile"]),
    ("its complement does not", "NOT description = 'x'", ["Churn", "churn", "empty", "fraudXv2", "fraud_v2", "Émile"]),
    ("a tag unequal is there", "tag.team != 'risk'", ["Churn", "fraud_v2"]),
    ("the complement lacks it, too", "NOT tag.team = 'risk'", ["Churn", "empty", "fraudXv2", "fraud_v2", "Émile"]),
    ("no such tag", "tag.team IS NULL", ["empty", "fraudXv2", "Émile"]),
    ("a stage of any version", "stage = 'Production'", ["churn", "fraud_v2"]),
    ("a deleted version has none", "stage = 'Staging' AND alias IS NULL", []),
    ("all stages in one model", "stage = 'Production' AND stage = 'Archived'", ["churn"]),
    ("no version at all", "stage IS NULL", ["empty"]),
    ("an alias", "alias IN ('champion', 'gone')", ["churn"]),
    ("another alias than one", "alias != 'champion'", ["churn", "fraud_v2"]),
    ("a creator by name", "creator = 'bob'", ["Churn", "fraud_v2"]),
    ("everybody else", "created_by != 'bob'", ["churn", "empty", "fraudXv2", "Émile"]),
    ("a time with an offset", "updated_at > '2026-01-04T00:30:00+01:00' AND stage IS NULL", ["empty"]),
    ("or and not", "NOT (alias IS NULL OR name ILIKE 'CHURN')", ["fraud_v2"]),
]


@pytest.mark.parametrize(("_", "text", "names"), SPELLED_OUT, ids=[says for says, *_ in SPELLED_OUT])
def test_models_are_found(_: str, text: str, names: list[str]) -> None:
    search = Search([asking.model_filter(text)], asking.model_order([]))
    assert [detail.model.name for detail in searching.models(db.session(), OPERATOR, search).items] == names


def test_a_creator_is_found_by_id(people: dict[str, Principal]) -> None:
    search = Search([asking.version_filter(f"creator = '{people['bob'].id}'")], asking.version_order(["version"]))
    found = searching.versions(db.session(), OPERATOR, search).items
    assert [(version.model.name, version.number) for version in found] == [("churn", 2), ("churn", 3)]


# Prompts.


@pytest.fixture
def prompts(empty_database_url: str) -> Iterator[None]:
    with application(Settings(database_url=empty_database_url)) as app, app.app_context():
        with transaction(OPERATOR) as session:
            for name, tags in {"model": {}, "prompt": {PROMPT_TAG: "true"}, "no prompt": {PROMPT_TAG: "false"}}.items():
                registered_models.create(session, OPERATOR, name, tags=tags)
                model_versions.create(session, OPERATOR, name, source="s3://b/k", tags={})
        yield


MEANT = [
    ((False, True), ["model", "no prompt"]),
    ((True, True), ["model", "no prompt", "prompt"]),
    ((True, False), ["prompt"]),
]


@pytest.mark.usefixtures("prompts")
@pytest.mark.parametrize(("meant", "names"), MEANT)
def test_prompts_are_found_or_left_out(meant: tuple[bool, bool], names: list[str]) -> None:
    search = Search([], asking.model_order([]), prompts=meant[0], others=meant[1], total=True)
    page = searching.models(db.session(), OPERATOR, search)
    assert ([detail.model.name for detail in page.items], page.total) == (names, len(names))
    by_name = replace(search, order=asking.version_order(["name"]))
    found = searching.versions(db.session(), OPERATOR, by_name)
    assert ([version.model.name for version in found.items], found.total) == (names, len(names))
