"""Heads of streams: the hash of the last event of each, which no other state of what the stream is about ever has.

A question that reads a model can read the head of its stream along with it, in the same snapshot. What is answered from
there holds as long as the head is the same; `tokens.standing` looks whether it is.
"""

from typing import Any

from sqlalchemy import ColumnElement, literal, select
from sqlalchemy.orm import Session, aliased

from registry.db import HEADS
from registry.tables import AuditEvent


def of_model(model_id: Any) -> ColumnElement[bytes | None]:
    """The head of a model's stream, as a column of a question."""
    return of(literal("model:").concat(model_id))


def of(stream: Any) -> ColumnElement[bytes | None]:
    """The head of a stream, as a column of a question; null where it has no event."""
    event = aliased(AuditEvent)
    last = select(event.hash).where(event.stream == stream).order_by(event.seq.desc()).limit(1)
    return last.scalar_subquery()


def note(session: Session, stream: str, head: bytes | None) -> None:
    """Remember a head that was read, for as long as this session lasts. The first one counts: no other is older."""
    noted(session).setdefault(stream, None if head is None else bytes(head))


def noted(session: Session) -> dict[str, bytes | None]:
    """The heads that were read in this session, by stream."""
    heads: dict[str, bytes | None] = session.info.setdefault(HEADS, {})
    return heads
