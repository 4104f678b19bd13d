"""`/models/<name>/versions`: model versions, and their moves between stages."""

from typing import Any, cast

from flask import Blueprint, g

from registry.domain import model_versions, stages, transitions
from registry.domain.model_versions import Amendment
from registry.faces.contract import operation
from registry.faces.inbound import change, reading, rests_on
from registry.faces.rest.schemas.stages import Moves, Transition
from registry.faces.rest.schemas.versions import AmendVersion, CreateVersion, OneVersion
from registry.faces.rest.wire import PageQuery, created, expected, load_body, load_query

Answer = dict[str, Any]
New = tuple[Answer, int, dict[str, str]]
Done = tuple[str, int]
ONE = OneVersion()
MOVES = Moves()


@operation(
    "Register a version, and put it in a stage",
    "The registry numbers it, and never uses a number twice. With `stage` it goes there in the same "
    "transaction, by the rules of a transition: both are done, or neither.",
    body=CreateVersion,
    answer=OneVersion,
    status=201,
    also=(409,),
)
def create(name: str) -> New:
    """POST /models/<name>/versions."""
    asked = load_body(CreateVersion)
    reason, move = asked.pop("reason"), move_in(asked)
    with change(reason) as session:
        made = stages.register(session, g.principal, name, **move, **asked)
        return created(ONE.dump(made), "get_version", name=name, number=made.number)


def move_in(asked: dict[str, Any]) -> dict[str, Any]:
    """What a registration says about a stage, taken out of it."""
    move = {"expected": expected(asked)}
    asked.pop("expected_current", None)
    return move | {"stage": asked.pop("stage", None), "archive_others": asked.pop("archive_existing", False)}


@operation(
    "Get a version",
    "Where it came from, where it stands, and what is known of it.",
    answer=OneVersion,
)
def get(name: str, number: int) -> Answer:
    """GET /models/<name>/versions/<number>."""
    found = model_versions.get(reading(), g.principal, name, number)
    rests_on(found.model_id)
    return dict(ONE.dump(found))


@operation(
    "Describe a version",
    "What is left out stays.",
    body=AmendVersion,
    answer=OneVersion,
)
def amend(name: str, number: int) -> Answer:
    """PATCH /models/<name>/versions/<number>."""
    asked = load_body(AmendVersion)
    with change() as session:
        return dict(ONE.dump(model_versions.amend(session, g.principal, name, number, cast("Amendment", asked))))


@operation(
    "Delete a version",
    "Its aliases go with it. An administrator can bring it back from the trash until it is purged.",
    status=204,
)
def delete(name: str, number: int) -> Done:
    """DELETE /models/<name>/versions/<number>."""
    with change() as session:
        model_versions.delete(session, g.principal, name, number)
        return "", 204


@operation(
    "Move a version to a stage",
    "Into or out of Production takes the `promote` permission, any other move `transition`. With "
    "`expected_current` it is a compare-and-set: the refusal names who holds the stage now.",
    body=Transition,
    answer=OneVersion,
)
def transition(name: str, number: int) -> Answer:
    """POST /models/<name>/versions/<number>/transitions."""
    asked = load_body(Transition)
    with change(asked["reason"], dry_run=asked["dry_run"]) as session:
        version = stages.transition(
            session,
            g.principal,
            name,
            number,
            asked["to"],
            archive_others=asked["archive_existing"],
            expected=expected(asked),
        )
        return dict(ONE.dump(version))


@operation(
    "The moves of a version, newest first",
    "From its registration on: from where to where, when, by whom and why.",
    query=PageQuery,
    answer=Moves,
)
def moves(name: str, number: int) -> Answer:
    """GET /models/<name>/versions/<number>/transitions."""
    asked = load_query(PageQuery)
    page = transitions.search(reading(), g.principal, name, number, limit=asked["limit"], token=asked["page_token"])
    return dict(MOVES.dump(page))


def mount(face: Blueprint) -> None:
    """Give the face these routes."""
    at = "/models/<name>/versions"
    face.post(at, endpoint="create_version")(create)
    face.get(at + "/<int:number>", endpoint="get_version")(get)
    face.patch(at + "/<int:number>", endpoint="amend_version")(amend)
    face.delete(at + "/<int:number>", endpoint="delete_version")(delete)
    face.post(at + "/<int:number>/transitions", endpoint="transition")(transition)
    face.get(at + "/<int:number>/transitions", endpoint="transitions")(moves)
