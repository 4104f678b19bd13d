"""`/models/<name>/stages`: who stands in a stage now, who did at a moment, from when until when; and the way back."""

from typing import Any

from flask import Blueprint, g

from registry.domain import stages, tenures
from registry.errors import NotFound
from registry.faces.contract import PAST, MayBeOld, operation
from registry.faces.inbound import change, reading
from registry.faces.rest.schemas.moments import ProvenAt
from registry.faces.rest.schemas.stages import PastTenures, Rollback, Tenures
from registry.faces.rest.schemas.versions import OneVersion
from registry.faces.rest.wire import PageQuery, expected, load_body, load_query
from registry.vocabulary import Stage

TENURES = Tenures()
HISTORY = PastTenures()
ONE = OneVersion()


def stage_called(word: str) -> Stage:
    """The stage of a path.

    :raises NotFound: no stage is called so.
    """
    try:
        return Stage(word)
    except ValueError:
        raise NotFound(f"There is no stage '{word}'. The stages are {', '.join(Stage)}.") from None


@operation(
    "Who stands in a stage, now or at a moment",
    "None, one or several versions, each since when and by whom.",
    query=ProvenAt,
    answer=Tenures,
    replica=PAST,
)
def holders(name: str, stage: str) -> dict[str, Any]:
    """GET /models/<name>/stages/<stage>."""
    asked = load_query(ProvenAt)
    found = tenures.holders(reading(), g.principal, name, stage_called(stage), asked["at"], prove=asked["proof"])
    return dict(TENURES.dump({"items": found}))


@operation(
    "Who stood in a stage from when until when, the latest first",
    "Every tenure of the stage, also of versions that were deleted since.",
    query=PageQuery,
    answer=PastTenures,
    replica=MayBeOld("What has ended does not change; who stands there now is asked without the history."),
)
def history(name: str, stage: str) -> dict[str, Any]:
    """GET /models/<name>/stages/<stage>/history."""
    asked = load_query(PageQuery)
    page = tenures.history(
        reading(), g.principal, name, stage_called(stage), limit=asked["limit"], token=asked["page_token"]
    )
    return dict(HISTORY.dump(page))


@operation(
    "Give a stage back to its previous holder",
    "To the version whose tenure began last before that of the present holders, is not deleted and does not "
    "stand there; the present holders are archived. Only for Staging and Production. A second rollback "
    "returns to where the first came from.",
    body=Rollback,
    answer=OneVersion,
    also=(409,),
)
def rollback(name: str, stage: str) -> dict[str, Any]:
    """POST /models/<name>/stages/<stage>/rollback."""
    asked = load_body(Rollback)
    with change(asked["reason"], dry_run=asked["dry_run"]) as session:
        version = stages.rollback(session, g.principal, name, stage_called(stage), expected=expected(asked))
        return dict(ONE.dump(version))


def mount(face: Blueprint) -> None:
    """Give the face these routes."""
    face.get("/models/<name>/stages/<stage>", endpoint="stage_holders")(holders)
    face.get("/models/<name>/stages/<stage>/history", endpoint="stage_history")(history)
    face.post("/models/<name>/stages/<stage>/rollback", endpoint="rollback")(rollback)
