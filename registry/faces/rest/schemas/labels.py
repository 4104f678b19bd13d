"""Tags, aliases and comments."""

from marshmallow import fields, validate

from registry.domain.names import COMMENT_MAX
from registry.faces.rest.schemas.words import NUMBERS, TEXTS
from registry.faces.rest.wire import Answer, Input, NextPage, Text, Time, positive


class TagValue(Input):
    """The value of a tag."""

    value = Text(required=True)


class TagChanges(Input):
    """Tags to set, by key; null removes one. What is not named stays."""

    tags = fields.Dict(keys=Text(), values=Text(allow_none=True), required=True)


class AliasTarget(Input):
    """The version that an alias shall name."""

    version = positive(required=True)


class CommentText(Input):
    """What a comment says."""

    text = Text(required=True, validate=validate.Length(max=COMMENT_MAX))


class Tags(Answer):
    """All tags, by key."""

    tags = fields.Raw(metadata=TEXTS)


class OneTag(Answer):
    """A tag."""

    key = fields.String()
    value = fields.String()


class Aliases(Answer):
    """All aliases of a model, with the number of the version that each names."""

    aliases = fields.Raw(metadata=NUMBERS)


class OneAlias(Answer):
    """An alias, and the version that it names."""

    alias = fields.String()
    version = fields.Integer()


class OneComment(Answer):
    """A comment."""

    id = fields.Integer(attribute="comment.id")
    author = fields.String(attribute="comment.author")
    author_name = fields.String()
    text = fields.String(attribute="comment.text")
    created_at = Time(attribute="comment.created_at")
    updated_at = Time(attribute="comment.updated_at")


class Comments(Answer):
    """A page of comments, oldest first."""

    items = fields.List(fields.Nested(OneComment))
    next = NextPage()
