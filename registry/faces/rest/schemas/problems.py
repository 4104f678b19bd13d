"""Refusals."""

from marshmallow import fields

from registry.faces.rest import errors
from registry.faces.rest.schemas.actors import Actor
from registry.faces.rest.wire import Answer, Time


class FieldFault(Answer):
    """A field that is not right, and why."""

    field = fields.String()
    message = fields.String()


class Holder(Answer):
    """A version that stands in a stage."""

    version = fields.Integer()
    since = Time()
    by = fields.Nested(Actor)


TYPES = errors.types()
TYPES_EXPLAINED = "The kind of refusal, for programs; it never changes. With which status each one comes: " + ", ".join(
    f"`{kind.removeprefix(errors.TYPE)}` {status}"
    for kind, status in sorted(TYPES.items(), key=lambda each: each[::-1])
)


class Problem(Answer):
    """RFC 9457 problem document."""

    may_lack = frozenset({"errors", "holders"})

    type = fields.String(metadata={"format": "uri", "enum": list(TYPES), "description": TYPES_EXPLAINED})
    title = fields.String(metadata={"description": "The kind of refusal, in short."})
    status = fields.Integer(metadata={"description": "The HTTP status."})
    detail = fields.String(metadata={"description": "What is wrong and what to do, for people."})
    request_id = fields.String(metadata={"description": "Under which the service's log has it."})
    errors = fields.List(fields.Nested(FieldFault), metadata={"description": "Each field that is not right."})
    holders = fields.List(
        fields.Nested(Holder), metadata={"description": "Who stands in the stage, though another was expected."}
    )
