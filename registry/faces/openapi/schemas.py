"""How marshmallow's schemas become JSON Schema: what the library cannot know about ours."""

from typing import Any

from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import Schema, fields

from registry.faces.mlflow.wire import WireSchema
from registry.faces.openapi import words
from registry.faces.rest.wire import Answer, Input

Shape = dict[str, Any]


def name_of(schema: type[Schema] | Schema | str) -> str:
    """Name a schema after its face and its class: both faces have, for instance, a `Tag`."""
    kind = schema if isinstance(schema, type) else type(schema)
    face = "Mlflow" if ".mlflow." in kind.__module__ else ""
    return face + kind.__name__


class Converter(OpenAPIConverter):
    """Describes schemas by their docstrings, and fields by their names."""

    def schema2jsonschema(self, schema: Schema) -> Shape:
        """One schema."""
        found: Shape = super().schema2jsonschema(schema)  # type: ignore[no-untyped-call]
        found["description"] = " ".join((type(schema).__doc__ or "").split())
        found["properties"] = {name: explained(name, part) for name, part in found.get("properties", {}).items()}
        if isinstance(schema, Answer):
            return complete(found, schema)
        if isinstance(schema, Input):
            tighten(found["properties"], words.TEXT_SHAPES)
        if isinstance(schema, WireSchema):
            allow_null(found)
        return found

    def schema2parameters(self, schema: Any, **options: Any) -> list[Shape]:
        """The parameters of a query."""
        found: list[Shape] = super().schema2parameters(schema, **options)
        for parameter in found:
            parameter["schema"] = without_null(parameter["schema"])
        return [explained(parameter["name"], parameter) for parameter in found]

    def field2property(self, field: fields.Field[Any]) -> Shape:
        """One field. A default of null that the field does not take only means that it may be absent."""
        found: Shape = super().field2property(field)
        if "default" in found and found["default"] is None and not field.allow_none:
            del found["default"]
        if isinstance(field, fields.Constant):
            found = {"const": found["default"]}
        if isinstance(field, fields.Enum):
            found["type"] = "string"
        found.pop("readOnly", None)
        return found


def explained(name: str, part: Shape) -> Shape:
    """A field or a parameter with what it means."""
    return {"description": words.MEANINGS[name]} | part if name in words.MEANINGS else part


def without_null(shape: Shape) -> Shape:
    """What a query can say: null is not among it."""
    found = {name: value for name, value in shape.items() if (name, value) != ("default", None)}
    if isinstance(found.get("type"), list):
        [found["type"]] = [kind for kind in found["type"] if kind != "null"]
    if "enum" in found:
        found["enum"] = [value for value in found["enum"] if value is not None]
    return found


def complete(found: Shape, schema: Answer) -> Shape:
    """An answer of our own face: it has all its fields, and no others."""
    tighten(found["properties"], words.SHAPES)
    required = [name for name in found["properties"] if name not in schema.may_lack]
    return found | {"required": required, "additionalProperties": False}


def allow_null(found: Shape) -> None:
    """On the MLflow face null means absent, so that a field takes it wherever it may be absent."""
    for name, part in found["properties"].items():
        if name not in found.get("required", []) and isinstance(part.get("type"), str):
            part["type"] = [part["type"], "null"]


def tighten(properties: dict[str, Shape], shapes: dict[str, Shape]) -> None:
    """Add what holds of fields by their names, where they are texts or numbers and may be more."""
    for name, part in properties.items():
        kinds = part.get("type", [])
        if name in shapes and {"string", "integer"} & {*([kinds] if isinstance(kinds, str) else kinds)}:
            properties[name] = shapes[name] | part
            if "null" in kinds and "enum" in shapes[name] and "enum" not in part:
                properties[name]["enum"] = [*shapes[name]["enum"], None]
        if name == "tags" and "additionalProperties" in part:
            part["propertyNames"] = words.TAG_KEYS


class Plugin(MarshmallowPlugin):
    """The library's plugin with our converter."""

    Converter = Converter

    def __init__(self) -> None:
        super().__init__(schema_name_resolver=name_of)
