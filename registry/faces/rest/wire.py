"""How our own face reads requests: one schema for the body or the query, unknown fields refused by name."""

import functools
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, cast
from urllib.parse import quote, urlencode

from flask import request, url_for
from marshmallow import RAISE, Schema, ValidationError, fields, validate

from registry.domain import names
from registry.domain.times import rfc3339
from registry.errors import Invalid
from registry.faces.rest.bodies import json_object
from registry.vocabulary import Stage

PAGE_MAX = 1_000


class BadFields(Invalid):
    """Several fields of a body or a query are not right."""

    def __init__(self, faults: list[dict[str, str]]) -> None:
        super().__init__("; ".join(f"{fault['field']}: {fault['message']}" for fault in faults))
        self.faults = faults


class Input(Schema):
    """A body or a query; what it does not name is refused."""

    class Meta:
        """Refuse unknown fields."""

        unknown = RAISE


class Answer(Schema):
    """An answer: all its fields are always there, but for those that `may_lack` names."""

    may_lack: ClassVar[frozenset[str]] = frozenset()


class Text(fields.String):
    """A text that PostgreSQL can keep: no NUL, no half characters."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **options)
        try:
            names.check_storable(self.data_key or attr or "value", text)
        except Invalid as refusal:
            raise ValidationError(refusal.message) from None
        return text


class Time(fields.AwareDateTime):
    """An RFC 3339 time, kept in UTC."""

    def __init__(self, **options: Any) -> None:
        super().__init__(format="iso", default_timezone=None, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> datetime:
        # In a query, the '+' of an offset that was not encoded arrives as a space.
        text = value.replace(" ", "+") if isinstance(value, str) and "T" in value else value
        try:
            moment: datetime = super()._deserialize(text, attr, data, **options)
            return moment.astimezone(UTC)
        except (ValidationError, OverflowError):
            raise ValidationError("Not an RFC 3339 time with offset, such as 2026-11-24T14:03:00Z.") from None

    def _serialize(self, value: Any, attr: str | None, obj: Any, **options: Any) -> str | None:
        return None if value is None else rfc3339(value)


class NextPage(fields.String):
    """The address of the next page: that of this one, going on behind its last item; null where there is none.

    `parameter` says in the query where to go on, with the value of `attribute`.
    """

    def __init__(self, parameter: str = "page_token", attribute: str = "next_token") -> None:
        super().__init__(attribute=attribute, allow_none=True, metadata={"format": "uri-reference"})
        self.parameter = parameter

    def _serialize(self, value: Any, attr: str | None, obj: Any, **options: Any) -> str | None:
        if value is None:
            return None
        given = [pair for pair in request.args.items(multi=True) if pair[0] != self.parameter]
        return f"{quote(request.path)}?{urlencode([*given, (self.parameter, value)])}"


def stage(**options: Any) -> fields.Enum[Stage]:
    """A stage by its exact name."""
    return fields.Enum(Stage, by_value=True, **options)


class Flag(fields.Boolean):
    """True or false, and nothing that could be taken for it: to Python 1 and 0.0 equal them."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


def positive(**options: Any) -> fields.Integer:
    """A whole number from 1."""
    return fields.Integer(strict=True, validate=validate.Range(1, names.HIGHEST_NUMBER), **options)


class PageQuery(Input):
    """The size of a page, and where to go on."""

    limit = fields.Integer(load_default=100, validate=validate.Range(1, PAGE_MAX))
    page_token = Text(load_default=None)


def expected(asked: dict[str, Any]) -> list[int] | None:
    """Which versions a caller expects in a stage: the one it names, none at null; None if it says nothing."""
    if "expected_current" not in asked:
        return None
    return [] if asked["expected_current"] is None else [asked["expected_current"]]


def load_body(schema: type[Input]) -> dict[str, Any]:
    """Take the JSON body through a schema.

    :raises Invalid: no JSON object, or fields that are not right, each named.
    """
    return load(schema, json_object())


def load_query(schema: type[Input]) -> dict[str, Any]:
    """Take the query through a schema; of a key that comes twice the first counts, unless the schema wants a list.

    :raises Invalid: parameters that are not right, each named.
    """
    lists = {name for name, field in made(schema).fields.items() if isinstance(field, fields.List)}
    repeated = {name: request.args.getlist(name) for name in lists if name in request.args}
    return load(schema, request.args.to_dict() | repeated)


def load(schema: type[Input], given: dict[str, Any]) -> dict[str, Any]:
    """Take input through a schema."""
    try:
        loaded: dict[str, Any] = made(schema).load(given)
    except ValidationError as error:
        messages: dict[str, Any] = error.normalized_messages()  # type: ignore[no-untyped-call]
        raise BadFields(faults_in(messages)) from None
    return loaded


@functools.cache
def made(schema: type[Input]) -> Input:
    """The one instance of a schema: to make one takes longer than to use it."""
    return schema()


def faults_in(messages: dict[str, Any], prefix: str = "") -> list[dict[str, str]]:
    """Flatten marshmallow's tree of messages to fields and messages."""
    found = []
    for name, what in messages.items():
        if isinstance(what, dict):
            found += faults_in(what, f"{prefix}{name}.")
        else:
            found += [{"field": f"{prefix}{name}", "message": str(message)} for message in what]
    return found


def created(body: object, endpoint: str, **where: Any) -> tuple[dict[str, Any], int, dict[str, str]]:
    """The answer about something new, with the address where it is found from now on."""
    return dict(cast("dict[str, Any]", body)), 201, {"Location": url_for(f".{endpoint}", **where)}
