"""What every face does first: give the request an id, find out who calls, take the body through a schema."""

import io
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from urllib.parse import unquote

from flask import Flask, current_app, g, request
from gunicorn.http.errors import ParseException
from sqlalchemy.orm import Session
from werkzeug.datastructures import Authorization
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from registry.db import db, transaction, unaudited
from registry.domain import names, tokens
from registry.domain.access import ANONYMOUS, Principal
from registry.errors import Unauthenticated, Unavailable

REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
CHALLENGE = 'Bearer realm="model registry", Basic realm="model registry", charset="UTF-8"'


def identify() -> None:
    """Give the request an id: the caller's own if it looks like one. The access log reads it from the environment."""
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if REQUEST_ID.fullmatch(given) else str(uuid.uuid4())
    request.environ["registry.request_id"] = g.request_id


def receive() -> None:
    """Take in a body that comes in chunks, whose length nobody says beforehand.

    Of one that is too long werkzeug would show the beginning as if it were the whole, and what gunicorn has against a
    chunk would look like a fault of ours.

    :raises RequestEntityTooLarge: longer than a body may be.
    :raises BadRequest: it ends too early, or is no chunked body at all.
    """
    limit = request.max_content_length
    if limit is None or request.headers.get("Transfer-Encoding", "").lower() != "chunked":
        return
    try:
        body = request.environ["wsgi.input"].read(limit + 1)
    except (OSError, ValueError, ParseException):
        raise BadRequest("The body is not a complete series of chunks.") from None
    if len(body) > limit:
        raise RequestEntityTooLarge
    request.environ["wsgi.input"] = io.BytesIO(body)


def authenticate() -> None:
    """Find out who calls.

    :raises Unauthenticated: no credential, or none that opens the door.
    """
    g.principal = caller()
    request.environ["registry.actor"] = g.principal.id
    request.environ["registry.credential"] = g.principal.credential


def caller() -> Principal:
    """The principal that the request's credential belongs to."""
    if not current_app.config["REGISTRY"].auth:
        return ANONYMOUS
    secret = given_secret(request.authorization)
    if not secret:
        raise Unauthenticated(
            "This registry needs a token. Send it as 'Authorization: Bearer <token>', or as the password of Basic "
            "authentication with any user name. MLflow clients take it from MLFLOW_TRACKING_TOKEN."
        )
    holder = tokens.authenticate(db.session(), secret)
    if holder is None:
        raise Unauthenticated("The token is unknown, has expired or was revoked.")
    if holder.note_use:
        with suppress(Unavailable), unaudited() as session:  # worth no refusal, for instance on a read-only standby
            tokens.note_use(session, holder.token_id)
    return holder.principal


def given_secret(authorization: Authorization | None) -> str | None:
    """The token in an Authorization header, whether sent as Bearer or as a Basic password."""
    if authorization is None:
        return None
    if authorization.type == "bearer":
        return authorization.token
    return authorization.password if authorization.type == "basic" else None


def concerns(model: str | None) -> None:
    """Tell the access log which model a request is about."""
    if model is not None:
        request.environ["registry.model"] = model


def reason_given() -> str | None:
    """Why the caller says it changes something: the header X-Registry-Reason, percent-encoded where it is not ASCII.

    :raises Invalid: too long, or not text.
    """
    header = request.headers.get("X-Registry-Reason")
    if not header:
        return None
    reason = unquote(header)
    names.check_storable("X-Registry-Reason", reason)
    names.check_text("X-Registry-Reason", reason, names.REASON_MAX)
    return reason


@contextmanager
def change(reason: str | None = None, *, dry_run: bool = False) -> Iterator[Session]:
    """One transaction in the name of the caller, with its reason; the answer is built inside.

    With `dry_run` nothing is kept of it: the answer says what would be.
    """
    why = reason or reason_given()
    with transaction(g.principal, reason=why, request_id=g.request_id, dry_run=dry_run) as session:
        yield session


def reading() -> Session:
    """The session of this request, for questions that change nothing."""
    return db.session()


def step_back() -> None:
    """Give this request's connection back while it waits for something."""
    db.session.rollback()


def reading_later() -> Callable[[], AbstractContextManager[Session]]:
    """What opens a session for one question after the request has ended, while its answer is still being sent.

    Between two questions no connection is held, however slowly the caller reads.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]

    @contextmanager
    def opened() -> Iterator[Session]:
        with app.app_context():
            yield db.session()

    return opened
