"""Reading the audit log. Nothing here writes: the database writes one event for each changed row.

An event's line (`body`) is the truth and is given out as it is stored. Texts that are kept apart from it, so that they
can be erased, are put back where the line has their digest.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from registry.domain import access, paging, principals, visible
from registry.domain.access import Principal
from registry.domain.paging import EPOCH, MICROSECOND, Key, Page
from registry.domain.principals import Actor
from registry.errors import Invalid, ModelNotFound
from registry.tables import AuditEvent, AuditSeal, NameInterval, PrivateText
from registry.vocabulary import Action, Permission

LIMIT_MAX = 1_000
SIDES = ("before", "after")
Events = Sequence[AuditEvent]
Texts = dict[tuple[str, str], str]
"""By field and side."""


@dataclass(frozen=True, slots=True)
class Question:
    """What to look for; what is None does not matter. Times are inclusive at `since`, exclusive at `until`.

    `model` finds every model that has, or ever had, this name; `actor` takes a principal's name or id; `subject` is
    what events call what something was done to, such as `token:7` or `model:42/version:3`.
    """

    model: str | None = None
    number: int | None = None
    actor: str | None = None
    action: Action | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An audit event, ready to be shown. `changes`: `{field: [before, after]}`.

    A text that is kept apart from the line shows there as `{"salted_sha256": …}`; `changes` and `reason` have the text
    itself as long as it is there, and that digest once it was erased (in `reason`: as JSON text). `position`: where it
    stands in the whole log; None until the sealer has given it a place.
    """

    event: AuditEvent
    line: dict[str, Any]
    actor: Actor
    changes: dict[str, list[Any]]
    reason: str | None
    position: int | None

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
    keys = ordered(newest_first)
    mark = paging.fingerprint("audit", question, newest_first)
    rows = matching(session, principal, question)
    if token:
        rows = rows.where(paging.after(keys, paging.decode(token, mark, keys)))
    found = list(session.scalars(rows.order_by(*(key.clause for key in keys)).limit(limit + 1)))
    page = paging.cut(found, limit, mark, place)
    return Page(entries(session, page.items), page.next_token)


def ordered(newest_first: bool) -> list[Key]:
    """The order of events: by time, and those of one time in the order in which they were written."""
    return [Key(AuditEvent.at_us, newest_first), Key(AuditEvent.id, newest_first)]


def place(event: AuditEvent) -> list[int]:
    """Where an event stands in that order."""
    return [event.at_us, event.id]


def matching(session: Session, principal: Principal, question: Question) -> Select[AuditEvent]:
    """The events that a question is about, in no order yet.

    :raises Forbidden: the principal may not read the log.
    :raises Invalid: a version without its model.
    :raises ModelNotFound: no model ever had this name.
    """
    access.require(session, principal, Permission.READ, question.model)
    if question.number is not None and question.model is None:
        raise Invalid("A version number says nothing without its model: give both.", "version")
    return select(AuditEvent).where(*conditions(session, principal, question), *visible.events(principal))


def conditions(session: Session, principal: Principal, question: Question) -> list[ColumnElement[bool]]:
    """The question as conditions on the log."""
    found: list[ColumnElement[bool]] = []
    if question.model is not None:
        found.append(AuditEvent.model_id.in_(models_ever_called(session, principal, question.model)))
    if question.number is not None:
        found.append(AuditEvent.number == question.number)
    if question.actor is not None:
        found.append(AuditEvent.actor.in_(principals.ids_called(session, question.actor)))
    if question.action is not None:
        found.append(AuditEvent.action == question.action)
    if question.subject is not None:
        found.append(AuditEvent.object == question.subject)
    if question.since is not None:
        found.append(AuditEvent.at_us >= (question.since - EPOCH) // MICROSECOND)
    if question.until is not None:
        found.append(AuditEvent.at_us < (question.until - EPOCH) // MICROSECOND)
    if question.request_id is not None:
        found.append(AuditEvent.request_id == question.request_id)
    return found


def models_ever_called(session: Session, principal: Principal, name: str) -> list[int]:
    """The ids of all models that have or had this name, deleted ones too; but those whose events are not to be seen."""
    readable = visible.whole_past(principal, NameInterval.model_id)
    question = select(NameInterval.model_id).where(NameInterval.name == name, *readable).distinct()
    ids = list(session.scalars(question))
    if not ids:
        raise ModelNotFound(name)
    return ids


def entries(session: Session, events: Events) -> list[Entry]:
    """Events with the names of their actors and with the texts that are kept apart, in one question each."""
    called = principals.names_of(session, {event.actor for event in events})
    kept = texts_of(session, events)
    places = positions_of(session, events)
    return [
        entry(event, Actor(event.actor, called.get(event.actor, event.actor)), kept.get(event.id, {}), places)
        for event in events
    ]


def positions_of(session: Session, events: Events) -> dict[int, int]:
    """The positions of those events that are sealed, by the id of the event."""
    if not events:
        return {}
    question = select(AuditSeal.event_id, AuditSeal.position)
    rows = session.execute(question.where(AuditSeal.event_id.in_([event.id for event in events])))
    return {row.event_id: row.position for row in rows}


def texts_of(session: Session, events: Events) -> dict[int, Texts]:
    """What is kept apart from the lines of these events, by the id of the event."""
    found: dict[int, Texts] = {}
    if not events:
        return found
    kept = select(PrivateText.event_id, PrivateText.field, PrivateText.side, PrivateText.content)
    of_these = PrivateText.event_id.in_([event.id for event in events])
    for number, field, side, content in session.execute(kept.where(of_these)):
        found.setdefault(number, {})[field, side] = content
    return found


def entry(event: AuditEvent, actor: Actor, texts: Texts, places: Mapping[int, int]) -> Entry:
    """One event with its texts put back."""
    line = json.loads(event.body)
    changes = {
        field: [texts.get((field, side), value) for side, value in zip(SIDES, sides, strict=True)]
        for field, sides in line["changes"].items()
    }
    digest = line["reason"] and json.dumps(line["reason"])
    return Entry(event, line, actor, changes, texts.get(("reason", "after"), digest), places.get(event.id))
