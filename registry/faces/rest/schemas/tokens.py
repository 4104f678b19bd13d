"""Tokens."""

from marshmallow import fields

from registry.faces.rest.wire import Answer, Flag, Input, NextPage, Text, Time
from registry.vocabulary import Role, Stage


class CreateToken(Input):
    """A token for the principal called `name`, who is made if there is none.

    Without `expires_at` it lasts as long as the settings of the service say. It is good for no more than its role, for
    models whose names match one of `models` and for moves to `stages`. A principal that is made here gets a grant of
    the role over all models; one that is there only `with_grant`.
    """

    name = Text(required=True, metadata={"minLength": 1, "description": "Whose token it is."})
    role = fields.Enum(Role, by_value=True, required=True)
    models = fields.List(Text(), load_default=None, allow_none=True)
    stages = fields.List(fields.Enum(Stage, by_value=True), load_default=None, allow_none=True)
    with_grant = Flag(load_default=False)
    description = Text(load_default=None, allow_none=True)
    expires_at = Time(load_default=None, allow_none=True)


class OneToken(Answer):
    """What may be known about a token. `name` is its principal's."""

    id = fields.Integer()
    name = fields.String(attribute="principal_name")
    role = fields.String()
    models = fields.List(fields.String(), allow_none=True)
    stages = fields.List(fields.String(), allow_none=True)
    description = fields.String(allow_none=True)
    created_at = Time()
    expires_at = Time(allow_none=True)
    revoked_at = Time(allow_none=True)
    last_used_at = Time(allow_none=True)


class NewToken(OneToken):
    """A token just made, with its secret, which is shown this once; a repeated answer has null in its place.

    `grant_id`: the grant that came along with it; null where the role only narrows what the principal is granted.
    """

    grant_id = fields.Integer(allow_none=True)
    secret = fields.String(allow_none=True)


class Tokens(Answer):
    """A page of tokens, oldest first."""

    items = fields.List(fields.Nested(OneToken))
    next = NextPage()
