"""Who does something, and who calls."""

from marshmallow import fields

from registry.faces.rest.wire import Answer


class Actor(Answer):
    """Who acted: a stable id, and what it is called today."""

    id = fields.String()
    name = fields.String()


class Caller(Answer):
    """Who the caller is. `role`: the highest one it has over all models; null where it has none over all."""

    id = fields.String()
    name = fields.String()
    role = fields.String(allow_none=True)
    groups = fields.List(fields.String())
    credential = fields.String()
