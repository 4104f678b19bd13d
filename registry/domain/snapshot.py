"""The whole registry as of a moment, made from the audit log alone: its events, folded in their order.

An event says what each field of a row was and what it is from then on; a row whose fields are all gone is gone. So the
log needs no word of what the fields mean. It is read model by model: in memory is never more than one of them. What
the log does not record (`updated_at`, who was last used when) cannot be shown.
"""

import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from registry.domain import access, audit, paging, proofs, visible
from registry.domain.access import Principal
from registry.domain.audit import Texts
from registry.domain.audit_export import Another
from registry.domain.paging import EPOCH, MICROSECOND, Key
from registry.domain.proofs import Evidence, Named
from registry.tables import AuditEvent
from registry.vocabulary import Permission

BATCH = 500
"""Events that are read at once."""
KEYS = [Key(AuditEvent.model_id), Key(AuditEvent.at_us), Key(AuditEvent.id)]
KINDS = ("registered_model", "model_version", "registered_model_tag", "model_version_tag", "alias", "comment")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """An event as it is folded, with the texts that are kept apart from its line."""

    event: AuditEvent
    texts: Texts
    position: int | None


@dataclass(slots=True)
class State:
    """What the events of one model come to. A text that was erased is `{"salted_sha256": …}`.

    `event` is the last one of them, by which the whole chain up to there can be proven; `evidence` is where it stands
    in the log and, where that was asked for, the proof.
    """

    model: Row = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    versions: list[Row] = field(default_factory=list)
    comments: list[Row] = field(default_factory=list)
    event: Named | None = None
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All models that were there at a moment, by id, one after the other."""

    at: datetime
    models: Iterator[State]


def as_of(
    session: Session, another: Another, principal: Principal, at: datetime | None = None, *, prove: bool = False
) -> Snapshot:
    """The registry as it was at a moment, or as it is now; `another` opens a session for each further question.

    With `prove` each model comes with the proof of its last event.

    A change counts from the instant on that its event bears. It is committed a little later: what was asked for the
    last moment may lack a change that was under way.

    :raises Forbidden: the principal may not read the registry.
    """
    access.require(session, principal, Permission.READ)
    moment = at or session.scalars(select(func.clock_timestamp())).one()
    models = live(another, principal, moment, prove=prove)
    first = list(itertools.islice(models, 1))  # what has to be refused is refused before anything is sent
    return Snapshot(moment, itertools.chain(first, models))


def live(another: Another, principal: Principal, at: datetime, *, prove: bool) -> Iterator[State]:
    """Each model that was there and not deleted."""
    for _, seen in itertools.groupby(events(another, principal, at), key=lambda one: one.event.model_id):
        state = folded(seen)
        if state.model and "deleted_at" not in state.model:
            if prove and state.event:
                with another() as session:
                    [state.evidence] = proofs.evidence(session, [state.event], prove=True)
            yield state


def events(another: Another, principal: Principal, at: datetime) -> Iterator[Seen]:
    """The events of all models up to a moment, model by model."""
    question = select(AuditEvent).where(
        AuditEvent.model_id.is_not(None),
        AuditEvent.at_us <= (at - EPOCH) // MICROSECOND,
        *visible.events(principal),
    )
    batch: list[Seen] | None = None
    while batch is None or len(batch) == BATCH:
        with another() as session:
            batch = seen_by(session, question if batch is None else behind(question, batch[-1].event))
        yield from batch


def behind(question: Select[AuditEvent], last: AuditEvent) -> Select[AuditEvent]:
    """The question for what follows an event."""
    return question.where(paging.after(KEYS, [last.model_id, last.at_us, last.id]))


def seen_by(session: Session, question: Select[AuditEvent]) -> list[Seen]:
    """The next events of a question, with what belongs to them."""
    found = list(session.scalars(question.order_by(*(key.clause for key in KEYS)).limit(BATCH)))
    texts, places = audit.texts_of(session, found), audit.positions_of(session, found)
    return [Seen(event, texts.get(event.id, {}), places.get(event.id)) for event in found]


def folded(seen: Iterable[Seen]) -> State:
    """What the events of one model come to."""
    rows: dict[str, dict[str, Row]] = {kind: {} for kind in KINDS}
    state = State()
    for one in seen:
        event, kind = one.event, one.event.action.partition(".")[0]
        if kind in rows and event.stream == f"model:{event.model_id}":
            fold(rows[kind], one)
            state.event = Named(event.stream, event.seq, event.hash)
            state.evidence = Evidence(state.event, one.position, None)
    return arranged(state, rows)


def fold(rows: dict[str, Row], seen: Seen) -> None:
    """Take one event in: what each field is from now on."""
    row = rows.setdefault(seen.event.object, {})
    for name, (_, after) in json.loads(seen.event.body)["changes"].items():
        if after is None:
            row.pop(name, None)
        else:
            row[name] = seen.texts.get((name, "after"), after)
    if not row:
        del rows[seen.event.object]


def arranged(state: State, rows: dict[str, dict[str, Row]]) -> State:
    """Rows as the model with what belongs to it, without what was deleted."""
    state.model = next(iter(rows["registered_model"].values()), {})
    state.tags = pairs(rows["registered_model_tag"].values())
    state.aliases = {row["alias"]: row["number"] for row in sorted_by("alias", rows["alias"].values())}
    there = [row for row in rows["model_version"].values() if "deleted_at" not in row]
    state.versions = sorted_by("number", there)
    numbers = {None, *(row["number"] for row in there)}
    state.comments = [row for row in sorted_by("id", rows["comment"].values()) if row.get("number") in numbers]
    tags: dict[int, list[Row]] = {}
    for row in rows["model_version_tag"].values():
        tags.setdefault(row["number"], []).append(row)
    for version in state.versions:
        version["tags"] = pairs(tags.get(version["number"], []))
        version["aliases"] = [alias for alias, number in state.aliases.items() if number == version["number"]]
    return state


def pairs(rows: Iterable[Row]) -> dict[str, str]:
    """Tags by their keys."""
    return {row["key"]: row["value"] for row in sorted_by("key", rows)}


def sorted_by(name: str, rows: Iterable[Row]) -> list[Row]:
    """Rows in the order of a field."""
    return sorted(rows, key=lambda row: cast("Any", row[name]))
