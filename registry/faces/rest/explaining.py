"""`/access/explain`: why somebody may do something, or may not."""

from typing import Any

from flask import Blueprint, g

from registry.domain import explaining
from registry.faces.contract import operation
from registry.faces.inbound import concerns, reading
from registry.faces.rest.schemas.grants import Explained, ExplainQuery
from registry.faces.rest.wire import load_query

EXPLAINED = Explained()


@operation(
    "Whether something may be done, and why or why not",
    "By which grant, or what is missing and who could give it. For the caller and its credential or, asked by an "
    "administrator, for another principal with a whole token. A move from or to Production is a promotion.",
    query=ExplainQuery,
    answer=Explained,
    also=(403, 404),
)
def explain() -> dict[str, Any]:
    """GET /access/explain."""
    asked = load_query(ExplainQuery)
    concerns(asked["model"])
    found = explaining.explain(
        reading(),
        g.principal,
        asked["action"],
        asked["model"],
        stage_from=asked["stage_from"],
        stage_to=asked["stage_to"],
        who=asked["principal"],
    )
    return dict(EXPLAINED.dump(found))


def mount(face: Blueprint) -> None:
    """Give the face this route."""
    face.get("/access/explain", endpoint="explain")(explain)
