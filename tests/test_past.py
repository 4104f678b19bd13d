"""Every question about the past, answered two ways: by the service, and by a replay of the audit log.

Random changes through all ways in, then all that `at=` can be asked, at the time of every event and a
microsecond before and after it. Bounded, and the same in every run; for a longer search raise the numbers below.
"""

import functools
import itertools
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from sqlalchemy import Select, select

from registry.client import Client
from registry.db import db
from registry.domain import references, tenures
from registry.domain.access import OPERATOR, Principal
from registry.domain.paging import EPOCH, MICROSECOND
from registry.domain.tenures import Tenure
from registry.errors import NotFound, Purged
from registry.tables import ModelVersion, RegisteredModel
from registry.vocabulary import Role, Stage
from tests.conftest import client_with
from tests.factories import unique
from tests.live import Live
from tests.replay import Log, Spell
from tests.ways_in import Domain, Mlflow, Remote, Rest, Way

EXAMPLES, STEPS = 10, 50
STRIDE, HTTP = 7, 5
"""At each moment one in so many questions is asked, at the next one others; and one in so many of these over HTTP, the
others of the functions that HTTP calls."""
NAMES = ("a", "b", "c", "d")
ALIASES = ("champion", "latest-but-one")
CHANGES = {
    "create_model",
    "create_version",
    "register",
    "transition",
    "set_alias",
    "unset_alias",
    "rename",
    "delete_version",
    "delete_model",
    "rollback",
    "restore_model",
    "restore_version",
    "purge_model",
    "purge_version",
}
QUESTIONS = [
    *(("number", number) for number in range(1, 7)),
    *(("stage", stage) for stage in Stage),
    *(("holders", stage) for stage in Stage),
    *(("alias", alias) for alias in ALIASES),
    ("latest", None),
]
ways = st.sampled_from(["mlflow", "rest", "client", "domain"])
full_ways = st.sampled_from(["rest", "client", "domain"])
names = st.sampled_from(NAMES)
places = st.integers(0, 11)
stages = st.sampled_from(list(Stage))
active = st.sampled_from([stage for stage in Stage if stage.is_active])
aliases = st.sampled_from(ALIASES)
seldom = st.sampled_from([False, False, True])


