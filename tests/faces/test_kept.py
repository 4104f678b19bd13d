"""Answers that are kept and given again: never one that would not be given now."""

import io
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from registry import ownership, settled
from registry.config import Settings
from registry.db import db, transaction
from registry.domain import (
    aliases,
    comments,
    grants,
    imports,
    model_versions,
    registered_models,
    stages,
    tags,
    tokens,
    trash,
)
from registry.domain.access import OPERATOR
from registry.domain.grants import Wanted
from registry.faces import kept
from registry.faces.kept import Answer, Lane, Shelf, body_of, key_of
from registry.settled import Settled
from registry.tables import Principal as PrincipalRow
from registry.vocabulary import Effect, Permission, Role, Stage
from tests.conftest import application, as_role, client_with, issue, superuser
from tests.factories import authenticate, make_model, make_version, move, unique

MLFLOW, OURS = "/api/2.0/mlflow", "/api/v1"
LATEST = f"{MLFLOW}/registered-models/get-latest-versions"
Ask = Callable[[FlaskClient, str], TestResponse]


def by_stage(client: FlaskClient, name: str) -> TestResponse:
    return client.post(LATEST, json={"name": name, "stages": ["Production"]})


QUESTIONS: dict[str, Ask] = {
    "latest": by_stage,
    "latest by GET": lambda client, name: client.get(f"{LATEST}?name={name}&stages=Production"),
    "alias": lambda client, name: client.get(f"{MLFLOW}/registered-models/alias?name={name}&alias=champion"),
    "model": lambda client, name: client.get(f"{MLFLOW}/registered-models/get?name={name}"),
    "version": lambda client, name: client.get(f"{MLFLOW}/model-versions/get?name={name}&version=1"),
    "own model": lambda client, name: client.get(f"{OURS}/models/{name}"),
    "own version": lambda client, name: client.get(f"{OURS}/models/{name}/versions/1"),
    "resolve": lambda client, name: client.get(f"{OURS}/resolve?uri=models:/{name}/Production"),
    "resolve an alias": lambda client, name: client.get(f"{OURS}/resolve?uri=models:/{name}@champion"),
}


def changing(act: Callable[[Any, str], object]) -> Callable[[str], None]:
    def run(name: str) -> None:
        with transaction(OPERATOR) as session:
            act(session, name)

    return run


def archive(session: Any, name: str) -> None:
    stages.transition(session, OPERATOR, name, 2, Stage.PRODUCTION, archive_others=True)


def delete_and_restore(session: Any, name: str) -> None:
    version = model_versions.get(session, OPERATOR, name, 1)
    model_versions.delete(session, OPERATOR, name, 1)
    trash.restore_version(session, OPERATOR, version.model_id, 1)


def make_again(session: Any, name: str) -> None:
    registered_models.delete(session, OPERATOR, name)
    registered_models.create(session, OPERATOR, name, tags={"made": "again"})


CHANGES: dict[str, Callable[[Any, str], object]] = {
    "transition": archive,
    "alias": lambda session, name: aliases.set(session, OPERATOR, name, "champion", 2),
    "no alias": lambda session, name: aliases.unset(session, OPERATOR, name, "champion"),
    "tag": lambda session, name: tags.set_on_version(session, OPERATOR, name, 1, "k", "v"),
    "tag of the model": lambda session, name: tags.set_on_model(session, OPERATOR, name, "k", "v"),
    "description": lambda session, name: model_versions.describe(session, OPERATOR, name, 1, "words"),
    "description of the model": lambda session, name: registered_models.describe(session, OPERATOR, name, "words"),
    "comment": lambda session, name: comments.create(session, OPERATOR, name, 1, "words"),
    "another version": lambda session, name: model_versions.create(session, OPERATOR, name, source="s3://b/3", tags={}),
    "deletion": lambda session, name: model_versions.delete(session, OPERATOR, name, 1),
    "deletion and restoration": delete_and_restore,
    "deletion of the model": lambda session, name: registered_models.delete(session, OPERATOR, name),
    "another model of the name": make_again,
    "rename": lambda session, name: registered_models.rename(session, OPERATOR, name, unique("New")),
    "swap": lambda session, name: stages.rollback(session, OPERATOR, name, Stage.PRODUCTION),
}


