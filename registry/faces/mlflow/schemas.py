"""Requests and answers of the MLflow wire. Source: MLflow's REST API, messages of the same names.

A request's fields stand in the order in which MLflow checks them.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from marshmallow import Schema, fields, post_dump

from registry.faces.mlflow.wire import Flag, Size, StageWord, Tag, Tags, Text, Texts, Version, WireSchema

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MODELS_PER_PAGE, MODELS_PER_PAGE_MAX = 100, 1_000
VERSIONS_PER_PAGE_MAX = 200_000


class ModelName(WireSchema):
    """A registered model, by its name."""

    name = Text(required=True)


class VersionKey(ModelName):
    """A model version, by name and number."""

    number = Version(required=True, data_key="version")


class CreateRegisteredModel(ModelName):
    """Body of registered-models/create."""

    tags = Tags(load_default=dict)
    description = Text(load_default="")


class RenameRegisteredModel(ModelName):
    """Body of registered-models/rename."""

    new_name = Text(required=True)


class UpdateRegisteredModel(ModelName):
    """Body of registered-models/update; without a description, the description is cleared."""

    description = Text(load_default=None)


class GetLatestVersions(ModelName):
    """Body or query of registered-models/get-latest-versions."""

    stages = Texts(load_default=list)


class ModelTagKey(ModelName):
    """Body of registered-models/delete-tag."""

    key = Text(required=True)


class SetModelTag(ModelTagKey):
    """Body of registered-models/set-tag."""

    value = Text(load_default="")


class AliasKey(ModelName):
    """An alias of a model."""

    alias = Text(required=True)


class SetAlias(AliasKey):
    """Body of registered-models/alias."""

    number = Version(required=True, data_key="version")


class CreateModelVersion(ModelName):
    """Body of model-versions/create."""

    source = Text(required=True)
    run_id = Text(load_default=None)
    tags = Tags(load_default=dict)
    run_link = Text(load_default="")
    description = Text(load_default="")
    logged_model_id = Text(load_default=None, data_key="model_id")


class UpdateModelVersion(VersionKey):
    """Body of model-versions/update; without a description, the description is cleared."""

    description = Text(load_default=None)


class TransitionModelVersionStage(VersionKey):
    """Body of model-versions/transition-stage."""

    to = StageWord(required=True, data_key="stage")
    archive_others = Flag(load_default=False, data_key="archive_existing_versions")


class VersionTagKey(VersionKey):
    """Body of model-versions/delete-tag."""

    key = Text(required=True)


class SetVersionTag(VersionTagKey):
    """Body of model-versions/set-tag."""

    value = Text(load_default="")


class SearchRegisteredModels(WireSchema):
    """Query of registered-models/search."""

    filter = Text(load_default="")
    max_results = Size(MODELS_PER_PAGE_MAX, load_default=MODELS_PER_PAGE)
    order_by = Texts(load_default=list)
    page_token = Text(load_default="")


class SearchModelVersions(SearchRegisteredModels):
    """Query of model-versions/search."""

    max_results = Size(VERSIONS_PER_PAGE_MAX, load_default=VERSIONS_PER_PAGE_MAX)


class Milliseconds(fields.Integer):
    """A time as whole milliseconds since the Unix epoch, UTC."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **_: Any) -> int | None:
        return None if value is None else (value - EPOCH) // timedelta(milliseconds=1)


class Answer(Schema):
    """An answer leaves out what is not set and lists that are empty."""

    @post_dump
    def leave_out(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Drop what has no value."""
        return {key: value for key, value in data.items() if value is not None and value != []}


class ModelVersionAnswer(Answer):
    """A model version inside other answers: without its aliases."""

    name = fields.String(attribute="model.name", required=True)
    version = fields.String(attribute="number", required=True)
    creation_timestamp = Milliseconds(attribute="created_at", required=True)
    last_updated_timestamp = Milliseconds(attribute="updated_at", required=True)
    current_stage = fields.String(attribute="stage", required=True)
    description = fields.String()
    source = fields.String()
    run_id = fields.String()
    status = fields.Constant("READY", required=True)  # anything else keeps clients polling for minutes
    run_link = fields.String()
    tags = fields.List(fields.Nested(Tag))


class AliasedModelVersionAnswer(ModelVersionAnswer):
    """A model version by itself."""

    aliases = fields.Pluck("AliasAnswer", "alias", many=True)


class AliasAnswer(Schema):
    """An alias with the version it names."""

    alias = fields.String(required=True)
    version = fields.String(attribute="number", required=True)


class RegisteredModelAnswer(Answer):
    """A registered model."""

    name = fields.String(attribute="model.name", required=True)
    creation_timestamp = Milliseconds(attribute="model.created_at", required=True)
    last_updated_timestamp = Milliseconds(attribute="model.updated_at", required=True)
    description = fields.String(attribute="model.description")
    latest_versions = fields.List(fields.Nested(ModelVersionAnswer))
    tags = fields.List(fields.Nested(Tag), attribute="model.tags")
    aliases = fields.List(fields.Nested(AliasAnswer), attribute="model.aliases")


class OneRegisteredModel(Schema):
    """`{"registered_model": …}`."""

    registered_model = fields.Nested(RegisteredModelAnswer, required=True)


class OneModelVersion(Schema):
    """`{"model_version": …}`."""

    model_version = fields.Nested(AliasedModelVersionAnswer, required=True)


class ManyRegisteredModels(Answer):
    """A page of registered models."""

    registered_models = fields.List(fields.Nested(RegisteredModelAnswer), attribute="items")
    next_page_token = fields.String(attribute="next_token")


class ManyModelVersions(Answer):
    """A page of model versions."""

    model_versions = fields.List(fields.Nested(ModelVersionAnswer), attribute="items")
    next_page_token = fields.String(attribute="next_token")


class LatestVersions(Answer):
    """The newest version of each stage."""

    model_versions = fields.List(fields.Nested(AliasedModelVersionAnswer))


class DownloadUri(Schema):
    """Where the files of a version are."""

    artifact_uri = fields.String(required=True)


class Nothing(Schema):
    """`{}`."""


class ServerInfo(Schema):
    """What the server can do. Source: MLflow's server-info."""

    store_type = fields.String(required=True, metadata={"description": "That models are kept in a database."})
    workspaces_enabled = fields.Boolean(required=True, metadata={"description": "Always false."})
    trace_archival_enabled = fields.Boolean(required=True, metadata={"description": "Always false."})
    multipart_uploads_enabled = fields.Boolean(required=True, metadata={"description": "Always false."})
    multipart_downloads_enabled = fields.Boolean(required=True, metadata={"description": "Always false."})


class ErrorAnswer(Schema):
    """What went wrong."""

    error_code = fields.String(required=True)
    message = fields.String(required=True)
    sqlstate = fields.String()
    error_class = fields.String()
