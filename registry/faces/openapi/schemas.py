"""How marshmallow's schemas become JSON Schema: what the library cannot know about ours."""

from typing import Any

from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import Schema

from registry.faces.rest.wire import Answer


def name_of(schema: type[Schema] | Schema | str) -> str:
    """Name a schema after its face and its class: both faces have, for instance, a `Tag`."""
    kind = schema if isinstance(schema, type) else type(schema)
    face = "Mlflow" if ".mlflow." in kind.__module__ else ""
    return face + kind.__name__


class Converter(OpenAPIConverter):
    """Describes schemas by their docstrings; an answer of our own face has all its fields, and no others."""

    def schema2jsonschema(self, schema: Schema) -> dict[str, Any]:
        """One schema."""
        found: dict[str, Any] = super().schema2jsonschema(schema)  # type: ignore[no-untyped-call]
        found["description"] = " ".join((type(schema).__doc__ or "").split())
        if isinstance(schema, Answer):
            found |= {"required": [name for name in found["properties"] if name not in schema.may_lack]}
            found |= {"additionalProperties": False}
        return found

    def field2property(self, field: Any) -> dict[str, Any]:
        """One field. A default of null that the field does not take only means that it may be absent."""
        found: dict[str, Any] = super().field2property(field)
        if "default" in found and found["default"] is None and not field.allow_none:
            del found["default"]
        return found


class Plugin(MarshmallowPlugin):
    """The library's plugin with our converter."""

    Converter = Converter

    def __init__(self) -> None:
        super().__init__(schema_name_resolver=name_of)
