"""Reading the audit log. Nothing here writes: the database writes one event for each changed row.

An event's line (`body`) is the truth and is given out as it is stored. Texts that are kept apart from it, so that they
can be erased, are put back where the line has their digest.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from registry.domain import access, lookup, paging, principals
from registry.domain.access import Principal
from registry.domain.paging import EPOCH, MICROSECOND, Key, Page
from registry.domain.principals import Actor
from registry.errors import Invalid, ModelNotFound
from registry.tables import AuditEvent, NameInterval
from registry.vocabulary import Action, Permission

LIMIT_MAX = 1_000
SIDES = ("before", "after")


@dataclass(frozen=True, slots=True)
class Question:
    """What to look for; what is None does not matter. Times are inclusive at `since`, exclusive at `until`.

    `model` finds every model that has, or ever had, this name; `actor` takes a principal's name or id.
    """

    model: str | None = None
    number: int | None = None
    actor: str | None = None
    action: Action | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An audit event, ready to be shown. `changes`: `{field: [before, after]}`.

    A text that was erased, and one that is kept apart from the line, shows as `{"salted_sha256": …}` in `body` only;
    `changes` and `reason` have the text itself as long as it is there.
    """

    event: AuditEvent
    line: dict[str, Any]
    actor: Actor
    changes: dict[str, list[Any]]
    reason: str | None

    @property
    def at(self) -> datetime:
        """When the change took the model's lock: the instant from which on it counts."""
        return EPOCH + self.event.at_us * MICROSECOND


def search(
    session: Session,
    principal: Principal,
    question: Question,
    *,
    newest_first: bool = True,
    limit: int = 100,
    token: str | None = None,
) -> Page[Entry]:
    """Find events, in the order of their time; events of one transaction in the order of its changes.

    :raises Forbidden: the principal may not read the log.
    :raises Invalid: a version without its model, or a token that is not one of this question.
    :raises ModelNotFound: no model ever had this name.
    """
    access.require(principal, Permission.READ, question.model)
    if question.number is not None and question.model is None:
        raise Invalid("A version number says nothing without its model: give both.", "version")
    keys = [Key(AuditEvent.at_us, newest_first), Key(AuditEvent.id, newest_first)]
    mark = paging.fingerprint("audit", question, newest_first)
    rows = select(AuditEvent).where(*conditions(session, question)).options(lookup.together(AuditEvent.private))
    if token:
        rows = rows.where(paging.after(keys, paging.decode(token, mark, keys)))
    found = list(session.scalars(rows.order_by(*(key.clause for key in keys)).limit(limit + 1)))
    page = paging.cut(found, limit, mark, lambda event: [event.at_us, event.id])
    return Page(entries(session, page.items), page.next_token)


def conditions(session: Session, question: Question) -> list[ColumnElement[bool]]:
    """The question as conditions on the log."""
    found: list[ColumnElement[bool]] = []
    if question.model is not None:
        found.append(AuditEvent.model_id.in_(models_ever_called(session, question.model)))
    if question.number is not None:
        found.append(AuditEvent.number == question.number)
    if question.actor is not None:
        found.append(AuditEvent.actor.in_(principals.ids_called(session, question.actor)))
    if question.action is not None:
        found.append(AuditEvent.action == question.action)
    if question.since is not None:
        found.append(AuditEvent.at_us >= (question.since - EPOCH) // MICROSECOND)
    if question.until is not None:
        found.append(AuditEvent.at_us < (question.until - EPOCH) // MICROSECOND)
    return found


def models_ever_called(session: Session, name: str) -> list[int]:
    """The ids of all models that have or had this name, deleted ones too."""
    ids = list(session.scalars(select(NameInterval.model_id).where(NameInterval.name == name).distinct()))
    if not ids:
        raise ModelNotFound(name)
    return ids


def entries(session: Session, events: Sequence[AuditEvent]) -> list[Entry]:
    """Events with the names of their actors and with the texts that are kept apart."""
    called = principals.names_of(session, {event.actor for event in events})
    return [entry(event, Actor(event.actor, called.get(event.actor, event.actor))) for event in events]


def entry(event: AuditEvent, actor: Actor) -> Entry:
    """One event with its texts put back."""
    line = json.loads(event.body)
    texts = {(text.field, text.side): text.content for text in event.private}
    changes = {
        field: [texts.get((field, side), value) for side, value in zip(SIDES, sides, strict=True)]
        for field, sides in line["changes"].items()
    }
    return Entry(event, line, actor, changes, texts.get(("reason", "after")))
