"""`/audit/checkpoint`, `/audit/proof`, `/audit/consistency`: what the log was signed as, and proofs against that."""

from typing import Any

from flask import Blueprint, Response, g

from registry.domain import checkpoints, proofs
from registry.faces.contract import MayBeOld, operation
from registry.faces.inbound import reading
from registry.faces.rest.schemas.proofs import CheckpointQuery, Consistency, ConsistencyQuery, Inclusion, InclusionQuery
from registry.faces.rest.wire import load_query

INCLUSION = Inclusion()
CONSISTENCY = Consistency()
NOTE = "text/plain"
SIGNED = MayBeOld("What was signed is true for ever, and the checkpoint before the latest one is as good.")


@operation(
    "The latest checkpoint of the log, or that of a size",
    "A signed note (c2sp.org/tlog-checkpoint). Kept outside of the service, it proves later that nothing of what it "
    "covers was changed.",
    query=CheckpointQuery,
    answer=NOTE,
    also=(404,),
    replica=SIGNED,
)
def checkpoint() -> Response:
    """GET /audit/checkpoint."""
    asked = load_query(CheckpointQuery)
    found = checkpoints.read(reading(), g.principal, asked["size"])
    return Response(found.note, content_type=f"{NOTE}; charset=utf-8")


@operation(
    "The proof that an event is in the log",
    "An inclusion proof (RFC 6962) under the latest checkpoint, or at another size that is not larger.",
    query=InclusionQuery,
    answer=Inclusion,
    also=(404, 409),
    replica=SIGNED,
)
def inclusion(position: int) -> dict[str, Any]:
    """GET /audit/proof/<position>."""
    asked = load_query(InclusionQuery)
    return dict(INCLUSION.dump(proofs.inclusion(reading(), g.principal, position, asked["size"])))


@operation(
    "The proof that an earlier log is the beginning of a later one",
    "A consistency proof (RFC 6962) between two sizes of the log, neither of them larger than the latest checkpoint.",
    query=ConsistencyQuery,
    answer=Consistency,
    also=(404, 409),
    replica=SIGNED,
)
def consistency() -> dict[str, Any]:
    """GET /audit/consistency."""
    asked = load_query(ConsistencyQuery)
    return dict(CONSISTENCY.dump(proofs.consistency(reading(), g.principal, asked["first"], asked["second"])))


def mount(face: Blueprint) -> None:
    """Give the face these routes."""
    face.get("/audit/checkpoint", endpoint="checkpoint")(checkpoint)
    face.get("/audit/proof/<int:position>", endpoint="inclusion_proof")(inclusion)
    face.get("/audit/consistency", endpoint="consistency_proof")(consistency)
