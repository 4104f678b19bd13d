"""Tokens: made, shown once, listed, revoked, expired; and the administrator's token, of which there is always one."""

import base64
import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from registry.config import Settings
from registry.db import db, transaction, unaudited
from registry.domain import access, tokens
from registry.domain.access import OPERATOR
from registry.domain.tokens import IssuedToken, TokenInfo
from registry.errors import Forbidden, Invalid, NotFound
from registry.tables import AuditEvent, Token
from registry.tables import Principal as PrincipalRow
from registry.vocabulary import Action, Role
from tests.conftest import application
from tests.factories import authenticate, trusted, unique

GIVEN, OTHER = "given-token-0123456789", "another-token-0123456789"


def create(name: str | None = None, role: Role = Role.VIEWER, **given: Any) -> IssuedToken:
    with transaction(OPERATOR) as session:
        return tokens.create(session, OPERATOR, name=name or unique("robot"), role=role, **given)


def revoke(token_id: int) -> None:
    with transaction(OPERATOR) as session:
        tokens.revoke(session, OPERATOR, token_id)


def who(secret: str) -> access.Principal | None:
    holder = authenticate(db.session(), secret)
    return holder.principal if holder else None


def listed(token_id: int) -> TokenInfo:
    [found] = [each for each in tokens.search(db.session(), OPERATOR, limit=10_000).items if each.id == token_id]
    return found


def change(token_id: int, **values: Any) -> None:
    """Change a token behind everybody's back."""
    with transaction(OPERATOR) as session:
        session.execute(update(Token).where(Token.id == token_id).values(**values))


def events_written() -> int:
    return db.session.scalars(select(func.count(AuditEvent.id))).one()


def events_of(token_id: int) -> list[str]:
    mine = select(AuditEvent.action).where(AuditEvent.object == f"token:{token_id}")
    return list(db.session.scalars(mine.order_by(AuditEvent.id)))


# Making.


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("role", Role)
def test_a_token_says_who_holds_it_and_what_it_may(role: Role) -> None:
    name = unique("robot")
    issued = create(name, role)
    found = who(issued.secret)
    assert found is not None
    assert (found.name, found.role, found.credential) == (name, role, f"token:{issued.id}")
    assert re.fullmatch(r"principal:[0-9]+", found.id)


@pytest.mark.usefixtures("context")
def test_a_secret_is_long_random_and_easy_to_recognise() -> None:
    secrets = {create().secret for _ in range(20)}
    assert len(secrets) == 20
    assert all(re.fullmatch(r"mreg_[0-9a-f]{40}", secret) for secret in secrets)


@pytest.mark.usefixtures("context")
def test_two_tokens_of_one_name_are_one_principal() -> None:
    name = unique("robot")
    first, second = who(create(name).secret), who(create(name, Role.APPROVER).secret)
    other = who(create().secret)
    assert first is not None
    assert second is not None
    assert other is not None
    assert first.id == second.id != other.id
    assert (first.role, second.role) == (Role.VIEWER, Role.VIEWER)  # the second token gives no more than was granted


@pytest.mark.usefixtures("context")
def test_who_makes_a_token_is_told_all_about_it() -> None:
    name, until = unique("robot"), datetime.now(UTC) + timedelta(days=1)
    issued = create(name, Role.APPROVER, description="for the pipeline", expires_at=until)
    found = listed(issued.id)
    assert (found.principal_name, found.role, found.description) == (name, Role.APPROVER, "for the pipeline")
    assert (found.expires_at, found.revoked_at, found.last_used_at) == (until, None, None)
    assert abs(found.created_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert {field: getattr(issued, field) for field in TokenInfo.__slots__} == {
        field: getattr(found, field) for field in TokenInfo.__slots__
    }


NOT_MADE: dict[str, tuple[dict[str, Any], str]] = {
    "a blank name": ({"name": " \t"}, "Missing value for required parameter 'name'."),
    "a name of 201 characters": ({"name": "n" * 201}, "'name' exceeds the maximum length of 200 characters"),
    "a description of 1,001": ({"description": "d" * 1_001}, "'description' exceeds the maximum length of 1000 "),
    "an expiry that has passed": ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "cannot expire in the past"),
}


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize(("wrong", "message"), NOT_MADE.values(), ids=NOT_MADE)
def test_a_token_is_not_made_with(wrong: dict[str, Any], message: str) -> None:
    before = events_written()
    with pytest.raises(Invalid) as refused:
        create(**({"name": unique("robot")} | wrong))
    assert message in refused.value.message
    assert events_written() == before


