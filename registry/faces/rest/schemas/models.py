"""Registered models: requests and answers."""

from marshmallow import fields

from registry.faces.rest.schemas.versions import AmendVersion, OneVersion
from registry.faces.rest.schemas.words import MODEL_NAME, NUMBERS, TEXTS
from registry.faces.rest.wire import Answer, Input, Text, Time


class CreateModel(Input):
    """A name to register."""

    name = Text(required=True, metadata=MODEL_NAME)
    description = Text(load_default=None, allow_none=True)
    tags = fields.Dict(keys=Text(), values=Text(), load_default=dict)


class AmendModel(AmendVersion):
    """What to change of a model; what is left out stays. Another name renames it."""

    name = Text(metadata=MODEL_NAME)


class OneModel(Answer):
    """A registered model with the newest version of each stage."""

    id = fields.Integer(attribute="model.id")
    name = fields.String(attribute="model.name")
    description = fields.String(attribute="model.description", allow_none=True)
    tags = fields.Function(lambda detail: {tag.key: tag.value for tag in detail.model.tags}, metadata=TEXTS)
    aliases = fields.Function(
        lambda detail: {alias.alias: alias.number for alias in detail.model.aliases}, metadata=NUMBERS
    )
    latest_versions = fields.List(fields.Nested(OneVersion))
    created_at = Time(attribute="model.created_at")
    updated_at = Time(attribute="model.updated_at")
    created_by = fields.String(attribute="model.created_by")