def import_again(session: Any, name: str) -> None:
    found = registered_models.get(session, OPERATOR, name).model
    later = found.updated_at + timedelta(days=1)
    again = imports.Model(name=name, description=None, tags={}, created_at=found.created_at, updated_at=later)
    assert not imports.take_model(session, OPERATOR, again)


# Such a change is no event, and moves the time of the last change all the same.
CHANGES |= {
    "the stage it has": lambda session, name: stages.transition(session, OPERATOR, name, 1, Stage.PRODUCTION),
    "the description it has": lambda session, name: model_versions.describe(session, OPERATOR, name, 1, None),
    "the model's own description": lambda session, name: registered_models.describe(session, OPERATOR, name, None),
    "the name it has": lambda session, name: registered_models.rename(session, OPERATOR, name, name),
    "another import": import_again,
}


def prepared() -> str:
    name = make_model()
    make_version(name)
    make_version(name)
    for number in (2, 1):
        move(name, number, Stage.PRODUCTION, archive_others=True)
    with transaction(OPERATOR) as session:
        aliases.set(session, OPERATOR, name, "champion", 1)
    return name


@pytest.fixture(scope="module")
def forgetful(database_url: str) -> Iterator[Flask]:
    """The same service, but one that keeps nothing."""
    settings = Settings(database_url=as_role(database_url, ownership.APP), kept_answers_mb=0)
    with application(settings) as app:
        assert not isinstance(app.wsgi_app, Lane)
        yield app


@pytest.fixture
def plain(forgetful: Flask, credentials: dict[Role, tuple[Any, str]]) -> FlaskClient:
    return named(client_with(forgetful, credentials[Role.ADMINISTRATOR][1]))


def named(client: FlaskClient) -> FlaskClient:
    """The same client, whose requests all have one id: refusals show it."""
    client.environ_base["HTTP_X_REQUEST_ID"] = "same"
    return client


def shown(answer: TestResponse) -> tuple[int, dict[str, str], bytes]:
    headers = {name: value for name, value in answer.headers.items() if name != "X-Request-ID"}
    return answer.status_code, headers, answer.data


def given(app: Flask) -> float:
    sums = app.extensions["meters"].board.sums()
    return float(sums.get(("registry_kept_answers", "given"), [0.0])[0])


@pytest.fixture
def counting(app: Flask) -> Callable[[Callable[[], TestResponse]], bool]:
    """Whether an answer was one that had been kept."""

    def was_kept(ask: Callable[[], TestResponse]) -> bool:
        before = given(app)
        ask()
        return given(app) > before

    return was_kept


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("question", QUESTIONS)
def test_the_second_answer_is_a_kept_one_and_the_same(
    question: str, client: FlaskClient, plain: FlaskClient, counting: Callable[..., bool]
) -> None:
    name, ask = prepared(), QUESTIONS[question]
    first = ask(client, name)
    assert first.status_code == 200
    assert counting(lambda: ask(client, name))
    second = ask(client, name)
    assert shown(first) == shown(second) == shown(ask(plain, name))
    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]
    assert ask(named(client), name).headers["X-Request-ID"] == "same"


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_change_shows_at_once(question: str, change: str, client: FlaskClient, plain: FlaskClient) -> None:
    name, ask = prepared(), QUESTIONS[question]
    named(client)
    for _ in range(2):
        assert ask(client, name).status_code == 200
    changing(CHANGES[change])(name)
    assert shown(ask(client, name)) == shown(ask(plain, name))
    assert shown(ask(client, name)) == shown(ask(plain, name))


