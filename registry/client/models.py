"""Calls about registered models, and about the tags, aliases and comments of models and versions."""

from collections.abc import Mapping, Sequence
from typing import Any

from registry.client.answers import Model
from registry.client.base import Calls, body, given, query, told, under
from registry.client.pages import Pages
from registry.client.transport import Call


class ModelCalls(Calls):
    """Registered models."""

    def models(
        self,
        *,
        filter: str | None = None,  # noqa: A002 (the service's word)
        text: str | None = None,
        order_by: str | Sequence[str] | None = None,
        prompts: str | None = None,
        include_total: bool = False,
        page_size: int = 100,
    ) -> Pages[Model]:
        """Search models.

        `filter`: the search language; `text`: words in name, description, tags or comments; `prompts`: exclude (the
        default), include, or only.
        """
        asked = query(
            filter=filter,
            text=text,
            order_by=order_by,
            prompts=prompts,
            include_total=include_total or None,
            limit=page_size,
        )
        return self._pages(Model, "/models", asked)

    def get_model(self, name: str) -> Model:
        """One model.

        :raises NotFound: no such model.
        """
        return self._one(Model, Call("GET", under("models", name)))

    def register_model(
        self,
        name: str,
        *,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        reason: str | None = None,
    ) -> Model:
        """Register a model under a new name.

        :raises Conflict: the name is taken.
        """
        asked = given(name=name, description=description, tags=tags)
        return self._one(Model, Call("POST", "/models", body=asked, headers=told(reason)))

    def describe_model(
        self, name: str, description: str | None, *, reason: str | None = None, if_match: str | None = None
    ) -> Model:
        """Give a model another description; None clears it.

        :raises PreconditionFailed: the model is not any more what it was when `if_match` was its `etag`.
        """
        return self._patch_model(name, body(description=description), reason, if_match, repeatable=if_match is None)

    def rename_model(self, name: str, to: str, *, reason: str | None = None, if_match: str | None = None) -> Model:
        """Give a model another name.

        :raises Conflict: the name is taken.
        """
        return self._patch_model(name, body(name=to), reason, if_match, repeatable=False)

    def delete_model(self, name: str, *, reason: str | None = None, if_match: str | None = None) -> None:
        """Delete a model with its versions; an administrator can restore it."""
        self._do(Call("DELETE", under("models", name), headers=told(reason, if_match), repeatable=False))

    def _patch_model(
        self, name: str, asked: Mapping[str, Any], reason: str | None, if_match: str | None, *, repeatable: bool
    ) -> Model:
        headers = told(reason, if_match)
        call = Call("PATCH", under("models", name), body=asked, headers=headers, repeatable=repeatable)
        return self._one(Model, call)
