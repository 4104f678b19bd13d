"""Connections that break at a COMMIT, or when all is said: the caller is told what is true."""

from collections.abc import Iterator, Mapping

import pytest
from flask import Response
from sqlalchemy.orm import Session

from chaos.proxy import Cut, Proxy
from registry.config import Settings
from registry.db import db, receipts, transaction
from registry.domain import registered_models, tags
from registry.domain.access import OPERATOR, Principal
from registry.errors import NotFound, Unavailable, Uncertain
from registry.vocabulary import Role
from tests.conftest import application
from tests.factories import unique
from tests.proxied import proxied


@pytest.fixture
def proxy(database_url: str) -> Iterator[Proxy]:
    """The way to the database, with an application at its end whose context is entered."""
    with proxied(database_url) as (url, proxy):
        settings = Settings(database_url=url, statement_timeout_ms=500, connect_timeout_seconds=2)
        with application(settings) as app, app.app_context():
            yield proxy
            proxy.clear()


def create(name: str, *, asking_for_receipts: bool = True) -> None:
    with transaction(OPERATOR) as session:
        registered_models.create(session, OPERATOR, name, tags={})
        if asking_for_receipts:
            assert receipts(session)


def refusal_of(name: str) -> Unavailable | None:
    try:
        create(name)
    except Unavailable as error:
        return error
    return None


def is_there(name: str) -> bool:
    session: Session = db.session()
    session.rollback()
    try:
        registered_models.get(session, OPERATOR, name)
    except NotFound:
        return False
    return True


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.HOLE_BEFORE])
def test_what_never_arrived_was_not_done_and_is_said_not_to_be(proxy: Proxy, cut: Cut) -> None:
    name = unique()
    proxy.set(cut=cut)
    with pytest.raises(Unavailable) as refused:
        create(name)
    assert not isinstance(refused.value, Uncertain)
    proxy.clear()
    assert not is_there(name)


@pytest.mark.parametrize("cut", [Cut.AFTER, Cut.HOLE_AFTER])
def test_what_was_done_is_said_to_be_though_the_answer_to_its_commit_is_lost(proxy: Proxy, cut: Cut) -> None:
    name = unique()
    proxy.set(cut=cut)
    create(name)
    proxy.clear()
    assert is_there(name)


def test_a_change_that_lost_its_connection_at_the_commit_is_there_if_and_only_if_it_is_said_to_be(proxy: Proxy) -> None:
    for _ in range(10):
        name = unique()
        proxy.set(cut=Cut.AT)
        refusal = refusal_of(name)
        proxy.clear()
        assert not isinstance(refusal, Uncertain)
        assert is_there(name) is (refusal is None)


def test_nobody_is_told_that_nothing_was_done_while_the_database_cannot_be_asked(proxy: Proxy) -> None:
    with pytest.raises(Uncertain), transaction(OPERATOR) as session:
        registered_models.create(session, OPERATOR, unique(), tags={})
        receipts(session)
        proxy.set(refusing=True)


def test_a_change_without_receipts_is_uncertain_when_its_commit_gets_no_answer(proxy: Proxy) -> None:
    proxy.set(cut=Cut.AFTER)
    with pytest.raises(Uncertain):
        create(unique(), asking_for_receipts=False)


@pytest.mark.parametrize(("cut", "made"), [(Cut.BEFORE, {}), (Cut.AFTER, {"key": "value"})])
def test_so_is_one_that_goes_along_with_its_commit(proxy: Proxy, cut: Cut, made: dict[str, str]) -> None:
    name = unique()
    create(name)
    proxy.set(cut=cut)
    with pytest.raises(Uncertain), transaction(OPERATOR) as session:
        tags.set_on_model(session, OPERATOR, name, "key", "value")
    proxy.clear()
    assert tags.all_of(db.session(), OPERATOR, name, None) == made


def test_a_mere_question_that_loses_its_connection_is_never_uncertain(proxy: Proxy) -> None:
    proxy.set(cut=Cut.AFTER)
    with pytest.raises(Unavailable) as refused, transaction(OPERATOR) as session:
        is_there(unique())
        proxy.set(refusing=True)
        session.execute(db.text("SELECT 1"))
    assert not isinstance(refused.value, Uncertain)


def test_an_answer_that_is_there_is_given_though_the_connection_breaks_after_it(
    database_url: str, credentials: Mapping[Role, tuple[Principal, str]]
) -> None:
    _, secret = credentials[Role.VIEWER]
    with proxied(database_url) as (url, proxy), application(Settings(database_url=url)) as app:

        @app.after_request
        def break_it(response: Response) -> Response:
            proxy.set(refusing=True)
            return response

        answer = app.test_client().get("/api/v1/models", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 200