@pytest.mark.usefixtures("context")
def test_a_304_is_kept_too_and_gives_way_to_a_change(client: FlaskClient, counting: Callable[..., bool]) -> None:
    name = prepared()
    tag = QUESTIONS["resolve"](client, name).headers["ETag"]

    def ask() -> TestResponse:
        return client.get(f"{OURS}/resolve?uri=models:/{name}/Production", headers={"If-None-Match": tag})

    first = ask()
    assert (first.status_code, first.data) == (304, b"")
    assert counting(ask)
    assert shown(ask()) == shown(first)
    changing(archive)(name)
    assert ask().status_code == 200


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("question", QUESTIONS)
def test_what_changes_while_an_answer_is_made_shows_in_the_next_one(
    question: str, client: FlaskClient, plain: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, ask = prepared(), QUESTIONS[question]
    promoted: list[int] = []
    really_ask = settled.ask

    def change_behind(driver: Any, statement: Settled, values: Any) -> Any:
        rows = really_ask(driver, statement, values)
        if "model_versions" in statement.text and not promoted:
            promoted.append(0)
            promoted[0] = plain.post(f"{OURS}/models/{name}/versions/2/transitions", json=PROMOTION).status_code
        return rows

    monkeypatch.setattr(settled, "ask", change_behind)
    assert ask(named(client), name).status_code == 200
    monkeypatch.undo()
    assert promoted == [200]
    assert shown(ask(client, name)) == shown(ask(plain, name))


PROMOTION = {"to": "Production", "archive_existing": True}


@pytest.mark.usefixtures("context")
def test_a_revoked_token_opens_nothing_that_is_kept(app: Flask) -> None:
    name = prepared()
    _, secret = issue(app, Role.VIEWER)
    client = client_with(app, secret)
    for _ in range(3):
        assert by_stage(client, name).status_code == 200
    with transaction(OPERATOR) as session:
        holder = authenticate(session, secret)
        assert holder is not None
        tokens.revoke(session, OPERATOR, holder.token_id)
    assert by_stage(client, name).status_code == 401


@pytest.mark.usefixtures("context")
def test_a_token_that_expires_opens_nothing_that_is_kept(app: Flask) -> None:
    name = prepared()
    with transaction(OPERATOR) as session:
        soon = datetime.now(UTC) + timedelta(days=1)
        made = tokens.create(session, OPERATOR, name=unique(), role=Role.VIEWER, expires_at=soon)
    client = client_with(app, made.secret)
    for _ in range(3):
        assert by_stage(client, name).status_code == 200
    with superuser() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(
            text("SELECT set_config('app.actor', 'test', true), set_config('app.request_id', 'r', true)")
        )
        connection.execute(text("UPDATE registry.tokens SET expires_at = now() WHERE id = :id"), {"id": made.id})
    assert by_stage(client, name).status_code == 401


@pytest.mark.usefixtures("context")
def test_a_denial_hides_what_is_kept(app: Flask) -> None:
    name = prepared()
    principal, secret = issue(app, Role.VIEWER)
    client = client_with(app, secret)
    for _ in range(3):
        assert by_stage(client, name).status_code == 200
    with transaction(OPERATOR) as session:
        wanted = Wanted(principal=principal.name, effect=Effect.DENY, permissions=[Permission.READ], pattern=name)
        grants.create(session, OPERATOR, wanted)
    assert by_stage(client, name).status_code == 404


@pytest.mark.usefixtures("context")
def test_what_only_an_owner_may_read_is_not_kept(app: Flask, counting: Callable[..., bool]) -> None:
    with transaction(OPERATOR) as session:
        made = tokens.create(session, OPERATOR, name=unique(), role=Role.CONTRIBUTOR)
    client, name = client_with(app, made.secret), unique()
    client.post(f"{OURS}/models", json={"name": name})
    client.post(f"{OURS}/models/{name}/versions", json={"source": "s3://bucket/1"})
    assert made.grant_id is not None
    with transaction(OPERATOR) as session:
        grants.delete(session, OPERATOR, made.grant_id)
    for _ in range(3):
        assert QUESTIONS["own version"](client, name).status_code == 200
        assert not counting(lambda: QUESTIONS["own version"](client, name))


@pytest.mark.usefixtures("context")
def test_a_principal_that_is_called_otherwise_shows_at_once(app: Flask, client: FlaskClient) -> None:
    name = make_model()
    make_version(name)
    mover, secret = issue(app, Role.ADMINISTRATOR)
    client_with(app, secret).post(f"{OURS}/models/{name}/versions/1/transitions", json={"to": "Production"})
    for _ in range(3):
        assert QUESTIONS["resolve"](client, name).get_json()["by"] == {"id": mover.id, "name": mover.name}
    called = unique("Called")
    with transaction(OPERATOR) as session:
        row = session.get(PrincipalRow, int(mover.id.partition(":")[2]))
        assert row is not None
        row.name = called
    assert QUESTIONS["resolve"](client, name).get_json()["by"]["name"] == called


@pytest.mark.usefixtures("context")
def test_each_credential_and_each_body_has_its_own_answer(app: Flask, client: FlaskClient) -> None:
    name = prepared()
    for _ in range(3):
        assert by_stage(client, name).status_code == 200
    assert by_stage(client_with(app, "mreg_" + "0" * 40), name).status_code == 401
    assert by_stage(client_with(app, None), name).status_code == 401
    archived = client.post(LATEST, json={"name": name, "stages": ["Archived"]})
    assert archived.get_json()["model_versions"][0]["version"] == "2"
    assert client.post(LATEST, data=b'{"name": "x"}', content_type="text/plain").status_code == 400


@pytest.mark.usefixtures("context")
def test_a_lost_connection_is_nobodys_concern(app: Flask, client: FlaskClient) -> None:
    name = prepared()
    for _ in range(3):
        assert by_stage(client, name).status_code == 200
    with superuser() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() "
                "AND application_name = 'model-registry' AND pid <> pg_backend_pid()"
            )
        )
    assert by_stage(client, name).status_code == 200


