"""Calls about who may do what."""

from collections.abc import Sequence

from registry.client.answers import Explanation, Grant
from registry.client.base import Calls, given, query, told, under
from registry.client.pages import Pages
from registry.client.transport import Call


class GrantCalls(Calls):
    """Grants, for administrators and the owners of models; `explain` for everybody."""

    def grants(
        self,
        *,
        principal: str | None = None,
        group: str | None = None,
        model: str | None = None,
        page_size: int = 100,
    ) -> Pages[Grant]:
        """Grants of a principal, of a group, or those that concern a model.

        :raises Forbidden: we are no administrator, and do not own the model.
        """
        return self._pages(Grant, "/grants", query(principal=principal, group=group, model=model, limit=page_size))

    def get_grant(self, grant_id: int) -> Grant:
        """One grant.

        :raises NotFound: no such grant.
        """
        return self._one(Grant, Call("GET", under("grants", grant_id)))

    def create_grant(
        self,
        *,
        principal: str | None = None,
        group: str | None = None,
        role: str | None = None,
        permissions: Sequence[str] | None = None,
        effect: str = "allow",
        pattern: str = "*",
        stages_from: Sequence[str] | None = None,
        stages_to: Sequence[str] | None = None,
        description: str | None = None,
        reason: str | None = None,
    ) -> Grant:
        """Give or deny a role, or some permissions, to a principal or a group; on all models, or those of a pattern.

        :raises Forbidden: we are no administrator, and this is nothing that the owner of a model may give.
        :raises Invalid: something of it is not right, or makes no sense together.
        :raises NotFound: no such principal.
        """
        asked = given(
            principal=principal,
            group=group,
            role=role,
            permissions=permissions and list(permissions),
            effect=effect,
            pattern=pattern,
            stages_from=stages_from and list(stages_from),
            stages_to=stages_to and list(stages_to),
            description=description,
        )
        return self._one(Grant, Call("POST", "/grants", body=asked, headers=told(reason)))

    def delete_grant(self, grant_id: int, *, reason: str | None = None) -> None:
        """Take a grant away.

        :raises NotFound: no such grant.
        :raises Conflict: it is the last administrator's.
        """
        self._do(Call("DELETE", under("grants", grant_id), headers=told(reason), repeatable=False))

    def explain(
        self,
        action: str,
        model: str | None = None,
        *,
        start: str | None = None,
        to: str | None = None,
        principal: str | None = None,
    ) -> Explanation:
        """Whether we may do something to a model, or move a version from one stage to another, and why or why not.

        Administrators may ask about another `principal`.

        :raises Forbidden: we ask about somebody else, and are no administrator.
        :raises NotFound: no such principal.
        """
        asked = query(**{"action": action, "model": model, "from": start, "to": to, "principal": principal})
        return self._one(Explanation, Call("GET", "/access/explain", asked))
