"""Model versions: requests and answers."""

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from registry.domain.names import DESCRIPTION_MAX, REASON_MAX
from registry.faces.rest.schemas.words import NAMES, TEXTS
from registry.faces.rest.wire import Answer, Flag, Input, Text, Time, positive, stage


class AmendVersion(Input):
    """What to change of a version; what is left out stays. A description of null is cleared."""

    description = Text(allow_none=True, validate=validate.Length(max=DESCRIPTION_MAX))


class CreateVersion(Input):
    """A version to register. `source`: where it comes from, such as `runs:/…`, `models:/m-…` or `s3://…`.

    With `stage` it goes there at once, by the rules of a transition.
    """

    source = Text(required=True)
    run_id = Text(load_default=None, allow_none=True)
    run_link = Text(load_default="")
    description = Text(load_default=None, allow_none=True)
    logged_model_id = Text(load_default=None, allow_none=True)
    digest = Text(load_default=None, allow_none=True)
    tags = fields.Dict(keys=Text(), values=Text(), load_default=dict)
    stage = stage()
    archive_existing = Flag()
    expected_current = positive(allow_none=True)
    reason = Text(load_default=None, allow_none=True, validate=validate.Length(max=REASON_MAX))

    @validates_schema
    def stage_comes_first(self, data: dict[str, Any], **_: Any) -> None:
        """What belongs to a move says nothing where none is asked for."""
        for field in ("archive_existing", "expected_current"):
            if field in data and "stage" not in data:
                raise ValidationError("Says nothing without 'stage'.", field)


class OneVersion(Answer):
    """A model version."""

    name = fields.String(attribute="model.name")
    version = fields.Integer(attribute="number")
    stage = fields.String()
    source = fields.String()
    run_id = fields.String()
    run_link = fields.String()
    logged_model_id = fields.String(allow_none=True)
    digest = fields.String(allow_none=True)
    description = fields.String(allow_none=True)
    tags = fields.Function(lambda version: {tag.key: tag.value for tag in version.tags}, metadata=TEXTS)
    aliases = fields.Function(lambda version: [alias.alias for alias in version.aliases], metadata=NAMES)
    created_at = Time()
    updated_at = Time()
    created_by = fields.String()
