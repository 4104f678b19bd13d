"""`/grants`: who may do what on which models; for administrators, and for the owners of models."""

from typing import Any

from flask import Blueprint, g

from registry.domain import grants
from registry.domain.grants import Wanted
from registry.faces.contract import operation
from registry.faces.inbound import change, reading
from registry.faces.rest.schemas.grants import CreateGrant, GrantQuery, Grants, OneGrant
from registry.faces.rest.wire import created, load_body, load_query

Answer = dict[str, Any]
ONE, MANY = OneGrant(), Grants()


@operation(
    "Give or deny permissions",
    "To a principal or a group, over all models or those whose names match a pattern, in which `*` is any run of "
    "characters. Deny wins. The owner of a model can give the roles viewer and contributor on it, by its exact name.",
    body=CreateGrant,
    answer=OneGrant,
    status=201,
    also=(404, 409),
)
def create() -> tuple[Answer, int, dict[str, str]]:
    """POST /grants."""
    asked = load_body(CreateGrant)
    with change() as session:
        made = grants.create(session, g.principal, Wanted(**asked))
        return created(ONE.dump(made), "get_grant", grant_id=made.id)


@operation(
    "Grants, oldest first",
    "Those of a principal, of a group, or those that concern a model; its owner sees those on this model alone.",
    query=GrantQuery,
    answer=Grants,
    also=(403,),
)
def search() -> Answer:
    """GET /grants."""
    asked = load_query(GrantQuery)
    found = grants.search(
        reading(),
        g.principal,
        holder=asked["principal"],
        group=asked["group"],
        model=asked["model"],
        limit=asked["limit"],
        token=asked["page_token"],
    )
    return dict(MANY.dump(found))


@operation("One grant", "Whose it is, and what it is about.", answer=OneGrant, also=(403,))
def get(grant_id: int) -> Answer:
    """GET /grants/<id>."""
    return dict(ONE.dump(grants.get(reading(), g.principal, grant_id)))


@operation(
    "Take a grant away",
    "With effect on the next request. Not the last administrator's: make another one first.",
    status=204,
    also=(409,),
)
def delete(grant_id: int) -> tuple[str, int]:
    """DELETE /grants/<id>."""
    with change() as session:
        grants.delete(session, g.principal, grant_id)
        return "", 204


def mount(face: Blueprint) -> None:
    """Give the face these routes."""
    face.post("/grants", endpoint="create_grant")(create)
    face.get("/grants", endpoint="grants")(search)
    face.get("/grants/<int:grant_id>", endpoint="get_grant")(get)
    face.delete("/grants/<int:grant_id>", endpoint="delete_grant")(delete)
