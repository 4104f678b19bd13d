"""Grants, and why something may be done or not."""

from collections.abc import Collection

from marshmallow import fields

from registry.faces.rest.schemas.words import NAMES, ROLES
from registry.faces.rest.wire import Answer, Input, NextPage, PageQuery, Text, Time, stage
from registry.vocabulary import Effect, Permission, Role, Stage

SOME_STAGES = {"type": ["array", "null"], "items": {"type": "string"}}


def in_order(stages: Collection[Stage] | None) -> list[Stage] | None:
    """Stages in the order in which versions go through them; None stays all of them."""
    return None if stages is None else [stage for stage in Stage if stage in stages]


class CreateGrant(Input):
    """A grant: to a principal or to a group, of a role or of some permissions, over all models or those of a pattern.

    With `stages_from` or `stages_to` it is about moves from or to these stages alone. A denial names permissions;
    that of `read` denies everything, and hides the models.
    """

    principal = Text(load_default=None, allow_none=True, metadata={"description": "The principal's name."})
    group = Text(load_default=None, allow_none=True, metadata={"description": "The group's name."})
    effect = fields.Enum(Effect, by_value=True, load_default=Effect.ALLOW)
    role = fields.Enum(Role, by_value=True, load_default=None, allow_none=True)
    permissions = fields.List(fields.Enum(Permission, by_value=True), load_default=None, allow_none=True)
    pattern = Text(load_default="*", metadata={"minLength": 1})
    stages_from = fields.List(stage(), load_default=None, allow_none=True)
    stages_to = fields.List(stage(), load_default=None, allow_none=True)
    description = Text(load_default=None, allow_none=True)


class GrantQuery(PageQuery):
    """Which grants to show."""

    principal = Text(load_default=None, metadata={"description": "Those of the principal of this name."})
    group = Text(load_default=None, metadata={"description": "Those of this group."})
    model = Text(load_default=None, metadata={"description": "Those that concern a model of this name."})


class OneGrant(Answer):
    """A grant. That of the owner of a model has the role `owner`, and as its pattern the name of the model."""

    id = fields.Integer()
    principal = fields.String(allow_none=True, metadata={"description": "The principal whose it is, if not a group's."})
    group = fields.String(allow_none=True, metadata={"description": "The group whose it is, if not a principal's."})
    effect = fields.String()
    role = fields.String(allow_none=True, metadata={"enum": ROLES})
    permissions = fields.List(fields.String(), allow_none=True)
    pattern = fields.String()
    model_id = fields.Integer(allow_none=True, metadata={"description": "The id of the model that its holder owns."})
    stages_from = fields.List(fields.String(), allow_none=True)
    stages_to = fields.List(fields.String(), allow_none=True)
    description = fields.String(allow_none=True)
    created_at = Time()
    created_by = fields.String()


class Grants(Answer):
    """A page of grants, oldest first."""

    items = fields.List(fields.Nested(OneGrant))
    next = NextPage()


class ExplainQuery(Input):
    """What is to be done, to which model, and for a move from where to where."""

    action = fields.Enum(
        Permission, by_value=True, required=True, metadata={"description": "The permission that is asked about."}
    )
    model = Text(load_default=None)
    stage_from = stage(load_default=None, data_key="from", metadata={"description": "The stage that a move begins in."})
    stage_to = stage(load_default=None, data_key="to", metadata={"description": "The stage that a move leads to."})
    principal = Text(load_default=None, metadata={"description": "Who is meant, if not the caller, by its name."})


class GrantAtWork(Answer):
    """A grant as it decides; `id` is null for one that the service has from its settings."""

    id = fields.Integer(allow_none=True)
    effect = fields.String()
    role = fields.String(allow_none=True, metadata={"enum": ROLES})
    permissions = fields.Function(lambda grant: sorted(grant.permissions), metadata=NAMES)
    pattern = fields.String()
    stages_from = fields.Function(lambda grant: in_order(grant.stages_from), metadata=SOME_STAGES)
    stages_to = fields.Function(lambda grant: in_order(grant.stages_to), metadata=SOME_STAGES)
    holder = fields.String()


class Explained(Answer):
    """Whether something may be done, and why or why not."""

    allowed = fields.Boolean()
    because = fields.Nested(GrantAtWork, allow_none=True)
    missing = fields.String(allow_none=True)
    who_could = fields.List(fields.String())
