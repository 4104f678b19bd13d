"""Moves, and who stands or stood in a stage."""

from marshmallow import fields, validate

from registry.domain.names import REASON_MAX
from registry.faces.rest.schemas.actors import Actor
from registry.faces.rest.schemas.proofs import Evidence
from registry.faces.rest.wire import Answer, Flag, Input, NextPage, Text, Time, positive, stage


class Rollback(Input):
    """A stage goes back to its previous holder.

    With `expected_current`, only if that version (null: none) stands there now. With `dry_run` nothing is kept.
    """

    reason = Text(load_default=None, allow_none=True, validate=validate.Length(max=REASON_MAX))
    expected_current = positive(allow_none=True)
    dry_run = Flag(load_default=False)


class Transition(Rollback):
    """A move to a stage. With `expected_current`, only if that version (null: none) stands there now.

    With `dry_run` nothing is kept: the answer, or the refusal, is the one that would be.
    """

    to = stage(required=True)
    archive_existing = Flag(load_default=False)


class Tenure(Answer):
    """From when until when (null: it lasts) a version stood in a stage.

    `event` brought it there; it is null where the question was neither for a moment nor for a proof.
    """

    version = fields.Integer(attribute="number")
    stage = fields.String()
    since = Time()
    until = Time(allow_none=True)
    by = fields.Nested(Actor)
    reason = fields.String(allow_none=True)
    ended_by = fields.Nested(Actor, allow_none=True)
    event = fields.Nested(Evidence, allow_none=True)


class Tenures(Answer):
    """Who stands or stood in a stage."""

    items = fields.List(fields.Nested(Tenure))


class PastTenures(Tenures):
    """A page of who stood in a stage, the latest first."""

    next = NextPage()


class Move(Answer):
    """A move of a version. `from` is null where it was registered or restored, `to` where it was deleted or purged."""

    version = fields.Integer(attribute="number")
    action = fields.String()
    before = fields.String(data_key="from", allow_none=True)
    after = fields.String(data_key="to", allow_none=True)
    at = Time()
    by = fields.Nested(Actor)
    reason = fields.String(allow_none=True)
    request_id = fields.String()


class Moves(Answer):
    """A page of moves, newest first."""

    items = fields.List(fields.Nested(Move))
    next = NextPage()
