"""Idempotency keys: a request that a caller sends again, not knowing whether it arrived, is answered and not repeated.

The answer is kept in the transaction of the change itself, so there is never one without the other. A key belongs to
its principal and stands for one request; after a day it is forgotten. Only answers of success are kept: a refusal has
changed nothing, so the request may be sent again under its key.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from registry.db import AUDITED
from registry.domain.access import Principal
from registry.errors import InFlight, Invalid, KeyReused
from registry.tables import IdempotencyKey

KEY = re.compile(r"[!-~]{1,255}")
KEPT_FOR = timedelta(hours=24)
FORGOTTEN_AT_ONCE = 20
"""How many old answers are removed with each new one: so many that they become fewer, so few that nobody waits."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered: the status, the headers that belong to it, and the bytes of the body."""

    status: int
    headers: dict[str, str]
    body: bytes


def claim(session: Session, principal: Principal, key: str, request: bytes) -> Answer | None:
    """Take a key for a request until the end of the transaction; return what was answered to it if it is done already.

    `request` is a digest of all that makes it that request and no other.

    :raises Invalid: not a key.
    :raises InFlight: another transaction holds the key.
    :raises KeyReused: the key stands for another request.
    """
    if not KEY.fullmatch(key):
        raise Invalid("An Idempotency-Key has 1 to 255 visible ASCII characters.", "Idempotency-Key")
    # Taken in a statement before the look-up, which must see what the last holder has committed.
    if not session.scalar(select(func.pg_try_advisory_xact_lock(lock_number(principal, key)))):
        raise InFlight("A request with this Idempotency-Key is under way. Send it again in a moment.")
    question = select(IdempotencyKey).where(
        IdempotencyKey.principal == principal.id,
        IdempotencyKey.key == digest(key),
        IdempotencyKey.created_at > func.now() - KEPT_FOR,
    )
    found = session.scalar(question.execution_options(populate_existing=True))
    if found is None:
        return None
    if found.request != request:
        raise KeyReused("This Idempotency-Key was used for another request. Take a new key for each request.")
    return Answer(found.status, found.headers, found.body)


def keep(session: Session, principal: Principal, key: str, request: bytes, answer: Answer) -> None:
    """Keep the answer to the request that has claimed the key, and forget a few old ones."""
    values = {
        "request": request,
        "status": answer.status,
        "headers": answer.headers,
        "body": answer.body,
        "created_at": func.clock_timestamp(),
    }
    row = insert(IdempotencyKey).values(principal=principal.id, key=digest(key), **values)
    where = [IdempotencyKey.principal, IdempotencyKey.key]
    row = row.on_conflict_do_update(index_elements=where, set_=values)  # the row there has expired
    session.execute(row, execution_options={AUDITED: False})
    forget(session)


def forget(session: Session) -> None:
    """Remove a few answers that are older than a day; those that somebody else is about to remove are left to him."""
    name = tuple_(IdempotencyKey.principal, IdempotencyKey.key)
    old = (
        select(IdempotencyKey.principal, IdempotencyKey.key)
        .where(IdempotencyKey.created_at <= func.now() - KEPT_FOR)
        .order_by(IdempotencyKey.created_at)
        .limit(FORGOTTEN_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    gone = delete(IdempotencyKey).where(name.in_(old))
    session.execute(gone, execution_options={"synchronize_session": False, AUDITED: False})


def digest(key: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).digest()


def lock_number(principal: Principal, key: str) -> int:
    """The number of the advisory lock of a principal's key. Two that share one only wait for each other."""
    both = hashlib.sha256(f"idempotency\n{principal.id}\n{key}".encode()).digest()
    return int.from_bytes(both[:8], signed=True)
