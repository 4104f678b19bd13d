"""`/models/<name>/stages`: who stands in a stage now, who did at a moment, and from when until when."""

from typing import Any

from flask import Blueprint, g

from registry.domain import stages
from registry.errors import NotFound
from registry.faces.contract import operation
from registry.faces.inbound import reading
from registry.faces.rest import schemas
from registry.faces.rest.wire import load_query
from registry.vocabulary import Stage

TENURES = schemas.Tenures()


def stage_called(word: str) -> Stage:
    """The stage of a path.

    :raises NotFound: no stage is called so.
    """
    try:
        return Stage(word)
    except ValueError:
        raise NotFound(f"There is no stage '{word}'. The stages are {', '.join(Stage)}.") from None


@operation("Who stands in a stage, now or at a moment", query=schemas.At, answer=schemas.Tenures)
def holders(name: str, stage: str) -> dict[str, Any]:
    """GET /models/<name>/stages/<stage>."""
    asked = load_query(schemas.At)
    found = stages.holders(reading(), g.principal, name, stage_called(stage), asked["at"])
    return dict(TENURES.dump({"items": found}))


@operation("Who stood in a stage from when until when, the latest first", answer=schemas.Tenures)
def history(name: str, stage: str) -> dict[str, Any]:
    """GET /models/<name>/stages/<stage>/history."""
    found = stages.history(reading(), g.principal, name, stage_called(stage))
    return dict(TENURES.dump({"items": found}))


def mount(face: Blueprint) -> None:
    """Give the face these routes."""
    face.get("/models/<name>/stages/<stage>", endpoint="stage_holders")(holders)
    face.get("/models/<name>/stages/<stage>/history", endpoint="stage_history")(history)
