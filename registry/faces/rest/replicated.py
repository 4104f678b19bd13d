"""Lets the replica answer where a route says that its answer may be a moment old (`replica` of `@operation`).

The caller is known by then, from the primary. A refusal is never taken from the replica: what is not there may only be
not there yet, so the primary is asked again. Whoever wants to see what it has changed itself sends the `Audit-Receipt`
of that along.
"""

import functools
from typing import Any, cast

from flask import current_app, request

from registry.db import db
from registry.errors import RegistryError
from registry.faces.contract import MayBeOld, Operation, operation_of
from registry.faces.face import View
from registry.faces.inbound import RECEIPT, reading_from
from registry.faces.measuring import meters
from registry.faces.rest.wire import Input, load_query
from registry.replica import Reading, Replica, State

READING = frozenset({"GET", "HEAD"})


def replicated(view: View) -> View:
    """Answer from the replica where the route bears it, the request does, and the replica is as it should be."""
    operation = operation_of(view)
    if operation is None or operation.replica is None:
        return view
    allowed = operation.replica

    @functools.wraps(view)
    def run(**path: Any) -> Any:
        replica: Replica | None = current_app.extensions.get("replica")
        if replica is None or not concerns(allowed):
            return view(**path)
        why = obstacle(replica, operation, allowed)
        if why is None:
            session = Reading(replica, db.engine)
            try:
                with reading_from(session):
                    answer = view(**path)
            except RegistryError:
                why = "refused"
            else:
                meters().read(replica=not session.failed, why="failed" if session.failed else "fresh")
                return answer
        meters().read(replica=False, why=why)
        return view(**path)

    return run


def concerns(allowed: MayBeOld) -> bool:
    """Whether this request is one that the replica might answer."""
    given = request.args
    return (
        request.method in READING
        and "If-Match" not in request.headers
        and ("at" in given or not allowed.about_the_past)
        and not any(name in given for name in allowed.but_with)
    )


def obstacle(replica: Replica, operation: Operation, allowed: MayBeOld) -> str | None:
    """What speaks against it: it is away or behind, or lacks what the request is about; None if nothing does."""
    state = replica.state()
    if state is not State.USED:
        return str(state)
    if allowed.about_the_past and not is_final(replica, operation):
        return "recent"
    if RECEIPT in request.headers and not replica.has(request.headers[RECEIPT]):
        return "receipt"
    return None


def is_final(replica: Replica, operation: Operation) -> bool:
    """Whether the replica knows all about the moment that is asked for, for good."""
    try:
        asked = load_query(cast("type[Input]", operation.query))
    except RegistryError:
        return False  # the view will say what is wrong
    return asked.get("at") is not None and replica.is_final(asked["at"])