def test_a_busy_service_is_waited_for_once(app: Flask, credentials: dict[Role, tuple[Any, str]]) -> None:
    with application(replace(app.config["REGISTRY"], pool_size=1, connect_timeout_seconds=1)) as busy:
        client = client_with(busy, credentials[Role.ADMINISTRATOR][1])
        with busy.app_context():
            name = prepared()
        for path in (f"{OURS}/models/{name}", f"{MLFLOW}/registered-models/get?name={name}"):
            assert [client.get(path).status_code for _ in range(2)] == [200, 200]
            with busy.app_context(), db.engine.connect():
                began = time.monotonic()
                answer = client.get(path)
            assert answer.status_code == 503
            assert time.monotonic() - began < 1.8
            assert "busy" in answer.text
            assert client.get(path).status_code == 200


class Watching(dict[str, Any]):
    """An environment that knows which headers were looked at."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.seen: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.seen.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.seen.add(str(name))
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.seen.add(name)
        return super().get(name, default)


NOT_IN_THE_ANSWER = {"HTTP_X_REQUEST_ID", "HTTP_X_FORWARDED_FOR"}


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("question", QUESTIONS)
def test_every_header_that_an_answer_depends_on_is_part_of_what_is_asked(
    question: str, app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[str] = set()
    inner = app.wsgi_app

    def watching(environ: dict[str, Any], start: Any) -> Any:
        watched = Watching(environ)
        try:
            return inner(watched, start)
        finally:
            seen.update(name for name in watched.seen if name.startswith("HTTP_"))

    name = prepared()
    monkeypatch.setattr(app, "wsgi_app", watching)
    assert QUESTIONS[question](client, name).status_code == 200
    known = {*kept.PARTS, *kept.UNCOMMON, *NOT_IN_THE_ANSWER, "HTTP_AUTHORIZATION"}
    assert seen - known <= {"HTTP_HOST", "HTTP_CONNECTION"}  # in no answer: addresses in answers have no host
    assert "HTTP_AUTHORIZATION" in seen


def test_no_answer_of_these_names_a_host() -> None:
    for path in Path(kept.__file__).parent.rglob("*.py"):
        assert not re.search(r"_external|host_url|url_root|base_url", path.read_text()), path


def environ(**given: Any) -> dict[str, Any]:
    common = {"REQUEST_METHOD": "GET", "PATH_INFO": "/x", "HTTP_AUTHORIZATION": "Bearer t", "wsgi.input": io.BytesIO()}
    return common | given


@pytest.mark.parametrize("header", kept.UNCOMMON)
def test_uncommon_requests_are_answered_anew(header: str) -> None:
    assert key_of(environ()) is not None
    assert key_of(environ(**{header: "x"})) is None


@pytest.mark.parametrize("given", [{"REQUEST_METHOD": "HEAD"}, {"REQUEST_METHOD": "POST"}, {"HTTP_AUTHORIZATION": ""}])
def test_changes_and_strangers_are_answered_anew(given: dict[str, str]) -> None:
    assert key_of(environ(**given)) is None


def test_a_body_is_left_for_who_comes_next() -> None:
    found = environ(CONTENT_LENGTH="5", **{"wsgi.input": io.BytesIO(b"12345")})
    assert body_of(found) == b"12345"
    assert found["wsgi.input"].read() == b"12345"


@pytest.mark.parametrize("length", ["4097", "-1", "x", "6"])
def test_a_body_that_is_too_long_or_does_not_come_is_none(length: str) -> None:
    found = environ(CONTENT_LENGTH=length, **{"wsgi.input": io.BytesIO(b"12345")})
    assert body_of(found) is None
    assert found["wsgi.input"].read() == b"12345"


def test_a_body_that_cannot_be_read_says_so_to_who_comes_next() -> None:
    class Refusing(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise OSError("hung up")

    found = environ(CONTENT_LENGTH="5", **{"wsgi.input": Refusing()})
    assert body_of(found) is None
    with pytest.raises(OSError, match="hung up"):
        found["wsgi.input"].read(5)


def answer(body: bytes) -> Answer:
    return Answer(b"", (), (), {}, "200 OK", (), body, ("rest", "GET", "/x", 200), {})


@pytest.mark.usefixtures("context")
def test_what_answers_have_alike_is_in_memory_once(app: Flask, client: FlaskClient) -> None:
    lane: Any = app.wsgi_app
    for name in (prepared(), prepared()):
        for _ in range(2):
            assert QUESTIONS["own model"](client, name).status_code == 200
    (first_key, first), (second_key, second) = list(lane.shelf._answers.items())[-2:]
    assert first_key[1] != second_key[1]
    assert all(one is other for one, other in ((first_key[0], second_key[0]), (first_key[-1], second_key[-1])))
    for field in ("token", "authority", "status", "labels"):
        assert getattr(first, field) is getattr(second, field), field
    alike = [pair for pair in first.headers if pair in second.headers]
    assert ("Vary", "Authorization") in alike
    assert {id(pair) for pair in alike} <= {id(pair) for pair in second.headers}


def test_the_shelf_forgets_what_was_asked_the_longest_ago() -> None:
    shelf = Shelf(10 * kept.size_of(("a",), answer(b"")))
    for name in "abcdefghij":
        shelf.put((name,), answer(b""))
    assert shelf.find(("a",)) is not None
    shelf.put(("k",), answer(b""))
    assert shelf.find(("b",)) is None
    assert shelf.find(("a",)) is not None
    for _ in range(20):  # in its own place: nothing has to go
        shelf.put(("a",), answer(b""))
    assert shelf.find(("c",)) is not None


def test_the_shelf_takes_nothing_that_is_too_large() -> None:
    shelf = Shelf(10 * kept.OVERHEAD)
    shelf.put(("a",), answer(b""))
    shelf.put(("a",), answer(bytes(10 * kept.OVERHEAD)))
    assert shelf.find(("a",)) is None


def test_what_was_asked_takes_room_too() -> None:
    shelf = Shelf(64 * kept.OVERHEAD)
    long = "x" * kept.OVERHEAD
    for number in range(64):
        shelf.put((str(number), long, long.encode()), answer(b""))
    assert sum(shelf.find((str(number), long, long.encode())) is not None for number in range(64)) < 64 // 3 + 1
