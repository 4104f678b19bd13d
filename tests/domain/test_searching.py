"""Searching, against an oracle: the same questions asked of the database and of plain Python lists."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, TypeVar

import pytest
from flask import Flask
from sqlalchemy import make_url, select, update

from registry.config import Settings
from registry.db import db, transaction
from registry.domain import aliases, model_versions, registered_models, searching, stages
from registry.domain.access import OPERATOR
from registry.domain.filtering import Comparison, Node, OrderKey, Value
from registry.domain.names import PROMPT_TAG
from registry.domain.paging import Page
from registry.domain.registered_models import ModelDetail
from registry.domain.searching import Search
from registry.errors import Invalid
from registry.tables import ModelVersion, RegisteredModel
from registry.vocabulary import Stage
from tests.conftest import application, database
from tests.oracle import ORACLE

T = TypeVar("T")
DAY = datetime(2026, 1, 1, tzinfo=UTC)
LONG = "x" * 128  # all that the index of tags holds of a value
WIDE = "\U0001f600" * 128


@dataclass(frozen=True)
class V:
    """A version of the data set."""

    source: str = "s3://bucket/model"
    run_id: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    day: int = 0
    deleted: bool = False


@dataclass(frozen=True)
class M:
    """A model of the data set; times are days after DAY, many of them the same."""

    name: str
    tags: dict[str, str] = field(default_factory=dict)
    versions: tuple[V, ...] = ()
    day: int = 0
    deleted: bool = False

    @property
    def is_prompt(self) -> bool:
        return self.tags.get(PROMPT_TAG) == "true"


DATA = (
    M("churn", {"team": "risk", "a b/c.d": "1"}, (V(run_id="run-1"), V(run_id="run-2", day=1), V(day=1)), 1),
    M("Churn", {"team": "Risk"}, (V("s3://Bucket/model", "RUN-1", {"team": "Risk"}, 2),), 1),
    M("CHURN-eu", {"team": "RISK", "k": ""}, (V("s3://bucket/100%", "run_1"), V("s3://bucket/100_", "run%1")), 2),
    M("churn_v2", {"team": "fraud"}, tuple(V(f"s3://bucket/{number}", day=number % 3) for number in range(12)), 1),
    M("churnXv2", {"k": "50%"}, (V("gs://bucket/a\\b", tags={"k": "a\\b"}), V(tags={"k": "a_b"}, deleted=True)), 3),
    M("churn%", {"k": "50_"}, (V(tags={"k": "50%"}), V(tags={"k": "500"})), 3),
    M("a\\b", {"k": "\\"}, (V(tags={"team": "risk"}),), 3),
    M("\u00c9mile", {"k": "\u00c9T\u00c9"}, (V("s3://bucket/\u00c9t\u00e9", "\u00c9"),), 2),
    M("\u00e9mile", {"k": "\u00e9t\u00e9"}, (V("s3://bucket/\u00e9t\u00e9", "\u00e9"),), 2),
    M("\u6f22\u5b57", {"k": "\U0001f600"}, (V(tags={"k": "\u6f22"}),), 5),
    M('it\'s "quoted"; --', {"k": "'"}, (V("s3://bucket/'", "'"),), 4),
    M("%s %(name)s {0}", {"k": ":k"}, (V("s3://bucket/:x%s", "%s"),), 4),
    M("line\nline", {"k": "a\nb"}, (V("s3://bucket/a\nb", "a\nb", {"k": "a\nb"}),), 4),
    M("long", {"k": LONG + "a"}, (V(tags={"k": LONG + "b"}), V(tags={"k": LONG})), 6),
    M("longer", {"k": LONG + "b"}, (V(tags={"k": WIDE + "\U0001f601"}), V(tags={"k": WIDE})), 6),
    M("bare", {}, (), 6),
    M("gone", {"team": "risk"}, (V(run_id="run-1"),), 7, deleted=True),
    M("greeting", {PROMPT_TAG: "true", "team": "risk"}, (V("dummy-source", tags={PROMPT_TAG: "true"}),), 7),
    M("farewell", {PROMPT_TAG: "true"}, (V("dummy-source", tags={PROMPT_TAG: "true", "k": "1"}), V(run_id="run-1")), 1),
    M("shouted", {PROMPT_TAG: "TRUE"}, (V("dummy-source", tags={PROMPT_TAG: "TRUE"}),), 1),
    M("no prompt", {PROMPT_TAG: "false"}, (V(tags={PROMPT_TAG: "false"}), V(run_id="run-1")), 1),
    M("mixed", {}, (V("dummy-source", tags={PROMPT_TAG: "true"}), V(run_id="run-1")), 1),
)
LIVE = tuple(model for model in DATA if not model.deleted)
VERSIONS = tuple(
    (model, number, version)
    for model in LIVE
    for number, version in enumerate(model.versions, 1)
    if not version.deleted
)
Numbered = tuple[M, int, V]


# The data set in a database of its own.


@pytest.fixture(scope="module")
def service(server_url: str, template_url: str) -> Iterator[Flask]:
    with (
        database(server_url, str(make_url(template_url).database)) as url,
        application(Settings(database_url=url)) as app,
    ):
        with app.app_context():
            plant_all()
        yield app


def plant_all() -> None:
    with transaction(OPERATOR) as session:
        for model in DATA:
            plant(session, model)
        for model in DATA:
            date(session, model)


@pytest.fixture(autouse=True)
def context(service: Flask) -> Iterator[None]:
    with service.app_context():
        yield


def plant(session: Any, model: M) -> None:
    registered_models.create(session, OPERATOR, model.name, tags=model.tags)
    for number, each in enumerate(model.versions, 1):
        model_versions.create(session, OPERATOR, model.name, source=each.source, run_id=each.run_id, tags=each.tags)
        if each.deleted:
            model_versions.delete(session, OPERATOR, model.name, number)
    if model.deleted:
        registered_models.delete(session, OPERATOR, model.name)


def date(session: Any, model: M) -> None:
    """Give the rows the times that the data set says."""
    mine = RegisteredModel.name == model.name
    session.execute(update(RegisteredModel).where(mine).values(updated_at=time_of(model.day)))
    model_id = session.scalar(select(RegisteredModel.id).where(mine))
    for number, each in enumerate(model.versions, 1):
        own = (ModelVersion.model_id == model_id) & (ModelVersion.number == number)
        session.execute(
            update(ModelVersion).where(own).values(updated_at=time_of(each.day), created_at=time_of(-each.day))
        )


def time_of(day: int) -> datetime:
    return DAY + timedelta(days=day, microseconds=day)


# The oracle.


def matches(value: Any, op: str, wanted: Value) -> bool:
    return ORACLE[op](value, wanted)


def has(tags: dict[str, str], asked: Comparison) -> bool:
    """Whether there is a tag of this key and its value compares."""
    return asked.key in tags and matches(tags[asked.key], asked.op, asked.value)


def model_matches(model: M, asked: Node) -> bool:
    assert isinstance(asked, Comparison)
    return has(model.tags, asked) if asked.field == "tag" else matches(model.name, asked.op, asked.value)


def version_matches(one: Numbered, asked: Node) -> bool:
    assert isinstance(asked, Comparison)
    model, number, version = one
    if asked.field == "tag":
        return has(version.tags, asked)
    values = {"name": model.name, "run_id": version.run_id, "source_path": version.source, "version_number": number}
    return matches(values[asked.field], asked.op, asked.value)


def models_expected(search: Search) -> list[str]:
    found = [model for model in LIVE if search.prompts or not model.is_prompt]
    found = [model for model in found if all(model_matches(model, each) for each in search.comparisons)]
    keys: dict[str, Callable[[M], Any]] = {
        "name": lambda model: model.name.encode(),
        "last_updated_timestamp": lambda model: model.day,
    }
    return [model.name for model in in_order(found, search.order, keys)]


def versions_expected(search: Search) -> list[tuple[str, int]]:
    found = [one for one in VERSIONS if search.prompts or not one[0].is_prompt]
    found = [one for one in found if all(version_matches(one, each) for each in search.comparisons)]
    keys: dict[str, Callable[[Numbered], Any]] = {
        "name": lambda one: one[0].name.encode(),
        "version_number": lambda one: one[1],
        "last_updated_timestamp": lambda one: one[2].day,
        "creation_timestamp": lambda one: -one[2].day,
    }
    return [(model.name, number) for model, number, _ in in_order(found, search.order, keys)]


def in_order(found: list[T], order: Sequence[OrderKey], keys: dict[str, Callable[[T], Any]]) -> list[T]:
    """Sort by the last key first, since sorting is stable."""
    for key in reversed(order):
        found = sorted(found, key=keys[key.field], reverse=key.descending)
    return found


# Asking.


def walk(ask: Callable[[str | None], Page[T]]) -> Iterator[T]:
    token = None
    while True:
        page = ask(token)
        yield from page.items
        token = page.next_token
        if token is None:
            return


def with_token(search: Search, token: str | None) -> Search:
    return Search(search.comparisons, search.order, search.prompts, search.limit, token)


def models_found(search: Search) -> list[str]:
    details = walk(lambda token: searching.models(db.session(), OPERATOR, with_token(search, token)))
    return [detail.model.name for detail in details]


def versions_found(search: Search) -> list[tuple[str, int]]:
    versions = walk(lambda token: searching.versions(db.session(), OPERATOR, with_token(search, token)))
    return [(version.model.name, version.number) for version in versions]


MODEL_ORDER = (OrderKey("name"),)
VERSION_ORDER = (OrderKey("last_updated_timestamp", True), OrderKey("name"), OrderKey("version_number", True))

TEXTS = (
    *("churn", "Churn", "churn%", "a\\b", "\u00e9mile", "\u6f22\u5b57", "%s %(name)s {0}", "gone", "risk", "run-1", ""),
    *("s3://bucket/model", "50%", LONG, LONG + "b", WIDE, "true", "'", "a\nb", "no such thing"),
)
PATTERNS = (
    *("", "%", "_%", "_", "churn", "CHURN%", "%urn%", "churn_v2", "churn\\_v2", "churn\\%", "\\c\\h\\urn", "%\\\\%"),
    *("\\\\", "50\\%", "50_", "%\n%", "%'%", "\u00e9%", "\u00c9%", "\u6f22_", "\u6f22\u5b57_", "\U0001f600%", "RUN-_"),
    *("s3://%/MODEL", "%[a-z]%", "%(name)s%", "x" * 128 + "_"),
)
LISTS = (
    ("churn",),
    ("churn", "Churn", "gone"),
    ("run-1", "RUN-1"),
    ("",),
    ("no such thing",),
    tuple(TEXTS),
    ("'", "%"),
)
NUMBERS = (-(2**63) + 1, -1, 0, 1, 2, 3, 12, 13, 2**31 - 1, 2**31, 2**63 - 1)

COMPARING = ("=", "!=", "<", "<=", ">", ">=")
MATCHING = ("LIKE", "ILIKE")
LISTING = ("IN", "NOT IN")
KEYS = ("team", "k", "a b/c.d", "TEAM", "no such key", PROMPT_TAG)


def values_for(op: str) -> tuple[Value, ...]:
    return PATTERNS if op in MATCHING else LISTS if op in LISTING else TEXTS


def by_operator(fields: Sequence[str], operators: Sequence[str]) -> list[Any]:
    return [pytest.param(name, op, id=f"{name} {op}") for name, op in product(fields, operators)]


EVERY_TEXT = COMPARING + MATCHING + LISTING


@pytest.mark.parametrize(("name", "op"), by_operator(["name"], EVERY_TEXT))
def test_models_by_field(name: str, op: str) -> None:
    found = 0
    for value in values_for(op):
        search = Search([Comparison(name, None, op, value)], MODEL_ORDER)
        assert (value, models_found(search)) == (value, models_expected(search))
        found += len(models_expected(search))
    assert found


@pytest.mark.parametrize("op", COMPARING + MATCHING)
def test_models_by_tag(op: str) -> None:
    found = 0
    for key in KEYS:
        for value in values_for(op)[:: 1 if key == "k" else 5]:
            search = Search([Comparison("tag", key, op, value)], MODEL_ORDER)
            assert (key, value, models_found(search)) == (key, value, models_expected(search))
            found += len(models_expected(search))
    assert found


# The source is compared with < and > as the database's own collation has it, so no face offers that.
SOURCES = ("=", "!=", *MATCHING, *LISTING)


@pytest.mark.parametrize(
    ("name", "op"), by_operator(["name", "run_id"], EVERY_TEXT) + by_operator(["source_path"], SOURCES)
)
def test_versions_by_field(name: str, op: str) -> None:
    found = 0
    for value in values_for(op)[:: 3 if name == "name" else 1]:
        search = Search([Comparison(name, None, op, value)], VERSION_ORDER)
        assert (value, versions_found(search)) == (value, versions_expected(search))
        found += len(versions_expected(search))
    assert found


@pytest.mark.parametrize("op", COMPARING)
def test_versions_by_number(op: str) -> None:
    for number in NUMBERS:
        search = Search([Comparison("version_number", None, op, number)], VERSION_ORDER)
        assert (number, versions_found(search)) == (number, versions_expected(search))


@pytest.mark.parametrize("op", COMPARING + MATCHING)
def test_versions_by_tag(op: str) -> None:
    found = 0
    for key in ("team", "k"):
        for value in values_for(op)[:: 1 if key == "k" else 5]:
            search = Search([Comparison("tag", key, op, value)], VERSION_ORDER)
            assert (key, value, versions_found(search)) == (key, value, versions_expected(search))
            found += len(versions_expected(search))
    assert found


# A few answers spelled out, lest the oracle err as the code does.

SPELLED_OUT = [
    ("the letter case counts", Comparison("name", None, "=", "churn"), ["churn"]),
    ("LIKE counts it, too", Comparison("name", None, "LIKE", "churn"), ["churn"]),
    ("ILIKE does not", Comparison("name", None, "ILIKE", "cHURN"), ["Churn", "churn"]),
    ("also beyond ASCII", Comparison("name", None, "ILIKE", "\u00c9MILE"), ["\u00c9mile", "\u00e9mile"]),
    ("_ is any character", Comparison("name", None, "LIKE", "churn_v2"), ["churnXv2", "churn_v2"]),
    ("a backslash takes it as it is", Comparison("name", None, "LIKE", "churn\\_v2"), ["churn_v2"]),
    ("% is any text", Comparison("name", None, "LIKE", "churn%2"), ["churnXv2", "churn_v2"]),
    ("a backslash takes that as it is", Comparison("name", None, "LIKE", "churn\\%"), ["churn%"]),
    ("two backslashes are one", Comparison("name", None, "LIKE", "a\\\\b"), ["a\\b"]),
    ("= knows no wildcards", Comparison("name", None, "=", "churn%"), ["churn%"]),
    ("LIKE adds none", Comparison("name", None, "LIKE", "hurn"), []),
    ("newlines are any text", Comparison("name", None, "LIKE", "line%line"), ["line\nline"]),
    ("a list", Comparison("name", None, "IN", ("long", "gone", "bare")), ["bare", "long"]),
    ("a tag", Comparison("tag", "team", "=", "risk"), ["churn"]),
    ("a tag unequal is there", Comparison("tag", "team", "!=", "risk"), ["CHURN-eu", "Churn", "churn_v2"]),
    ("an empty tag", Comparison("tag", "k", "=", ""), ["CHURN-eu"]),
    ("a long tag to its end", Comparison("tag", "k", "=", LONG + "b"), ["longer"]),
    ("a key in its own letters", Comparison("tag", "TEAM", "LIKE", "%"), []),
    ("a key with signs", Comparison("tag", "a b/c.d", "=", "1"), ["churn"]),
]


@pytest.mark.parametrize(("_", "asked", "names"), SPELLED_OUT, ids=[says for says, *_ in SPELLED_OUT])
def test_models_are_found(_: str, asked: Comparison, names: list[str]) -> None:
    assert models_found(Search([asked], MODEL_ORDER)) == names


TRAILING = ["\\", "churn\\", "%\\", "a\\\\\\"]


@pytest.mark.parametrize("pattern", TRAILING)
@pytest.mark.parametrize("op", MATCHING)
@pytest.mark.parametrize(("name", "key"), [("name", None), ("tag", "k"), ("run_id", None), ("source_path", None)])
def test_a_pattern_must_not_end_in_the_middle_of_an_escape(name: str, key: str | None, op: str, pattern: str) -> None:
    search = Search([Comparison(name, key, op, pattern)], MODEL_ORDER)
    ask: list[Callable[..., object]] = [searching.versions]
    if name in {"name", "tag"}:
        ask.append(searching.models)
    for each in ask:
        with pytest.raises(Invalid, match="must not end with a single backslash"):
            each(db.session(), OPERATOR, search)


# Several comparisons, every order, pages.

ORDERS_OF_MODELS = ("name", "last_updated_timestamp")
ORDERS_OF_VERSIONS = ("name", "version_number", "creation_timestamp", "last_updated_timestamp")


def some_comparison(chance: random.Random, fields: Sequence[str]) -> Comparison:
    name = chance.choice(fields)
    if name == "version_number":
        return Comparison(name, None, chance.choice(COMPARING), chance.choice(NUMBERS))
    if name == "tag":
        op = chance.choice(COMPARING + MATCHING)
        return Comparison(name, chance.choice(KEYS), op, chance.choice(values_for(op)))
    op = chance.choice(SOURCES)
    return Comparison(name, None, op, chance.choice(values_for(op)))


def some_search(chance: random.Random, fields: Sequence[str], keys: Sequence[str], ties: Sequence[OrderKey]) -> Search:
    """Up to three comparisons, up to all keys in any direction, completed so that no ties are left."""
    comparisons = [some_comparison(chance, fields) for _ in range(chance.randint(0, 3))]
    chosen = chance.sample(keys, chance.randint(0, len(keys)))
    order = [OrderKey(key, chance.random() < 0.5) for key in chosen]
    order += [tie for tie in ties if tie.field not in chosen]
    return Search(comparisons, order, chance.random() < 0.3, limit=chance.choice([1, 3, 7, 100]))


@pytest.mark.parametrize("seed", range(2))
def test_models_by_anything_in_any_order_page_by_page(seed: int) -> None:
    chance, found = random.Random(seed), 0
    for _ in range(25):
        search = some_search(chance, ["name", "tag"], ORDERS_OF_MODELS, MODEL_ORDER)
        assert (search, models_found(search)) == (search, models_expected(search))
        found += len(models_expected(search))
    assert found


@pytest.mark.parametrize("seed", range(2))
def test_versions_by_anything_in_any_order_page_by_page(seed: int) -> None:
    chance, found = random.Random(seed), 0
    ties = [OrderKey("name"), OrderKey("version_number", True)]
    fields = ["name", "tag", "run_id", "source_path", "version_number"]
    for _ in range(25):
        search = some_search(chance, fields, ORDERS_OF_VERSIONS, ties)
        assert (search, versions_found(search)) == (search, versions_expected(search))
        found += len(versions_expected(search))
    assert found


@pytest.mark.parametrize("limit", [3, 19, 37, 1000])
def test_everything_is_found_whatever_the_size_of_a_page(limit: int) -> None:
    models = Search((), (OrderKey("last_updated_timestamp", True), *MODEL_ORDER), limit=limit)
    versions = Search((), VERSION_ORDER, limit=limit)
    assert models_found(models) == models_expected(models)
    assert versions_found(versions) == versions_expected(versions)
    assert (len(models_expected(models)), len(versions_expected(versions))) == (19, 37)


# Prompts.


def about_prompts(op: str, value: str) -> list[Comparison]:
    return [Comparison("tag", PROMPT_TAG, op, value)]


PROMPTS = [
    ("prompts only where they are asked for", about_prompts("=", "true"), ["farewell", "greeting"]),
    ("what is asked for holds as it is written", about_prompts("=", "TRUE"), ["shouted"]),
    ("all but what is none", about_prompts("!=", "false"), ["farewell", "greeting", "shouted"]),
    ("and more", [*about_prompts("=", "true"), Comparison("tag", "team", "=", "risk")], ["greeting"]),
]


@pytest.mark.parametrize(("_", "asked", "names"), PROMPTS, ids=[says for says, *_ in PROMPTS])
def test_prompts_are_found(_: str, asked: list[Comparison], names: list[str]) -> None:
    assert models_found(Search(asked, MODEL_ORDER, prompts=True)) == names


def test_prompts_are_kept_apart_from_models() -> None:
    names = models_found(Search((), MODEL_ORDER))
    assert names == sorted((model.name for model in LIVE if not model.is_prompt), key=str.encode)
    assert {"greeting", "farewell"}.isdisjoint(names)
    assert {"shouted", "no prompt", "mixed"} <= set(names)
    assert models_found(Search(about_prompts("=", "true"), MODEL_ORDER)) == []


def test_versions_of_prompts_are_kept_apart_and_no_others() -> None:
    names = {name for name, _ in versions_found(Search((), VERSION_ORDER))}
    assert {"greeting", "farewell"}.isdisjoint(names)
    by_run = Search([Comparison("run_id", None, "=", "run-1")], [OrderKey("name"), OrderKey("version_number")])
    assert versions_found(by_run) == [("churn", 1), ("mixed", 2), ("no prompt", 2)]
    mixed = Search([Comparison("name", None, "=", "mixed")], VERSION_ORDER)
    assert len(versions_found(mixed)) == 2


def test_versions_of_prompts_are_found_by_their_own_tags() -> None:
    search = Search(about_prompts("=", "true"), [OrderKey("name"), OrderKey("version_number")], prompts=True)
    assert versions_found(search) == [("farewell", 1), ("greeting", 1), ("mixed", 1)]


# What comes with what is found.


@pytest.fixture
def furnished(empty_database_url: str) -> Iterator[Search]:
    """A registry of two models with tags, aliases and versions in several stages."""
    with application(Settings(database_url=empty_database_url)) as app, app.app_context():
        with transaction(OPERATOR) as session:
            for name in ("a", "b"):
                registered_models.create(session, OPERATOR, name, tags={"team": name, "k": ""})
                for stage in (Stage.PRODUCTION, Stage.PRODUCTION, Stage.STAGING):
                    made = model_versions.create(session, OPERATOR, name, source="s3://b/k", tags={"of": name})
                    stages.transition(session, OPERATOR, name, made.number, stage)
                aliases.set(session, OPERATOR, name, "champion", 2)
        yield Search((), MODEL_ORDER)


def test_a_model_comes_with_its_own_tags_aliases_and_newest_versions(furnished: Search) -> None:
    page = searching.models(db.session(), OPERATOR, furnished)
    assert [shown(detail) for detail in page.items] == [
        ("a", {"k": "", "team": "a"}, {"champion": 2}, [(2, Stage.PRODUCTION), (3, Stage.STAGING)]),
        ("b", {"k": "", "team": "b"}, {"champion": 2}, [(2, Stage.PRODUCTION), (3, Stage.STAGING)]),
    ]


def shown(detail: ModelDetail) -> tuple[object, ...]:
    model = detail.model
    tags = {tag.key: tag.value for tag in model.tags}
    pointed = {alias.alias: alias.number for alias in model.aliases}
    return model.name, tags, pointed, [(version.number, version.stage) for version in detail.latest_versions]


def test_a_version_comes_with_its_model_and_its_own_tags(furnished: Search) -> None:
    order = [OrderKey("name"), OrderKey("version_number")]
    page = searching.versions(db.session(), OPERATOR, Search((), order))
    found = [(each.model.name, each.number, {tag.key: tag.value for tag in each.tags}) for each in page.items]
    assert found == [(name, number, {"of": name}) for name in "ab" for number in (1, 2, 3)]


def test_an_empty_registry_has_nothing(empty_database_url: str) -> None:
    with application(Settings(database_url=empty_database_url)) as app, app.app_context():
        assert searching.models(db.session(), OPERATOR, Search((), MODEL_ORDER)) == Page([], None)
        assert searching.versions(db.session(), OPERATOR, Search((), VERSION_ORDER)) == Page([], None)