class Past(RuleBasedStateMachine):
    """A few models with an eventful life, and then the questions."""

    def __init__(
        self, app: Flask, clients: dict[str, FlaskClient], remote: Client, accepted: Counter[tuple[str, str]]
    ) -> None:
        super().__init__()
        self.app, self.asking, self.accepted = app, clients["rest"], accepted
        self.run, self.requests = unique("past"), 0
        self.ways: dict[str, Way] = {
            "mlflow": Mlflow(clients["mlflow"], self.reason),
            "rest": Rest(clients["rest"], self.reason),
            "client": Remote(remote, self.reason),
            "domain": Domain(app, self.reason),
        }

    def reason(self) -> tuple[str, str]:
        """An id for the next request, and a reason from which it can be told."""
        self.requests += 1
        request_id = f"{self.run}-{self.requests}"
        return request_id, because(request_id)

    def name(self, letter: str) -> str:
        return f"{self.run}-{letter}"

    def source(self) -> str:
        """Another one each time."""
        return f"s3://bucket/{self.run}/{self.requests}"

    def do(self, way: str, change: str, *what: Any, **how: Any) -> None:
        accepted = getattr(self.ways[way], change)(*what, **how)
        self.accepted[way, change] += accepted

    @initialize(way=ways, other=full_ways)
    def begin(self, way: str, other: str) -> None:
        """Most changes need something to change."""
        self.create_model(way, "a")
        for _ in range(2):
            self.create_version(way, "a")
        self.create_model(other, "b")
        self.register(other, "b", Stage.PRODUCTION, archive=False)

    @rule(way=ways, letter=names)
    def create_model(self, way: str, letter: str) -> None:
        self.do(way, "create_model", self.name(letter))

    @rule(way=ways, letter=names)
    def create_version(self, way: str, letter: str) -> None:
        self.do(way, "create_version", self.name(letter), self.source())

    @rule(way=full_ways, letter=names, stage=stages, archive=st.booleans())
    def register(self, way: str, letter: str, stage: Stage, archive: bool) -> None:
        self.do(way, "register", self.name(letter), self.source(), stage, archive=archive and stage.is_active)

    @rule(way=ways, which=places, to=stages, archive=st.booleans())
    def transition(self, way: str, which: int, to: Stage, archive: bool) -> None:
        for name, number in one_of(self.versions(), which):
            self.do(way, "transition", name, number, to, archive=archive and to.is_active)

    @rule(way=full_ways, which=places, other=places, stage=active)
    def promote_and_roll_back(self, way: str, which: int, other: int, stage: Stage) -> None:
        for place in (which, other):
            for name, number in one_of(self.versions(), place):
                self.do(way, "transition", name, number, stage, archive=True)
        for name, _ in one_of(self.versions(), other):
            self.do(way, "rollback", name, stage)

    @rule(way=ways, which=places, alias=aliases)
    def set_alias(self, way: str, which: int, alias: str) -> None:
        for name, number in one_of(self.versions(), which):
            self.do(way, "set_alias", name, alias, number)

    @rule(way=ways, letter=names, alias=aliases)
    def unset_alias(self, way: str, letter: str, alias: str) -> None:
        self.do(way, "unset_alias", self.name(letter), alias)

    @rule(way=ways, which=places, to=names)
    def rename(self, way: str, which: int, to: str) -> None:
        for name in one_of(self.models(), which):
            self.do(way, "rename", name, self.name(to))

    @rule(way=ways, which=places)
    def delete_version(self, way: str, which: int) -> None:
        for name, number in one_of(self.versions(), which):
            self.do(way, "delete_version", name, number)

    @rule(way=full_ways, which=places, purge=seldom)
    def restore_or_purge_version(self, way: str, which: int, purge: bool) -> None:
        for model_id, number in one_of(self.deleted_versions(), which):
            self.do(way, "purge_version" if purge else "restore_version", model_id, number)

    @rule(way=ways, which=places)
    def delete_model(self, way: str, which: int) -> None:
        for name in one_of(self.models(), which):
            self.do(way, "delete_model", name)

    @rule(way=full_ways, which=places, letter=st.none() | names, purge=seldom)
    def restore_or_purge_model(self, way: str, which: int, letter: str | None, purge: bool) -> None:
        for model_id in one_of(self.deleted_models(), which):
            if purge:
                self.do(way, "purge_model", model_id)
            else:
                self.do(way, "restore_model", model_id, letter and self.name(letter))

    def rows(self, question: Select[*tuple[Any, ...]]) -> list[Any]:
        """What there is to change, of the models of this run."""
        with self.app.app_context():
            return list(db.session.execute(question.where(RegisteredModel.name.startswith(self.run))))

    def models(self) -> list[str]:
        """The names of the live models."""
        return [row.name for row in self.rows(select(RegisteredModel.name).where(RegisteredModel.deleted_at.is_(None)))]

    def versions(self) -> list[Any]:
        """The live versions, as name and number."""
        there = RegisteredModel.deleted_at.is_(None) & ModelVersion.deleted_at.is_(None)
        return self.rows(select(RegisteredModel.name, ModelVersion.number).join(ModelVersion.model).where(there))

    def deleted_versions(self) -> list[Any]:
        """Those in the trash, as id of the model and number."""
        pair = select(ModelVersion.model_id, ModelVersion.number).join(ModelVersion.model)
        return self.rows(pair.where(ModelVersion.deleted_at.is_not(None)))

    def deleted_models(self) -> list[int]:
        """The ids of those in the trash, and of those that were purged, which nothing brings back."""
        return [row.id for row in self.rows(select(RegisteredModel.id).where(RegisteredModel.deleted_at.is_not(None)))]

    def teardown(self) -> None:
        """Ask everything."""
        log = Log(self.exported())
        with self.app.app_context():
            self.compare(log)

    def exported(self) -> Iterator[str]:
        """All lines about models that have, or ever had, one of the names."""
        for letter in NAMES:
            answer = self.asking.get(f"/api/v1/models/{self.name(letter)}/audit?format=jsonl")
            if answer.status_code == 200:
                yield from answer.text.splitlines()

    def compare(self, log: Log) -> None:
        """The service and the replay, for every name, question and moment."""
        questions = [(letter, *question) for letter in NAMES for question in QUESTIONS]
        every = itertools.product([None, *log.instants()], questions)
        for place, (at, (letter, kind, value)) in enumerate(itertools.islice(every, 0, None, STRIDE)):
            ask = by_function if place % HTTP else self.over_http
            name = self.name(letter)
            assert ask(name, kind, value, at) == replayed(log, name, kind, value, at), (name, kind, value, at)
        for letter in NAMES:
            for stage in Stage:
                name = self.name(letter)
                assert self.history(name, stage) == replayed_history(log, name, stage), (name, stage)

    def over_http(self, name: str, kind: str, value: Any, at: int | None) -> Any:
        """What `/api/v1` answers."""
        path = f"/models/{name}/stages/{value}?" if kind == "holders" else f"/resolve?uri={uri(name, kind, value)}"
        answer = self.asking.get("/api/v1" + path + ("" if at is None else f"&at={moment(at).isoformat()[:-6]}Z"))
        if answer.status_code != 200:
            return {404: "nowhere", 410: "purged"}[answer.status_code]
        if kind == "holders":
            return [tenure(item) for item in answer.get_json()["items"]]
        found = answer.get_json()
        return found["version"], found["stage"], found["source"], micros(found["since"]), found["by"]["id"]

    def history(self, name: str, stage: Stage) -> list[Any] | str:
        """All pages of a stage's history."""
        path: str | None = f"/api/v1/models/{name}/stages/{stage}/history?limit=2"
        found: list[Any] = []
        while path is not None:
            answer = self.asking.get(path)
            if answer.status_code == 404:
                return "nowhere"
            found += [tenure(item) for item in answer.get_json()["items"]]
            path = answer.get_json()["next"]
        return found


