"""How the MLflow wire spells requests: where input is read from, and what is said of input that is not right.

Source: MLflow's REST API as its server answers it. Schemas derive from `WireSchema`; their fields are checked in the
order in which they are written, and the first fault is reported, as MLflow does.
"""

import functools
import json
from typing import Any

from flask import request
from marshmallow import EXCLUDE, Schema, ValidationError, fields

from registry.domain import names
from registry.errors import Invalid
from registry.faces.inbound import concerns
from registry.vocabulary import Stage

SEE_DOCS = " See the API docs for more information about request parameters."
JSON_TYPE = "application/json"
INT64_DIGITS = 20


class Field(fields.Field[Any]):
    """A field of the wire: absent, null and (where it is required) "" are the same."""

    def wrong(self, value: object) -> ValidationError:
        """The fault of a value of another type."""
        return ValidationError(wrong_type(value, self.data_key or str(self.name)))


class Text(Field, fields.String):
    """A JSON string."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> str:
        if not isinstance(value, str):
            raise self.wrong(value)
        return value


class Version(Text):
    """A version number, which this wire writes as text."""


class StageWord(Text):
    """A stage in any letter case."""

    def __init__(self, **options: Any) -> None:
        super().__init__(metadata={"enum": [str(stage) for stage in Stage]}, **options)


class Flag(Field, fields.Boolean):
    """A JSON boolean and nothing that looks like one."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> bool:
        if not isinstance(value, bool):
            raise self.wrong(value)
        return value


class Size(Field, fields.Integer):
    """The size of a page: an integer from 1 to `highest`, also written as decimal text."""

    def __init__(self, highest: int, **options: Any) -> None:
        super().__init__(**options)
        self.highest = highest

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> int:
        number = value if type(value) is int else None
        if isinstance(value, str) and len(value) < INT64_DIGITS and value.isascii() and value.lstrip("-").isdigit():
            number = int(value)
        if number is None or number > self.highest:
            raise self.wrong(value)
        if number < 1:
            raise ValidationError(f"Invalid value for max_results. It must be a positive integer, but got {number}")
        return number


