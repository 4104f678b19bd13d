"""Calls about model versions."""

from collections.abc import Mapping, Sequence

from registry.client.answers import Version
from registry.client.base import UNSET, Calls, Unset, body, given, query, told, under
from registry.client.pages import Pages
from registry.client.transport import Call


class VersionCalls(Calls):
    """Model versions."""

    def versions(
        self,
        name: str | None = None,
        *,
        filter: str | None = None,  # noqa: A002 (the service's word)
        text: str | None = None,
        order_by: str | Sequence[str] | None = None,
        prompts: str | None = None,
        include_total: bool = False,
        page_size: int = 100,
    ) -> Pages[Version]:
        """Search the versions of one model, or of all models."""
        asked = query(
            filter=filter,
            text=text,
            order_by=order_by,
            prompts=prompts,
            include_total=include_total or None,
            limit=page_size,
        )
        return self._pages(Version, under("versions") if name is None else under("models", name, "versions"), asked)

    def get_version(self, name: str, version: int) -> Version:
        """One version.

        :raises NotFound: no such version.
        """
        return self._one(Version, Call("GET", under("models", name, "versions", version)))

    def register_version(
        self,
        name: str,
        source: str,
        *,
        run_id: str | None = None,
        run_link: str | None = None,
        logged_model_id: str | None = None,
        digest: str | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        stage: str | None = None,
        archive_existing: bool | None = None,
        expected_current: int | Unset | None = UNSET,
        reason: str | None = None,
    ) -> Version:
        """Register the next version of a model. With `stage` it is put there in the same transaction, by the rules of
        a transition.

        :raises NotFound: no such model.
        :raises Conflict: others than the expected version stand in the stage; nothing was registered.
        """
        asked = given(
            source=source,
            run_id=run_id,
            run_link=run_link,
            logged_model_id=logged_model_id,
            digest=digest,
            description=description,
            tags=tags,
            stage=stage,
            archive_existing=archive_existing,
            reason=reason,
        )
        whole = {**asked, **body(expected_current=expected_current)}
        return self._one(Version, Call("POST", under("models", name, "versions"), body=whole))

    def describe_version(
        self,
        name: str,
        version: int,
        description: str | None,
        *,
        reason: str | None = None,
        if_match: str | None = None,
    ) -> Version:
        """Give a version another description; None clears it.

        :raises PreconditionFailed: the version is not any more what it was when `if_match` was its `etag`.
        """
        call = Call(
            "PATCH",
            under("models", name, "versions", version),
            body=body(description=description),
            headers=told(reason, if_match),
            repeatable=if_match is None,
        )
        return self._one(Version, call)

    def delete_version(
        self, name: str, version: int, *, reason: str | None = None, if_match: str | None = None
    ) -> None:
        """Delete a version; an administrator can restore it."""
        path = under("models", name, "versions", version)
        self._do(Call("DELETE", path, headers=told(reason, if_match), repeatable=False))
