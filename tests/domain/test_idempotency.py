"""Idempotency keys: whose they are, what they stand for, and when they are forgotten."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from registry.db import db, transaction
from registry.domain import idempotency
from registry.domain.access import OPERATOR, Principal
from registry.domain.idempotency import Answer
from registry.errors import InFlight, Invalid, KeyReused
from registry.tables import IdempotencyKey
from registry.vocabulary import Role
from tests.factories import trusted, unique

pytestmark = pytest.mark.usefixtures("context")
ANSWER = Answer(201, {"Content-Type": "application/json"}, b'{"version":1}')
ONE, OTHER = b"1" * 32, b"2" * 32
SOMEBODY = trusted("somebody", Role.VIEWER, "principal:4712")


def answered(key: str, request: bytes = ONE, principal: Principal = OPERATOR) -> Answer | None:
    """Send a request under a key: what was answered before, or else ANSWER from now on."""
    with transaction(principal) as session:
        done = idempotency.claim(session, principal, key, request)
        if done is None:
            idempotency.keep(session, principal, key, request, ANSWER)
        return done


def age(key: str, by: timedelta) -> None:
    with transaction(OPERATOR) as session:
        older = update(IdempotencyKey).where(IdempotencyKey.key == idempotency.digest(key))
        session.execute(older.values(created_at=func.now() - by), execution_options={"synchronize_session": False})


def kept(session: Session, *keys: str) -> int:
    digests = [idempotency.digest(key) for key in keys]
    session.rollback()
    return session.scalar(select(func.count()).where(IdempotencyKey.key.in_(digests))) or 0


def test_the_same_request_gets_its_answer_again() -> None:
    key = unique("key")
    assert answered(key) is None
    assert answered(key) == ANSWER


def test_another_request_under_the_same_key_is_refused() -> None:
    key = unique("key")
    answered(key)
    with pytest.raises(KeyReused):
        answered(key, OTHER)
    assert answered(key) == ANSWER


def test_a_key_belongs_to_its_principal() -> None:
    key = unique("key")
    answered(key)
    assert answered(key, OTHER, SOMEBODY) is None


def test_a_key_under_way_is_said_to_be_so_to_its_own_principal_only(session: Session) -> None:
    key = unique("key")
    with db.engine.connect() as elsewhere:
        elsewhere.execute(select(func.pg_advisory_xact_lock(idempotency.lock_number(OPERATOR, key))))
        with pytest.raises(InFlight) as refusal:
            answered(key)
        assert refusal.value.retry_after == 1
        assert answered(key, ONE, SOMEBODY) is None
    assert answered(key) is None


def test_after_a_day_a_key_is_free_again() -> None:
    key = unique("key")
    answered(key)
    age(key, timedelta(hours=23, minutes=59))
    assert answered(key) == ANSWER
    age(key, timedelta(hours=24))
    assert answered(key, OTHER) is None
    assert answered(key, OTHER) == ANSWER


def test_old_answers_go_with_new_ones_a_few_at_a_time(session: Session) -> None:
    old = [unique("key") for _ in range(idempotency.FORGOTTEN_AT_ONCE + 1)]
    for key in old:
        answered(key)
    for key in old:
        age(key, timedelta(hours=25))
    answered(unique("key"))
    assert kept(session, *old) == 1
    answered(unique("key"))
    assert kept(session, *old) == 0


def test_old_answers_that_somebody_else_removes_keep_nobody_waiting(session: Session) -> None:
    old = unique("key")
    answered(old)
    age(old, timedelta(hours=25))
    with db.engine.connect() as elsewhere:
        elsewhere.execute(select(IdempotencyKey).where(IdempotencyKey.key == idempotency.digest(old)).with_for_update())
        answered(unique("key"))
    assert kept(session, old) == 1


@pytest.mark.parametrize("key", ["", " ", "two words", "x" * 256, "schlüssel", "a\x7f", "a\tb"])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(Invalid, match="visible ASCII") as refusal:
        answered(key)
    assert refusal.value.field == "Idempotency-Key"


def test_of_a_key_only_a_digest_is_kept(session: Session) -> None:
    key = unique("key")
    answered(key)
    row = session.scalars(select(IdempotencyKey).where(IdempotencyKey.key == idempotency.digest(key))).one()
    assert key.encode() not in row.key + row.request + row.body