class Texts(Field, fields.List[str]):
    """A list of JSON strings; in a query, a repeated key."""

    def __init__(self, **options: Any) -> None:
        super().__init__(fields.String(), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> Any:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.wrong(value)
        return value


class Tag(Schema):
    """A key with a value."""

    key = fields.String(required=True)
    value = fields.String()


class Tags(Field, fields.List[Any]):
    """A list of keys and values; of a key that comes twice the last one counts."""

    def __init__(self, **options: Any) -> None:
        super().__init__(fields.Nested(Tag), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> Any:
        if not isinstance(value, list):
            raise self.wrong(value)
        return dict(self.pair(tag) for tag in value)

    def pair(self, tag: object) -> tuple[str, str]:
        """One tag; an absent key or value is an empty one."""
        if not isinstance(tag, dict):
            raise self.wrong(tag)
        key, value = (tag.get(part) if tag.get(part) is not None else "" for part in ("key", "value"))
        if not isinstance(key, str) or not isinstance(value, str):
            raise self.wrong(tag)
        return key, value


class WireSchema(Schema):
    """The body or the query of a request. Unknown fields are ignored, null means absent."""

    class Meta:
        """How this wire differs from marshmallow's habits."""

        unknown = EXCLUDE


def load(schema: type[WireSchema]) -> dict[str, Any]:
    """Take the request's input through a schema.

    :raises Invalid: with MLflow's text for the first field that is not right.
    """
    loaded = check(made(schema), given_input(schema))
    concerns(loaded.get("name"))
    return loaded


@functools.cache
def made(schema: type[WireSchema]) -> WireSchema:
    """The one instance of a schema: to make one takes longer than to use it."""
    return schema()


def given_input(schema: type[WireSchema]) -> dict[str, Any]:
    """The request's fields: a GET's query if it has one, the JSON body otherwise."""
    if request.method == "GET" and request.args:
        lists = {name for name, field in made(schema).fields.items() if isinstance(field, Texts)}
        return {key: request.args.getlist(key) if key in lists else request.args[key] for key in request.args}
    if request.method == "POST":
        check_content_type()
    return snake_case(json_object(request.get_data(cache=True)), made(schema))


def check_content_type() -> None:
    """:raises Invalid: a POST that does not say that it sends JSON."""
    given = request.headers.get("Content-Type")
    if given is None:
        raise Invalid("Bad Request. Content-Type header is missing.")
    if given.partition(";")[0] != JSON_TYPE:
        raise Invalid(f"Bad Request. Content-Type must be one of ['{JSON_TYPE}'].")


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body. Nothing, null and what is no JSON are an empty one; old clients encode it twice.

    :raises Invalid: JSON, but not an object.
    """
    try:
        value = json.loads(body)
        if isinstance(value, str):
            value = json.loads(value)
    except (ValueError, RecursionError):
        return {}
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Invalid(f"The body must be a JSON object, not a value of type '{type(value).__name__}'.")
    return value


def snake_case(body: dict[str, Any], schema: WireSchema) -> dict[str, Any]:
    """Take optional fields in camelCase too.

    :raises Invalid: a field comes in both spellings.
    """
    for name, field in fields_of(schema).items():
        camel = camel_case(name)
        if camel == name or camel not in body:
            continue
        if name in body:
            raise Invalid(f"Request specifies both '{name}' and '{camel}'; provide only one of them.", name)
        if not field.required:
            body[name] = body.pop(camel)
    return body


def fields_of(schema: Schema) -> dict[str, fields.Field[Any]]:
    """The fields of a schema by their names on the wire."""
    return {field.data_key or name: field for name, field in schema.fields.items()}


def camel_case(name: str) -> str:
    """`run_id` becomes `runId`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def check(schema: WireSchema, given: dict[str, Any]) -> dict[str, Any]:
    """Load a schema; then read version numbers and stages, whose faults come after all others."""
    present = {key: value for key, value in given.items() if value is not None}
    for name, field in fields_of(schema).items():
        if field.required and present.get(name) == "":
            del present[name]
    try:
        loaded: dict[str, Any] = schema.load(present)
    except ValidationError as error:
        raise first_fault(schema, error, present) from None
    # MLflow looks at a version number last of all.
    for name, field in sorted(schema.fields.items(), key=lambda item: isinstance(item[1], Version)):
        if name in loaded:
            loaded[name] = finish(field.data_key or name, field, loaded[name])
    return loaded


def first_fault(schema: WireSchema, error: ValidationError, present: dict[str, Any]) -> Invalid:
    """The refusal for the first field, in the schema's order, that is not right."""
    faults: dict[str, Any] = error.normalized_messages()  # type: ignore[no-untyped-call]
    name = next(name for name in fields_of(schema) if name in faults)
    if name not in present:
        return Invalid(f"Missing value for required parameter '{name}'." + SEE_DOCS, name)
    message = faults[name]
    return Invalid(message[0] if isinstance(message, list) else wrong_type(present[name], name), name)


def finish(name: str, field: fields.Field[Any], value: Any) -> Any:
    """Read a text as what it stands for, and see to it that it can be kept."""
    for text in texts_in(value):
        names.check_storable(name, text)
    if isinstance(field, Version):
        return names.parse_number(value)
    if isinstance(field, StageWord):
        return names.parse_stage(value)
    return value


def texts_in(value: Any) -> list[str]:
    """All texts of a loaded value."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return list(value) if isinstance(value, list) else []


def wrong_type(value: object, name: str) -> str:
    """MLflow's text for a value of the wrong type (the two spaces are its own)."""
    shown = json.dumps(value, separators=(",", ":"))
    kind = type(value).__name__
    return f"Invalid value {shown} for parameter '{name}' supplied:  Hint: Value was of type '{kind}'.{SEE_DOCS}"
