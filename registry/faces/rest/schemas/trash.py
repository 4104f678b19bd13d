"""What was deleted, and how it comes back."""

from marshmallow import fields, validate

from registry.domain.names import REASON_MAX
from registry.faces.rest.schemas.actors import Actor
from registry.faces.rest.schemas.words import MODEL_NAME
from registry.faces.rest.wire import Answer, Input, NextPage, Text, Time


class Restore(Input):
    """Why something deleted comes back."""

    reason = Text(load_default=None, allow_none=True, validate=validate.Length(max=REASON_MAX))


class RestoreModel(Restore):
    """Why a deleted model comes back, and, where its own name is taken, under which other one."""

    name = Text(load_default=None, allow_none=True, metadata=MODEL_NAME)


class TrashedModel(Answer):
    """A deleted model, and how many versions would come back with it."""

    id = fields.Integer(attribute="model.id")
    name = fields.String(attribute="model.name")
    deleted_at = Time(attribute="model.deleted_at")
    deleted_by = fields.Nested(Actor, allow_none=True)
    reason = fields.String(allow_none=True)
    versions = fields.Integer()


class TrashedModels(Answer):
    """A page of deleted models, latest deleted first."""

    items = fields.List(fields.Nested(TrashedModel))
    next = NextPage()


class TrashedVersion(Answer):
    """A deleted version of a model that is there. `stage`: where it stood."""

    model_id = fields.Integer(attribute="version.model_id")
    name = fields.String()
    version = fields.Integer(attribute="version.number")
    stage = fields.String(attribute="version.stage")
    deleted_at = Time(attribute="version.deleted_at")
    deleted_by = fields.Nested(Actor, allow_none=True)
    reason = fields.String(allow_none=True)


class TrashedVersions(Answer):
    """A page of deleted versions, latest deleted first."""

    items = fields.List(fields.Nested(TrashedVersion))
    next = NextPage()
