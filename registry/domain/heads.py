"""Heads of streams: of each the hash of its last event and its clock, which no other state of what it is about has.

The hash alone does not say enough: a change that is no event, such as to the description that a version has already,
moves the time at which that was changed last. But each change of a model reads the clock of its stream and sets it on.

A question that reads a model can read the head of its stream along with it, in the same snapshot. What is answered from
there holds as long as the head is the same; `tokens.standing` looks whether it is.
"""

from typing import Any

from sqlalchemy import ColumnElement, func, literal, select
from sqlalchemy.orm import Session, aliased

from registry.db import HEADS
from registry.tables import AuditStream


def of_model(model_id: Any) -> ColumnElement[bytes | None]:
    """The head of a model's stream, as a column of a question."""
    return of(literal("model:").concat(model_id))


def of(stream: Any) -> ColumnElement[bytes | None]:
    """The head of a stream, as a column of a question; null where there is no such stream."""
    kept = aliased(AuditStream)
    head: ColumnElement[bytes | None] = kept.head.op("||")(func.int8send(kept.at_us))
    return select(head).where(kept.stream == stream).scalar_subquery()


def note(session: Session, stream: str, head: bytes | None) -> None:
    """Remember a head that was read, for as long as this session lasts. The first one counts: no other is older."""
    noted(session).setdefault(stream, None if head is None else bytes(head))


def noted(session: Session) -> dict[str, bytes | None]:
    """The heads that were read in this session, by stream."""
    heads: dict[str, bytes | None] = session.info.setdefault(HEADS, {})
    return heads