# Authenticating.

GUESSES: dict[str, Callable[[str], str]] = {
    "nothing": lambda _: "",
    "the prefix": lambda _: "mreg_",
    "another one": lambda _: "mreg_" + "0" * 40,
    "capitals": lambda secret: secret.upper(),
    "a space behind it": lambda secret: secret + " ",
    "its first half": lambda secret: secret[:25],
    "without the prefix": lambda secret: secret.removeprefix("mreg_"),
    "its digest": lambda secret: hashlib.sha256(secret.encode()).hexdigest(),
    "NUL": lambda secret: secret + "\0",
    "a wildcard": lambda _: "%",
    "half of a surrogate pair": lambda secret: secret + "\udcff",
    "a million characters": lambda _: "x" * 1_000_000,
}


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("guess", GUESSES.values(), ids=GUESSES)
def test_no_guess_opens_the_door(guess: Callable[[str], str]) -> None:
    secret = create().secret
    assert who(guess(secret)) is None
    assert who(secret) is not None


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize(("seconds", "opens"), [(-3600, False), (-0.001, False), (3600, True)])
def test_a_token_opens_the_door_until_it_expires(seconds: float, *, opens: bool) -> None:
    issued = create(expires_at=datetime.now(UTC) + timedelta(hours=1))
    change(issued.id, expires_at=datetime.now(UTC) + timedelta(seconds=seconds))
    assert (who(issued.secret) is not None) == opens


@pytest.mark.usefixtures("context")
def test_at_the_very_instant_of_its_expiry_a_token_has_expired() -> None:
    issued = create(expires_at=datetime.now(UTC) + timedelta(hours=1))
    with transaction(OPERATOR) as session:
        session.execute(update(Token).where(Token.id == issued.id).values(expires_at=func.now()))
        assert authenticate(session, issued.secret) is None


@pytest.mark.usefixtures("context")
def test_a_revoked_token_is_worthless_at_once_and_others_of_its_holder_are_not() -> None:
    name = unique("robot")
    first, second = create(name), create(name)
    revoke(first.id)
    assert who(first.secret) is None
    assert who(second.secret) is not None
    assert (listed(first.id).revoked_at is None, listed(second.id).revoked_at is None) == (False, True)
    assert events_of(first.id) == [Action.TOKEN_CREATE, Action.TOKEN_REVOKE]


@pytest.mark.usefixtures("context")
def test_revoking_again_changes_nothing() -> None:
    issued = create()
    revoke(issued.id)
    before = listed(issued.id).revoked_at, events_written()
    revoke(issued.id)
    assert (listed(issued.id).revoked_at, events_written()) == before


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("token_id", [0, -1, 2**62, 2**63, 10**30])
def test_a_token_that_is_not_there_is_not_revoked(token_id: int) -> None:
    with pytest.raises(NotFound) as refused:
        revoke(token_id)
    assert refused.value.message == f"Token {token_id} not found."


@pytest.mark.usefixtures("context")
def test_tokens_are_listed_the_oldest_first_without_a_secret() -> None:
    made = [create().id for _ in range(3)]
    found = tokens.search(db.session(), OPERATOR, limit=10_000).items
    assert [each.id for each in found][-3:] == made
    assert [each.id for each in found] == sorted(each.id for each in found)
    assert not any(hasattr(each, "secret") or hasattr(each, "digest") for each in found)


# Noting that a token was used.


def note_use(token_id: int) -> None:
    with unaudited() as session:
        tokens.note_use(session, token_id)


def is_due(secret: str) -> bool:
    holder = authenticate(db.session(), secret)
    assert holder is not None
    return holder.standing.note_use


@pytest.mark.usefixtures("context")
def test_use_is_noted_at_most_every_five_minutes_and_is_no_event() -> None:
    issued, other, before = create(), create(), events_written()
    assert is_due(issued.secret)
    note_use(issued.id)
    noted = listed(issued.id).last_used_at
    assert noted is not None
    assert not is_due(issued.secret)
    note_use(issued.id)
    assert listed(issued.id).last_used_at == noted
    assert (listed(other.id).last_used_at, events_written()) == (None, before)


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize(("minutes", "due"), [(4, False), (6, True)])
def test_use_is_noted_again_after_a_while(minutes: int, *, due: bool) -> None:
    issued = create()
    long_ago = datetime.now(UTC) - timedelta(minutes=minutes)
    with unaudited() as session:
        session.execute(update(Token).where(Token.id == issued.id).values(last_used_at=long_ago))
    assert is_due(issued.secret) == due
    note_use(issued.id)
    assert (listed(issued.id).last_used_at != long_ago) == due


