"""Each question is asked as it is measured, of the service in this process; and each write writes every time."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from flask import Flask
from sqlalchemy import make_url, text

from bench import lookup, statements
from bench.load import registry
from bench.lookup import Answer
from bench.population import Size
from bench.questions import BY_NAME, LARGEST, QUESTIONS, RESOLVE, TEN, TRANSITION, Known, Question
from bench.wrk import Request
from registry.config import Settings
from registry.db import db
from registry.vocabulary import Role
from tests.conftest import application, client_with, database, issue
from tests.sealer.logs import Place

SIZE = Size("tiny", models=40, versions=420, largest=30)
WRITES = [question for question in QUESTIONS if question.writes]


@dataclass(frozen=True)
class Loaded:
    """A service on a loaded and sealed registry, and a token for it."""

    app: Flask
    token: str
    known: Known

    def ask(self, request: Request) -> int:
        return statements.ask(self.app.test_client(), request, self.token)

    @property
    def events(self) -> int:
        with self.app.app_context():
            return int(db.session.scalar(text("SELECT count(*) FROM audit.event")) or 0)


@pytest.fixture(scope="module")
def loaded(server_url: str, template_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    with database(server_url, str(make_url(template_url).database)) as url:
        registry.load(url, SIZE, say=lambda _: None)
        Place(url, tmp_path_factory.mktemp("sealer")).seal()
        with application(Settings(database_url=url)) as app:
            token = issue(app, Role.ADMINISTRATOR)[1]
            yield Loaded(app, token, lookup.known(asking(app, token), SIZE))


def asking(app: Flask, token: str) -> lookup.Ask:
    def ask(path: str) -> Answer:
        answer = client_with(app, token).get(path)
        assert answer.status_code == 200, answer.text
        return answer.data, answer.headers

    return ask


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_every_question_is_answered(loaded: Loaded, question: Question) -> None:
    expected = 304 if question.name.endswith(", 304") else 200

    assert {loaded.ask(one) for one in question.requests(SIZE, loaded.known)[:5]} == {expected}


@pytest.mark.parametrize("question", WRITES, ids=lambda question: question.name)
def test_every_write_leaves_an_event_however_often_all_are_sent(loaded: Loaded, question: Question) -> None:
    requests = question.requests(SIZE, loaded.known)[-60:]
    for request in requests if question.name == TRANSITION else ():
        loaded.ask(request)  # as they stand after a round
    before = loaded.events

    for request in requests:
        loaded.ask(request)

    assert loaded.events >= before + len(requests)


@pytest.mark.parametrize("question", [BY_NAME["search by tag"], BY_NAME["search by name"]], ids=lambda one: one.name)
def test_a_search_finds_ten_models_whatever_the_size(loaded: Loaded, question: Question) -> None:
    [request] = question.requests(SIZE, loaded.known)[:1]

    found = client_with(loaded.app, loaded.token).get(request.path).get_json()

    assert len(found["registered_models"]) == 10


def test_the_last_page_that_is_asked_for_has_models(loaded: Loaded) -> None:
    [request] = BY_NAME["search, page 900"].requests(SIZE, loaded.known)

    found = client_with(loaded.app, loaded.token).get(request.path).get_json()

    assert [model["name"] for model in found["registered_models"]] == ["model-000035"]


def test_the_largest_model_and_one_of_ten_are_what_they_say(loaded: Loaded) -> None:
    bodies = [BY_NAME[name].requests(SIZE, loaded.known)[0].body for name in (LARGEST, TEN)]

    assert [body["name"] for body in bodies if isinstance(body, dict)] == ["model-000000", "model-000001"]
    assert SIZE.count(0) == 30


def test_statements_are_counted(loaded: Loaded) -> None:
    counts = statements.per_request(loaded.app, loaded.token, SIZE, loaded.known)

    assert set(counts) == set(BY_NAME)
    assert all(count >= 1 for count in counts.values())


def test_questions_are_the_same_each_time() -> None:
    once, again = (BY_NAME[RESOLVE].requests(SIZE, Known()) for _ in range(2))

    assert once == again
    assert len(once) > len({str(request.body) for request in once}) > 10
