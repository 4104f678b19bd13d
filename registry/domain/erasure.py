"""Erasure of texts that somebody has a right to have erased: comments, descriptions and reasons.

A text is erased by what it belongs to: from every event that has it, from the row where it still stands, and from the
answers kept for idempotency keys. In the row the word `[erased]` takes its place, by a change like any other, whose own
event has the old text once more, for the moment it takes to erase that too. The log keeps the salted digests, whose
salts go with the texts, and an event for each text that says who erased it and on what legal basis.

What leaves the database here may still be in its backups, in its write-ahead log, on replicas, and with whoever was
given it; docs/audit.md says what has to be done there.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from registry.domain import access, names, trash
from registry.domain.access import Principal
from registry.domain.registered_models import Locked
from registry.errors import NothingToErase
from registry.tables import AuditEvent, Comment, IdempotencyKey, ModelVersion, PrivateText, RegisteredModel
from registry.vocabulary import Action, Permission

ERASED = "[erased]"
"""What stands where a text was."""
BASIS_MAX = 1_000
COMMENT = (Action.COMMENT_CREATE, Action.COMMENT_EDIT, Action.COMMENT_DELETE)
BATCH = 500


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was erased: texts of events, rows that still had the text, and answers that were kept."""

    texts: int
    rows: int
    answers: int


def comment(session: Session, principal: Principal, comment_id: int, *, basis: str) -> Erasure:
    """Erase what a comment says and said, whether it is still there, was deleted or purged.

    :raises Forbidden: the principal is no administrator.
    :raises Invalid: no legal basis is given.
    :raises NothingToErase: no such comment, or it was erased already.
    """
    check(session, principal, basis)
    row = session.get(Comment, comment_id) if 1 <= comment_id < 2**63 else None
    if row is not None:
        held = hold(session, row.model_id)
        session.refresh(row)
        if held is not None and row.text != ERASED:
            row.text, row.updated_at = ERASED, held.instant
            session.flush()
    of_it = and_(AuditEvent.action.in_(COMMENT), AuditEvent.object.endswith(f"/comment:{comment_id}"))
    return erase(session, texts_of(of_it, "text"), basis, rows=row is not None, what=f"comment {comment_id}")


def model_description(session: Session, principal: Principal, name: str, *, basis: str) -> Erasure:
    """Erase what describes a model and has described it: of the one called so, or else of deleted ones that were.

    :raises Forbidden: the principal is no administrator.
    :raises Invalid: no legal basis is given.
    :raises NothingToErase: no such model, or its description was erased already.
    """
    check(session, principal, basis)
    rows = 0
    ids = models_called(session, name)
    for model_id in ids:
        rows += blank(session, RegisteredModel.id == model_id, RegisteredModel, hold(session, model_id))
    of_it = AuditEvent.model_id.in_(ids) & AuditEvent.action.startswith("registered_model.")
    return erase(session, texts_of(of_it, "description"), basis, rows=rows, what=f"the description of model '{name}'")


def version_description(session: Session, principal: Principal, name: str, number: int, *, basis: str) -> Erasure:
    """Erase what describes a version and has described it; of which model, `model_description` says.

    :raises Forbidden: the principal is no administrator.
    :raises Invalid: no legal basis is given.
    :raises NothingToErase: no such version, or its description was erased already.
    """
    check(session, principal, basis)
    rows = 0
    ids = models_called(session, name)
    for model_id in ids:
        this = (ModelVersion.model_id == model_id) & (ModelVersion.number == number)
        rows += blank(session, this, ModelVersion, hold(session, model_id))
    of_it = AuditEvent.model_id.in_(ids) & AuditEvent.action.startswith("model_version.")
    of_it &= AuditEvent.number == number
    what = f"the description of version {number} of '{name}'"
    return erase(session, texts_of(of_it, "description"), basis, rows=rows, what=what)


