"""`/resolve`: what a `models:/` URI names, now or at a moment; `/whoami`: who asks."""

from typing import Any

from flask import Blueprint, g

from registry.domain import references
from registry.faces.contract import PAST, operation
from registry.faces.inbound import concerns, reading, rests_on
from registry.faces.rest.schemas.actors import Caller
from registry.faces.rest.schemas.moments import Resolved, ResolveQuery
from registry.faces.rest.wire import load_query

RESOLVED, CALLER = Resolved(), Caller()


@operation(
    "Resolve a models:/ URI, now or as of a moment",
    "By number, by stage (the newest version in it), `latest` or alias. Made to be polled: with "
    "`If-None-Match` a fleet of servers learns of a change at the price of one short query.",
    query=ResolveQuery,
    answer=Resolved,
    also=(404, 410),
    replica=PAST,
)
def resolve() -> dict[str, Any]:
    """GET /resolve."""
    asked = load_query(ResolveQuery)
    found = references.resolve(reading(), g.principal, asked["uri"], asked["at"], prove=asked["proof"])
    concerns(found.name)
    if found.event is None:
        rests_on(found.version.model_id, found.by.id)
    return dict(RESOLVED.dump(found))


@operation(
    "Who the caller is",
    "The principal that the credential belongs to, and what it is trusted with.",
    answer=Caller,
)
def whoami() -> dict[str, Any]:
    """GET /whoami."""
    return dict(CALLER.dump(g.principal))


def mount(face: Blueprint) -> None:
    """Give the face these routes."""
    face.get("/resolve", endpoint="resolve")(resolve)
    face.get("/whoami", endpoint="whoami")(whoami)
