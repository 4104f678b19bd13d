"""Conditional requests (RFC 9110, section 13): what one has read need not be sent again, nor be changed unseen.

Every JSON answer to a GET bears a strong `ETag`, a digest of its bytes. `If-None-Match` then gets a 304, and a change
with `If-Match` is made only to what the caller has seen: the model's row is locked, the same URL is read as GET reads
it, and the change follows in the same transaction.
"""

import functools
import hashlib
from typing import Any

from flask import Response, current_app, g, request
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

from registry.domain import grants, registered_models, tokens, trash
from registry.errors import NotFound, PreconditionFailed
from registry.faces.face import View, bare_view
from registry.faces.idempotency import holds_secret
from registry.faces.inbound import change

READING = frozenset({"GET", "HEAD"})
PRECONDITIONS = ("If-Match", "If-None-Match")
OK, CREATED, NOT_MODIFIED = 200, 201, 304


def conditional(view: View) -> View:
    """Answer with an ETag, and heed those that the request names."""

    @functools.wraps(view)
    def run(**path: Any) -> Any:
        if request.method in READING:
            return read(current_app.make_response(view(**path)))
        if not any(header in request.headers for header in PRECONDITIONS):
            return changed(current_app.make_response(view(**path)))
        with change() as session:
            tag = tag_now(session, path)
            check_if_match(tag)
            check_if_none_match(tag)
            session.expunge_all()  # the view begins with what it reads itself, as without a condition
            return changed(current_app.make_response(view(**path)))

    return run


def read(response: Response) -> Response:
    """The answer to a GET: with its tag, or without its body where the caller has it."""
    tag = tag_of(response)
    if tag is None:
        return response
    check_if_match(tag)
    response.set_etag(tag)
    response.headers.setdefault("Cache-Control", "private, no-cache")
    response.vary.add("Authorization")
    if request.if_none_match.contains_weak(tag):
        response.status_code = NOT_MODIFIED
        response.set_data(b"")
        response.headers.pop("Content-Type")
    return response


def changed(response: Response) -> Response:
    """The answer to a change: with a tag where it is what GET of the resource says: changed here, or made elsewhere."""
    shows_resource = (request.method == "PATCH" and response.status_code == OK) or (
        response.status_code == CREATED and "Location" in response.headers
    )
    if shows_resource and not holds_secret() and (tag := tag_of(response)):
        response.set_etag(tag)
    return response


def tag_of(response: Response) -> str | None:
    """The tag of an answer; None for one that is no JSON document, or is sent piece by piece."""
    if response.is_streamed or response.mimetype != "application/json" or response.status_code not in {OK, CREATED}:
        return None
    return hashlib.sha256(response.get_data()).hexdigest()[:32]


def tag_now(session: Session, path: dict[str, Any]) -> str | None:
    """The tag that GET of this URL would answer, with the model held until the end; None where there is nothing."""
    try:
        hold(session, path)
        endpoint, arguments = current_app.url_map.bind_to_environ(request.environ).match(method="GET")
        view = bare_view(endpoint)
        return tag_of(current_app.make_response(view(**arguments))) if view else None
    except (NotFound, HTTPException):
        return None


def hold(session: Session, path: dict[str, Any]) -> None:
    """Let nobody else change what the path names until this transaction has ended."""
    if "name" in path:
        registered_models.hold(session, g.principal, path["name"])
    elif "model_id" in path:
        trash.hold(session, g.principal, path["model_id"])
    elif "grant_id" in path:
        grants.hold(session, g.principal, path["grant_id"])
    elif "token_id" in path:
        tokens.hold(session, g.principal)


def check_if_match(tag: str | None) -> None:
    """:raises PreconditionFailed: the caller has seen another state of the resource than this one."""
    if "If-Match" in request.headers and (tag is None or not request.if_match.contains(tag)):
        raise PreconditionFailed(
            "The resource is not, or is no longer, what If-Match says. Nothing was changed: read it and decide anew."
        )


def check_if_none_match(tag: str | None) -> None:
    """:raises PreconditionFailed: the resource is there, or in the state, which the caller does not want to touch."""
    if tag is not None and request.if_none_match.contains_weak(tag):
        raise PreconditionFailed("The resource is there, in a state that If-None-Match excludes. Nothing was changed.")