# What the database keeps.


def everything(session: Session) -> list[str]:
    """All rows of all tables, as text."""
    ours = "schemaname NOT IN ('pg_catalog', 'information_schema')"
    tables = session.scalars(text(f"SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE {ours}")).all()
    assert {"registry.tokens", "audit.event", "audit.private"} <= set(tables)
    return [row for table in tables for row in session.scalars(text(f"SELECT t::text FROM {table} t"))]


def spellings(secret: str) -> list[str]:
    return [
        secret,
        secret.removeprefix("mreg_"),
        secret.encode().hex(),
        base64.b64encode(secret.encode()).decode()[:-4],
    ]


def test_no_secret_is_anywhere_in_the_database(lonely: Flask) -> None:
    first, second = create("ada", Role.ADMINISTRATOR, description="d"), create("bob")
    ensure(GIVEN)
    revoke(second.id)
    who(first.secret)
    note_use(first.id)
    rows = everything(db.session())
    assert any("ada" in row for row in rows)
    for secret in (first.secret, second.secret, GIVEN):
        assert not [row for row in rows for spelling in spellings(secret) if spelling in row]
        digest = hashlib.sha256(secret.encode()).hexdigest()
        assert [row.count(digest) for row in rows if digest in row] == [1]


def test_the_log_tells_of_a_token_without_its_digest(lonely: Flask) -> None:
    issued = create("ada", Role.APPROVER)
    bodies = db.session.scalars(select(AuditEvent.body)).all()
    assert any('"approver"' in body for body in bodies)
    assert not [body for body in bodies if "digest" in body.replace("salted_sha256", "")]
    assert not [body for body in bodies if hashlib.sha256(issued.secret.encode()).hexdigest() in body]


# The administrator's token.


@pytest.fixture
def lonely(empty_database_url: str) -> Iterator[Flask]:
    """A registry to itself, with nobody in it."""
    with application(Settings(database_url=empty_database_url)) as app, app.app_context():
        yield app


def ensure(given: str | None) -> str | None:
    with transaction(OPERATOR) as session:
        return tokens.ensure_administrator(session, OPERATOR, given)


def rows() -> list[TokenInfo]:
    return tokens.search(db.session(), OPERATOR, limit=10_000).items


def is_administrator(secret: str | None) -> bool:
    found = who(secret or "")
    return found is not None and (found.name, found.role) == ("admin", Role.ADMINISTRATOR)


def test_the_first_start_makes_a_token_and_the_next_ones_none(lonely: Flask) -> None:
    secret = ensure(None)
    before = events_written()
    assert is_administrator(secret)
    assert [ensure(None), ensure(None)] == [None, None]
    assert (len(rows()), events_written()) == (1, before)


def test_a_given_token_is_let_in_and_not_shown(lonely: Flask) -> None:
    assert ensure(GIVEN) is None
    before = events_written()
    assert is_administrator(GIVEN)
    assert [ensure(GIVEN), ensure(None)] == [None, None]
    assert (len(rows()), events_written()) == (1, before)


def test_another_given_token_takes_its_place(lonely: Flask) -> None:
    ensure(GIVEN)
    ensure(OTHER)
    assert (is_administrator(GIVEN), is_administrator(OTHER)) == (False, True)
    assert [each.revoked_at is None for each in rows()] == [False, True]


def test_a_given_token_may_come_back(lonely: Flask) -> None:
    for given in (GIVEN, OTHER, GIVEN):
        ensure(given)
    assert (is_administrator(GIVEN), is_administrator(OTHER), len(rows())) == (True, False, 2)


def test_a_given_token_leaves_all_others_alone(lonely: Flask) -> None:
    made, robot, secret = create("ada", Role.ADMINISTRATOR), create("robot"), ensure(None)
    ensure(GIVEN)
    ensure(OTHER)
    assert secret is None
    assert who(made.secret) is not None
    assert who(robot.secret) is not None


def test_a_token_made_at_the_first_start_stays_when_one_is_given(lonely: Flask) -> None:
    secret = ensure(None)
    ensure(GIVEN)
    assert (is_administrator(secret), is_administrator(GIVEN)) == (True, True)


