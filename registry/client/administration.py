"""Calls about who may come in, and about what was deleted."""

from collections.abc import Sequence
from datetime import datetime

from registry.client.answers import Caller, IssuedToken, Model, Token, TrashedModel, TrashedVersion, Version
from registry.client.base import Calls, given, query, told, under
from registry.client.errors import UnexpectedAnswer
from registry.client.pages import Pages
from registry.client.reading import read
from registry.client.transport import Call


class AdministrationCalls(Calls):
    """Tokens and the trash, for administrators; `whoami` for everybody."""

    def whoami(self) -> Caller:
        """Whom the service takes us for.

        :raises Unauthenticated: the token is not good.
        """
        return self._one(Caller, Call("GET", "/whoami"))

    def tokens(self, *, page_size: int = 100) -> Pages[Token]:
        """All tokens, without their secrets."""
        return self._pages(Token, "/tokens", query(limit=page_size))

    def get_token(self, token_id: int) -> Token:
        """One token, without its secret.

        :raises NotFound: no such token.
        """
        return self._one(Token, Call("GET", under("tokens", token_id)))

    def create_token(
        self,
        name: str,
        role: str,
        *,
        models: Sequence[str] | None = None,
        stages: Sequence[str] | None = None,
        description: str | None = None,
        expires_at: datetime | None = None,
        with_grant: bool = False,
    ) -> IssuedToken:
        """Make a token for the principal called `name`; its secret is shown this once.

        It is good for no more than `role`, `models` (patterns of names) and moves to `stages`. A principal that is new
        gets a grant of the role over all models; one that is there only `with_grant`.

        :raises UnexpectedAnswer: the answer with the secret was lost on its way; the token is to be revoked.
        """
        narrowed = {"models": models and list(models), "stages": stages and list(stages)}
        asked = given(name=name, role=role, **narrowed, description=description, expires_at=expires_at)
        if with_grant:
            asked = {**asked, "with_grant": True}
        document = self._object(Call("POST", "/tokens", body=asked))
        if document.get("secret") is None:  # a repeated answer has it no more
            token_id = document.get("id")
            raise UnexpectedAnswer(f"Token {token_id} was made, but its secret was lost: revoke it, and make another.")
        return read(IssuedToken, document)

    def revoke_token(self, token_id: int) -> None:
        """Make a token useless, at once and for good; again it changes nothing."""
        self._do(Call("DELETE", under("tokens", token_id)))

    def trashed_models(self, *, page_size: int = 100) -> Pages[TrashedModel]:
        """The deleted models."""
        return self._pages(TrashedModel, "/trash/models", query(limit=page_size))

    def trashed_versions(self, *, page_size: int = 100) -> Pages[TrashedVersion]:
        """The deleted versions of models that are there."""
        return self._pages(TrashedVersion, "/trash/versions", query(limit=page_size))

    def restore_model(self, model_id: int, *, name: str | None = None, reason: str | None = None) -> Model:
        """Bring a deleted model back, under another `name` where its own is taken.

        :raises Conflict: the name is taken.
        """
        asked = given(name=name, reason=reason)
        return self._one(Model, Call("POST", under("trash", "models", model_id, "restore"), body=asked))

    def restore_version(self, model_id: int, version: int, *, reason: str | None = None) -> Version:
        """Bring a deleted version back."""
        path = under("trash", "models", model_id, "versions", version, "restore")
        return self._one(Version, Call("POST", path, body=given(reason=reason)))

    def purge_model(self, model_id: int, *, reason: str | None = None) -> None:
        """Remove a deleted model for good; the audit log keeps what it was."""
        self._do(Call("DELETE", under("trash", "models", model_id), headers=told(reason), repeatable=False))

    def purge_version(self, model_id: int, version: int, *, reason: str | None = None) -> None:
        """Remove a deleted version for good; the audit log keeps what it was."""
        path = under("trash", "models", model_id, "versions", version)
        self._do(Call("DELETE", path, headers=told(reason), repeatable=False))
