"""`/tokens`: how principals prove who they are; for administrators."""

from typing import Any

from flask import Blueprint, g

from registry.domain import tokens
from registry.faces.contract import operation
from registry.faces.idempotency import keep_as
from registry.faces.inbound import change, reading
from registry.faces.rest.schemas.tokens import CreateToken, NewToken, OneToken, Tokens
from registry.faces.rest.wire import PageQuery, created, load_body, load_query

Answer = dict[str, Any]
ONE, NEW, MANY = OneToken(), NewToken(), Tokens()


@operation(
    "Make a token",
    "Its secret is shown in this answer and never again: one repeated under an `Idempotency-Key` has null instead.",
    body=CreateToken,
    answer=NewToken,
    status=201,
)
def create() -> tuple[Answer, int, dict[str, str]]:
    """POST /tokens."""
    asked = load_body(CreateToken)
    with change() as session:
        issued = NEW.dump(tokens.create(session, g.principal, **asked))
        keep_as(issued | {"secret": None})
        return created(issued, "get_token", token_id=issued["id"])


@operation(
    "Tokens, oldest first, without their secrets",
    "Revoked and expired ones included.",
    query=PageQuery,
    answer=Tokens,
    also=(403,),
)
def search() -> Answer:
    """GET /tokens."""
    asked = load_query(PageQuery)
    return dict(MANY.dump(tokens.search(reading(), g.principal, limit=asked["limit"], token=asked["page_token"])))


@operation(
    "One token, without its secret",
    "Whose it is, what it is trusted with, and when it was last used.",
    answer=OneToken,
    also=(403,),
)
def get(token_id: int) -> Answer:
    """GET /tokens/<id>."""
    return dict(ONE.dump(tokens.get(reading(), g.principal, token_id)))


@operation(
    "Revoke a token",
    "It is worthless at once. One's own can be revoked as well, but not the last administrator's: make another one "
    "first, or use `registry token` with --database, on the machine of the service.",
    status=204,
    also=(409,),
)
def revoke(token_id: int) -> tuple[str, int]:
    """DELETE /tokens/<id>."""
    with change() as session:
        tokens.revoke(session, g.principal, token_id)
        return "", 204


def mount(face: Blueprint) -> None:
    """Give the face these routes."""
    face.post("/tokens", endpoint="create_token")(create)
    face.get("/tokens", endpoint="tokens")(search)
    face.get("/tokens/<int:token_id>", endpoint="get_token")(get)
    face.delete("/tokens/<int:token_id>", endpoint="revoke_token")(revoke)