def one_of(things: list[Any], which: int) -> list[Any]:
    """One of them, by its place; none if there are none."""
    return [sorted(things)[which % len(things)]] if things else []


def by_function(name: str, kind: str, value: Any, at: int | None) -> Any:
    """What the domain answers."""
    when = None if at is None else moment(at)
    try:
        if kind == "holders":
            return [of_tenure(one) for one in tenures.holders(db.session(), OPERATOR, name, value, when)]
        found = references.resolve(db.session(), OPERATOR, f"models:/{name}{suffix(kind, value)}", when)
    except Purged:
        return "purged"
    except NotFound:
        return "nowhere"
    return found.version.number, found.stage, found.version.source, microseconds(found.since), found.by.id


def replayed(log: Log, name: str, kind: str, value: Any, at: int | None) -> Any:
    """What the log says."""
    if kind == "holders":
        stream = log.called(name, at) or log.called(name, None)
        return "nowhere" if stream is None else [of_spell(spell) for spell in log.holders(stream, value, at)]
    found = log.resolve(name, kind, value, at)
    if found is None:
        return "nowhere"
    spell = found.spell
    if found.source is None:
        return "purged"
    return spell.number, spell.value, found.source, spell.since, spell.opened["actor"]


def replayed_history(log: Log, name: str, stage: Stage) -> list[Any] | str:
    """What the log says of all who stood in a stage of the model that has this name now."""
    stream = log.called(name, None)
    return "nowhere" if stream is None else [of_spell(spell) for spell in log.history(stream, stage)]


def of_spell(spell: Spell) -> tuple[Any, ...]:
    """A tenure, out of the log."""
    opened, closed = spell.opened, spell.closed
    why = because(opened["request_id"]) if opened["reason"] else None
    until, ended_by = (closed["at_us"], closed["actor"]) if closed else (None, None)
    return spell.number, spell.value, spell.since, until, opened["actor"], why, ended_by


def of_tenure(one: Tenure) -> tuple[Any, ...]:
    """A tenure, out of the domain."""
    until, ended_by = one.until and microseconds(one.until), one.ended_by and one.ended_by.id
    return one.number, one.stage, microseconds(one.since), until, one.by.id, one.reason, ended_by


def tenure(item: dict[str, Any]) -> tuple[Any, ...]:
    """A tenure, out of an answer."""
    until, ended_by = item["until"] and micros(item["until"]), item["ended_by"] and item["ended_by"]["id"]
    return item["version"], item["stage"], micros(item["since"]), until, item["by"]["id"], item["reason"], ended_by


def because(request_id: str) -> str:
    return f"because {request_id} asked for it"


def suffix(kind: str, value: Any) -> str:
    return {"latest": "/latest", "alias": f"@{value}"}.get(kind, f"/{value}")


def uri(name: str, kind: str, value: Any) -> str:
    return quote(f"models:/{name}{suffix(kind, value)}")


def moment(at: int) -> datetime:
    return EPOCH + at * MICROSECOND


def microseconds(when: datetime) -> int:
    return (when - EPOCH) // MICROSECOND


def micros(text: str) -> int:
    return microseconds(datetime.fromisoformat(text))


@pytest.fixture(scope="module")
def remote(live: Live) -> Iterator[Client]:
    """A client over the network, of a service on the same database."""
    with live.client() as client:
        yield client


@pytest.fixture
def clients(app: Flask, credentials: dict[Role, tuple[Principal, str]]) -> dict[str, FlaskClient]:
    """Clients of both faces, each with a token of its own."""
    roles = {"mlflow": Role.APPROVER, "rest": Role.ADMINISTRATOR}
    return {face: client_with(app, credentials[role][1]) for face, role in roles.items()}


def test_a_life_with_every_change(app: Flask, clients: dict[str, FlaskClient], remote: Client) -> None:
    accepted: Counter[tuple[str, str]] = Counter()
    past = Past(app, clients, remote, accepted)
    past.begin("mlflow", "rest")
    for way in ("rest", "client", "domain"):
        past.promote_and_roll_back(way, 0, 1, Stage.PRODUCTION)
        past.set_alias(way, 0, "champion")
        past.rename(way, 0, "c")
        past.unset_alias(way, "c", "champion")
        for purge in (False, True):
            past.delete_version(way, 0)
            past.restore_or_purge_version(way, 0, purge)
        for purge in (False, True):
            past.delete_model(way, 0)
            past.restore_or_purge_model(way, 0, "a", purge)
        past.create_model(way, "a")
        past.create_version(way, "a")
        past.register(way, "a", Stage.STAGING, archive=True)
    past.teardown()
    assert {change for (_, change), times in accepted.items() if times} == CHANGES
    assert {way for (way, _), times in accepted.items() if times} == set(past.ways)


def test_the_past_is_what_the_log_says(app: Flask, clients: dict[str, FlaskClient], remote: Client) -> None:
    run_state_machine_as_test(
        functools.partial(Past, app, clients, remote, Counter()),  # type: ignore[arg-type] # whatever makes one will do
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
