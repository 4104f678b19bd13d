"""Tokens in the database, for its operator: the calls that the client has for those of a service."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from registry.cli.operator import as_operator
from registry.cli.running import faults_in_words
from registry.client import IssuedToken, Token
from registry.client.reading import read
from registry.db import transaction
from registry.domain import tokens
from registry.domain.access import OPERATOR
from registry.domain.times import rfc3339
from registry.domain.tokens import TokenInfo
from registry.vocabulary import Role, Stage

PAGE = 1_000


class TokensInDatabase:
    """Makes, lists and revokes tokens as the operator."""

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
        """Make a token for the principal called `name`."""
        wanted: dict[str, Any] = {"name": name, "description": description, "expires_at": expires_at}
        narrowed: dict[str, Any] = {"models": models, "stages": stages and [Stage(stage) for stage in stages]}
        with operating() as session:
            made = tokens.create(session, OPERATOR, role=Role(role), with_grant=with_grant, **wanted, **narrowed)
        return read(IssuedToken, document(made) | {"grant_id": made.grant_id, "secret": made.secret})

    def tokens(self) -> list[Token]:
        """All tokens, the oldest first."""
        with operating() as session:
            return [read(Token, document(info)) for info in everyone(session)]

    def revoke_token(self, token_id: int) -> None:
        """Make a token useless."""
        with operating() as session:
            tokens.revoke(session, OPERATOR, token_id)


@contextmanager
def operating() -> Iterator[Session]:
    """One transaction on the database, in the name of the operator."""
    with faults_in_words(), as_operator(), transaction(OPERATOR) as session:
        yield session


def everyone(session: Session) -> Iterator[TokenInfo]:
    """Yield what may be known about each token, page by page."""
    page = tokens.search(session, OPERATOR, limit=PAGE)
    yield from page.items
    while page.next_token:
        page = tokens.search(session, OPERATOR, limit=PAGE, token=page.next_token)
        yield from page.items


def document(info: TokenInfo) -> dict[str, Any]:
    """A token as the service would answer it."""
    times = ("created_at", "expires_at", "revoked_at", "last_used_at")
    return {
        "id": info.id,
        "name": info.principal_name,
        "role": info.role.value,
        "models": info.models,
        "stages": info.stages and [stage.value for stage in info.stages],
        "description": info.description,
        **{name: (moment := getattr(info, name)) and rfc3339(moment) for name in times},
    }
