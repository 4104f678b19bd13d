"""Searches: what is looked for, and what is found."""

from typing import Any

from marshmallow import fields, post_dump, validate

from registry.faces.rest.schemas.models import OneModel
from registry.faces.rest.schemas.versions import OneVersion
from registry.faces.rest.wire import Answer, NextPage, PageQuery, Text

FILTER = (
    "Comparisons with AND, OR, NOT and parentheses: `name LIKE 'churn%' AND (tag.team = 'risk' OR tag.team IS NULL)`. "
    "Operators: =, !=, <, <=, >, >=, LIKE, ILIKE, IN, NOT IN, IS NULL, IS NOT NULL. A refusal names what fits. "
    "Of aliases, tags and the stages of a model, one has to match."
)
ORDER = "Fields with asc or desc: `updated_at desc, name`; several in one, or repeated."
WORDS = "Words, each of which begins a word of the name, the description, a tag or a comment, in any letter case."


class SearchQuery(PageQuery):
    """What to look for: a filter, words, an order; whether prompts count, and whether to count everything found."""

    filter = Text(load_default="", metadata={"description": FILTER})
    order_by = fields.List(Text(), load_default=list, metadata={"description": ORDER})
    text = Text(load_default=None, metadata={"description": WORDS})
    prompts = fields.String(load_default="exclude", validate=validate.OneOf(["exclude", "include", "only"]))
    include_total = fields.Boolean(load_default=False, truthy={"true"}, falsy={"false"})


class SearchInModelQuery(SearchQuery):
    """The same within one model, which may well be a prompt."""

    prompts = fields.String(load_default="include", validate=validate.OneOf(["exclude", "include", "only"]))


class Found(Answer):
    """A page of what was searched for. `total`: how many there are on all pages, where that was asked for."""

    may_lack = frozenset({"total"})
    next = NextPage()
    total = fields.Integer()

    @post_dump
    def leave_out(self, answer: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Show no total where none was asked for."""
        return {name: value for name, value in answer.items() if name != "total" or value is not None}


class Models(Found):
    """A page of registered models."""

    items = fields.List(fields.Nested(OneModel))


class Versions(Found):
    """A page of model versions."""

    items = fields.List(fields.Nested(OneVersion))