def test_a_token_is_made_where_no_administrator_can_get_in(lonely: Flask) -> None:
    create(role=Role.VIEWER)
    create(role=Role.APPROVER)
    revoke(create(role=Role.ADMINISTRATOR).id)
    change(create(role=Role.ADMINISTRATOR).id, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    secret = ensure(None)
    assert is_administrator(secret)
    revoke(rows()[-1].id)
    assert ensure(None) not in {None, secret}


def test_only_an_administrator_sees_to_that(lonely: Flask) -> None:
    approver = trusted("paul", Role.APPROVER)
    for given in (None, GIVEN):
        with pytest.raises(Forbidden), transaction(approver) as session:
            tokens.ensure_administrator(session, approver, given)
    assert rows() == []


THREADS = 4


def at_once(app: Flask, given: str | None) -> list[str | None]:
    together = threading.Barrier(THREADS)

    def start(_: int) -> str | None:
        with app.app_context():
            together.wait(10)
            return ensure(given)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(start, range(THREADS)))


def test_services_that_start_at_once_make_one_token(lonely: Flask) -> None:
    secrets = [secret for secret in at_once(lonely, None) if secret is not None]
    assert len(secrets) == len(rows()) == 1
    assert is_administrator(secrets[0])


def test_services_that_start_at_once_let_one_given_token_in(lonely: Flask) -> None:
    ensure(OTHER)
    assert at_once(lonely, GIVEN) == [None] * THREADS
    assert [each.revoked_at is None for each in rows()] == [False, True]
    assert (is_administrator(GIVEN), is_administrator(OTHER)) == (True, False)
    assert db.session.scalar(select(func.count(PrincipalRow.id))) == 1


# How long they last.

DAY = timedelta(days=1)
LASTING: dict[str, tuple[dict[str, int], timedelta | None, timedelta | None]] = {
    "for good, where nobody says anything": ({}, None, None),
    "as long as asked": ({}, 5 * DAY, 5 * DAY),
    "as the default says": ({"token_days": 30}, None, 30 * DAY),
    "longer than the default, if asked": ({"token_days": 30}, 40 * DAY, 40 * DAY),
    "as long as it may": ({"token_days_max": 90}, None, 90 * DAY),
    "as the default says, within what it may": ({"token_days": 30, "token_days_max": 90}, None, 30 * DAY),
    "exactly as long as it may": ({"token_days_max": 90}, 90 * DAY, 90 * DAY),
    "as long as it may, by a clock that is a little ahead": (
        {"token_days_max": 90},
        90 * DAY + timedelta(minutes=4),
        90 * DAY,
    ),
}


def configured(monkeypatch: pytest.MonkeyPatch, app: Flask, **days: int) -> None:
    monkeypatch.setitem(app.config, "REGISTRY", replace(app.config["REGISTRY"], **days))


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize(("days", "asked", "lasts"), LASTING.values(), ids=LASTING)
def test_a_token_lasts(
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
    days: dict[str, int],
    asked: timedelta | None,
    lasts: timedelta | None,
) -> None:
    configured(monkeypatch, app, **days)
    now = datetime.now(UTC)
    made = create(expires_at=now + asked if asked else None)
    assert listed(made.id).expires_at == made.expires_at
    if lasts is None:
        assert made.expires_at is None
    else:
        assert made.expires_at is not None
        assert abs(made.expires_at - now - lasts) < timedelta(minutes=5)


@pytest.mark.usefixtures("context")
def test_a_token_lasts_no_longer_than_it_may(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    configured(monkeypatch, app, token_days_max=90)
    before = events_written()
    with pytest.raises(Invalid) as refused:
        create(expires_at=datetime.now(UTC) + 91 * DAY)
    assert (refused.value.field, refused.value.message) == (
        "expires_at",
        "A token of this registry expires after 90 days at the latest.",
    )
    assert events_written() == before


def test_the_token_from_the_settings_lasts_as_long_as_it_stands_there(
    lonely: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(monkeypatch, lonely, token_days=30, token_days_max=90)
    ensure(GIVEN)
    assert [row.expires_at for row in rows()] == [None]


def test_the_first_administrators_token_lasts_as_long_as_others(lonely: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    configured(monkeypatch, lonely, token_days=30)
    assert is_administrator(ensure(None))
    [made] = rows()
    assert made.expires_at is not None
    change(made.id, expires_at=datetime.now(UTC) - DAY)
    assert is_administrator(ensure(None))  # once it has expired, the next start makes another
