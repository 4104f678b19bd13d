"""The audit log."""

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from registry.domain.names import HIGHEST_NUMBER
from registry.faces.rest.schemas.actors import Actor
from registry.faces.rest.schemas.proofs import Hash
from registry.faces.rest.schemas.words import HIGHEST_POSITION
from registry.faces.rest.wire import PAGE_MAX, Answer, NextPage, PageQuery, Text, Time
from registry.vocabulary import Action

LONGEST_WAIT_SECONDS = 30
CHANGES = {
    "type": "object",
    "description": "For each field that changed, what it was and what it is.",
    "additionalProperties": {"type": "array", "minItems": 2, "maxItems": 2, "items": {}},
}


class VersionAuditQuery(PageQuery):
    """Which audit events to show, and how. `since` is inclusive, `until` exclusive; `actor` is a name or an id;
    `subject` is what the events themselves call it, such as `token:7` or `model:42/version:3`.

    `format`: `json` answers with a page, newest first, of 100 events where no limit is given and of 1000 at most;
    `jsonl` and `csv` with a file of everything, oldest first, unless there is a limit. Where nothing else is asked,
    `jsonl` has the events that the latest checkpoint covers, in the order of their positions, and then the checkpoint.

    `after` follows the log: sealed events behind this position (-1: all), in the order of positions; with `wait`, up
    to so many seconds later, if there are none yet. `next` goes on from there. Where too many wait already, the answer
    comes at once.
    """

    actor = Text(load_default=None)
    action = fields.Enum(Action, by_value=True, load_default=None)
    subject = Text(load_default=None)
    since = Time(load_default=None)
    until = Time(load_default=None)
    request_id = Text(load_default=None)
    order = fields.String(load_default=None, validate=validate.OneOf(["newest", "oldest"]))
    format = fields.String(load_default="json", validate=validate.OneOf(["json", "jsonl", "csv"]))
    limit = fields.Integer(load_default=None, validate=validate.Range(1, HIGHEST_NUMBER))
    after = fields.Integer(load_default=None, validate=validate.Range(-1, HIGHEST_POSITION))
    wait = fields.Integer(load_default=0, validate=validate.Range(0, LONGEST_WAIT_SECONDS))

    @validates_schema
    def check_following(self, asked: dict[str, Any], **_: Any) -> None:
        """Who follows the log reads it in the order of positions, page after page."""
        if asked["after"] is None:
            if asked["wait"]:
                raise ValidationError("Says nothing without 'after'.", "wait")
            return
        given = [("order", asked["order"] == "newest"), ("format", asked["format"] != "json")]
        for field, wrong in [*given, ("page_token", asked["page_token"] is not None)]:
            if wrong:
                raise ValidationError("Does not go with 'after', which gives pages in the order of positions.", field)

    @validates_schema
    def check_paging(self, asked: dict[str, Any], **_: Any) -> None:
        """A page has at most so many events; an export has no pages."""
        if asked["format"] == "json":
            if (asked["limit"] or 1) > PAGE_MAX:
                raise ValidationError(f"A page has at most {PAGE_MAX} events; format=jsonl and csv have all.", "limit")
        elif asked["page_token"] is not None:
            raise ValidationError("An export has no pages: it holds all events unless there is a limit.", "page_token")


class ModelAuditQuery(VersionAuditQuery):
    """Which audit events of a model to show, and how."""

    version = fields.Integer(load_default=None, validate=validate.Range(1, HIGHEST_NUMBER))


class AuditQuery(ModelAuditQuery):
    """Which audit events to show, and how; `model` finds every model that has, or ever had, this name."""

    model = Text(load_default=None)


class Event(Answer):
    """An audit event. `line` is the stored line, whose hash is `hash`; the rest is that line made readable.

    A text that was erased is shown as its digest, `{"salted_sha256": …}`; a reason as that in JSON.
    """

    at = Time()
    actor = fields.Nested(Actor, attribute="actor")
    credential = fields.String(attribute="line.credential", allow_none=True)
    action = fields.String(attribute="event.action")
    subject = fields.String(attribute="event.object")
    model = fields.Function(lambda entry: entry.line.get("model"), metadata={"type": ["string", "null"]})
    version = fields.Integer(attribute="event.number", allow_none=True)
    changes = fields.Raw(metadata=CHANGES)
    reason = fields.String(allow_none=True)
    request_id = fields.String(attribute="event.request_id")
    stream = fields.String(attribute="event.stream")
    seq = fields.Integer(attribute="event.seq")
    hash = Hash(attribute="event.hash")
    position = fields.Integer(allow_none=True)
    line = fields.String(attribute="event.body")


class Events(Answer):
    """A page of audit events."""

    items = fields.List(fields.Nested(Event))
    next = NextPage()


class Tail(Answer):
    """Audit events in the order of their positions. `next` goes on behind the last position that was looked at."""

    items = fields.List(fields.Nested(Event))
    next = NextPage("after", "after")
