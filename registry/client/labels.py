"""Calls about what hangs on models and versions: tags, aliases, comments. No `version`: on the model."""

from collections.abc import Mapping

from registry.client.answers import Comment
from registry.client.base import Calls, body, query, subject, told, under
from registry.client.pages import Pages
from registry.client.transport import Call


class LabelCalls(Calls):
    """Tags, aliases and comments."""

    def tags(self, name: str, version: int | None = None) -> dict[str, str]:
        """The tags of a model or version."""
        return dict(self._object(Call("GET", subject(name, version, "tags")))["tags"])

    def set_tags(
        self, name: str, tags: Mapping[str, str | None], version: int | None = None, *, reason: str | None = None
    ) -> dict[str, str]:
        """Set several tags at once, in one transaction; None removes one. Returns all tags there are then."""
        call = Call("PATCH", subject(name, version, "tags"), body=body(tags=dict(tags)), headers=told(reason))
        return dict(self._object(call)["tags"])

    def set_tag(
        self, name: str, key: str, value: str, version: int | None = None, *, reason: str | None = None
    ) -> None:
        """Set one tag."""
        self.set_tags(name, {key: value}, version, reason=reason)

    def unset_tag(self, name: str, key: str, version: int | None = None, *, reason: str | None = None) -> None:
        """Remove a tag, if it is there."""
        self.set_tags(name, {key: None}, version, reason=reason)

    def aliases(self, name: str) -> dict[str, int]:
        """The aliases of a model, with the versions that they name."""
        return dict(self._object(Call("GET", under("models", name, "aliases")))["aliases"])

    def get_alias(self, name: str, alias: str) -> int:
        """The version that an alias names.

        :raises NotFound: no such alias.
        """
        return int(self._object(Call("GET", under("models", name, "aliases", alias)))["version"])

    def set_alias(self, name: str, alias: str, version: int, *, reason: str | None = None) -> None:
        """Let an alias name a version; it moves if it named another."""
        path = under("models", name, "aliases", alias)
        self._do(Call("PUT", path, body=body(version=version), headers=told(reason)))

    def unset_alias(self, name: str, alias: str, *, reason: str | None = None) -> None:
        """Remove an alias, if it is there."""
        self._do(Call("DELETE", under("models", name, "aliases", alias), headers=told(reason)))

    def comments(self, name: str, version: int | None = None, *, page_size: int = 100) -> Pages[Comment]:
        """The comments on a model or version, the oldest first."""
        return self._pages(Comment, subject(name, version, "comments"), query(limit=page_size))

    def comment(self, name: str, text: str, version: int | None = None) -> Comment:
        """Write a comment."""
        return self._one(Comment, Call("POST", subject(name, version, "comments"), body=body(text=text)))

    def edit_comment(self, name: str, comment_id: int, text: str, version: int | None = None) -> Comment:
        """Give one's own comment another text."""
        return self._one(Comment, Call("PATCH", subject(name, version, "comments", comment_id), body=body(text=text)))

    def delete_comment(self, name: str, comment_id: int, version: int | None = None) -> None:
        """Delete one's own comment."""
        self._do(Call("DELETE", subject(name, version, "comments", comment_id), repeatable=False))