def reason(session: Session, principal: Principal, stream: str, seq: int, *, basis: str) -> Erasure:
    """Erase the reason that was given for a change.

    :raises Forbidden: the principal is no administrator.
    :raises Invalid: no legal basis is given.
    :raises NothingToErase: no such event, or no reason was given, or it was erased already.
    """
    check(session, principal, basis)
    of_it = (AuditEvent.stream == stream) & (AuditEvent.seq == seq)
    return erase(session, texts_of(of_it, "reason"), basis, rows=0, what=f"the reason of {stream}/{seq}")


def check(session: Session, principal: Principal, basis: str) -> None:
    """:raises Forbidden: no administrator.

    :raises Invalid: no legal basis, or one too long.
    """
    access.require(session, principal, Permission.ADMINISTER)
    if not basis.strip():
        raise names.missing("basis")
    names.check_text("basis", basis, BASIS_MAX)


def models_called(session: Session, name: str) -> list[int]:
    """The id of the live model of this name, or else those of the deleted ones that last had it; purged ones too."""
    called = select(RegisteredModel.id).where(RegisteredModel.name == name)
    live = session.scalar(called.where(RegisteredModel.deleted_at.is_(None)))
    found = [live] if live is not None else list(session.scalars(called.order_by(RegisteredModel.id)))
    if not found:
        raise NothingToErase(f"No model is or was called '{name}'.")
    return found


def hold(session: Session, model_id: int) -> Locked | None:
    """Keep others from changing a model, deleted or not; nobody changes a purged one."""
    row = session.execute(trash.HELD, {"id": model_id}).one_or_none()
    return None if row is None else Locked(*row)


def blank(session: Session, which: ColumnElement[bool], table: Any, held: Locked | None) -> int:
    """Put the word in the place of a description, if one is there."""
    row = session.scalar(select(table).where(which).execution_options(populate_existing=True))
    if held is None or row is None or row.description in {None, ERASED}:
        return 0
    row.description, row.updated_at = ERASED, held.instant
    session.flush()
    return 1


def texts_of(events: ColumnElement[bool], field: str) -> ColumnElement[bool]:
    """The condition for what is kept apart from these events in a field, other than the word for what is gone."""
    return and_(events, PrivateText.field == field, PrivateText.content != ERASED)


def erase(session: Session, which: ColumnElement[bool], basis: str, *, rows: int, what: str) -> Erasure:
    """Erase what is kept apart from the log under a condition, and the answers that repeat it."""
    joined = select(PrivateText).join(AuditEvent, AuditEvent.id == PrivateText.event_id).where(which)
    found = list(session.scalars(joined.order_by(PrivateText.event_id, PrivateText.field, PrivateText.side)))
    if not found:
        raise NothingToErase(f"There is nothing to erase of {what}: it is not there, or was erased already.")
    answers = forget_answers(session, {one.content for one in found})
    for one in found:
        session.expunge(one)
        session.execute(select(func.audit.erase(one.event_id, one.field, one.side, basis)))
    return Erasure(len(found), int(rows), answers)


def forget_answers(session: Session, texts: set[str]) -> int:
    """Remove the answers, kept for a day, that have one of these texts in them; a request sent again is done again."""
    answers = session.scalars(select(IdempotencyKey).execution_options(yield_per=BATCH))
    gone = [answer for answer in answers if repeats(answer.body, texts)]
    for answer in gone:
        session.delete(answer)
    session.flush()
    return len(gone)


def repeats(body: bytes, texts: set[str]) -> bool:
    """Whether an answer has one of these texts in it; one that is no JSON may have it anywhere."""
    try:
        return not texts.isdisjoint(strings(json.loads(body)))
    except (ValueError, RecursionError):
        said = body.decode(errors="replace")
        return any(text in said for text in texts)


def strings(document: Any) -> Iterator[str]:
    """Yield every text in a JSON document."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, list):
        for one in document:
            yield from strings(one)
    elif isinstance(document, dict):
        for one in document.values():
            yield from strings(one)
