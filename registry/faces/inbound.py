"""What every face does first: give the request an id, find out who calls, take the body through a schema."""

import io
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any
from urllib.parse import unquote

from flask import Flask, Response, current_app, g, request
from gunicorn.http.errors import ParseException
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from registry.db import db, receipts, transaction, unaudited
from registry.domain import attempts, identities, names, notes, principals, tokens
from registry.domain.access import ANONYMOUS, Principal
from registry.domain.tokens import Standing
from registry.errors import Forbidden, RegistryError, TooManyAttempts, Unauthenticated, Unavailable
from registry.faces import remote
from registry.identity.believing import Believed
from registry.replica import Reading

REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
RECEIPT = "Audit-Receipt"
REFUSED = 400
CHALLENGE = 'Bearer realm="model registry", Basic realm="model registry", charset="UTF-8"'


STANDING, RESTS_ON, WAITED = "registry.standing", "registry.rests_on", "registry.waited"


def identify() -> None:
    """Give the request an id and find out where it comes from."""
    introduce(request.environ, current_app.config["REGISTRY"].trusted_proxies)
    g.request_id, g.remote = request.environ["registry.request_id"], request.environ["registry.remote"]
    g.receipts = {}


def introduce(environ: dict[str, Any], trusted: Sequence[remote.Network]) -> None:
    """Give a request an id, the caller's own if it looks like one, and find out where it comes from.

    The access log reads both from the environment.
    """
    given = environ.get("HTTP_X_REQUEST_ID", "")
    environ["registry.request_id"] = given if REQUEST_ID.fullmatch(given) else str(uuid.uuid4())
    peer, forwarded = environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", "")
    environ["registry.remote"] = remote.address(peer, forwarded, trusted)


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
    :raises TooManyAttempts: the same, and not for the first time.
    """
    g.principal = caller()
    request.environ["registry.actor"] = g.principal.id
    request.environ["registry.credential"] = g.principal.credential


def caller() -> Principal:
    """The principal that the request's credential belongs to.

    :raises Unauthenticated: no credential, or none that opens the door.
    :raises TooManyAttempts: the same, and not for the first time.
    :raises TimeoutError: this request has waited in vain for a connection to the database.
    """
    if not current_app.config["REGISTRY"].auth:
        check_addressed_here()
        return ANONYMOUS
    secret = given_secret()
    if not secret:
        raise Unauthenticated(
            "This registry needs a token. Send it as 'Authorization: Bearer <token>', or as the password of Basic "
            "authentication with any user name. MLflow clients take it from MLFLOW_TRACKING_TOKEN."
        )
    issuers: Believed = current_app.extensions["issuers"]
    if issuers.concerns(secret):
        return vouched_for(issuers, secret)
    waited: PoolTimeoutError | None = request.environ.get(WAITED)
    if waited is not None:
        raise waited
    known: Standing | None = request.environ.get(STANDING)
    standing = known or tokens.standing(db.engine, tokens.digest(secret), ())
    if standing is None:
        note_spent(secret)
        count_failure(secret)
        raise Unauthenticated("The token is unknown, has expired or was revoked.")
    request.environ[STANDING] = standing
    holder = tokens.holder(standing)
    if standing.note_use:
        with suppress(Unavailable), unaudited() as session:  # worth no refusal, for instance on a read-only standby
            tokens.note_use(session, holder.token_id)
    return holder.principal


def check_addressed_here() -> None:
    """Let nobody in without a credential who calls this machine by a name that others give it.

    The owner of any name can have it lead to this machine. A browser then takes his page for one of ours, and lets it
    read and send what it likes (DNS rebinding).

    :raises Unauthenticated: the host is not one that only this machine has.
    """
    if not remote.is_loopback(request.host):
        raise Unauthenticated(
            "This registry is open to its own machine alone (REGISTRY_AUTH=off): address it as localhost or 127.0.0.1."
        )


def vouched_for(issuers: Believed, secret: str) -> Principal:
    """The principal that an issuer vouches for; one that was never seen is made."""
    try:
        vouched = issuers.verify(secret)
    except Unauthenticated:
        count_failure(secret)
        raise
    found = identities.known(db.session(), vouched)
    if found is None:
        with transaction(identities.issuer_of(vouched), request_id=g.request_id) as session:
            found = identities.admit(session, vouched)
    return found


def note_spent(secret: str) -> None:
    """Have it noted if the token had been good once: somebody may have kept, or found, what was to be worthless."""
    found = tokens.spent(db.session(), secret)
    if found is not None:
        holder, why = found
        with suppress(Unavailable), transaction(holder, request_id=g.request_id) as session:
            notes.token_refused(session, why)


def count_failure(secret: str) -> None:
    """Count a credential that opens no door against where it comes from, and against itself.

    Where the counts cannot be kept, as on a standby, the attempt is refused like any other: they save work and noise,
    and are not what keeps anybody out.

    :raises TooManyAttempts: there were too many.
    """
    wait = None
    with suppress(Unavailable, DBAPIError), unaudited() as session:
        wait = attempts.exhausted(session, current_app.config["REGISTRY"], g.remote, secret)
    if wait is not None:
        raise TooManyAttempts(
            f"Too many tokens that are not valid came from here, or this one too often. Wait {wait} seconds and check "
            "the token; a valid one is let in at once.",
            wait,
        )


def note_refusal(error: RegistryError) -> None:
    """Have it noted if the caller lacks a permission; whether that succeeds or not, the refusal is the answer."""
    if isinstance(error, Forbidden):
        with suppress(Unavailable), transaction(g.principal, request_id=g.request_id) as session:
            notes.refused(session, error)


def given_secret() -> str | None:
    """The token in the request's Authorization header, whether sent as Bearer or as a Basic password."""
    try:
        given = request.authorization
    except ValueError:  # Basic with something else than ASCII
        return None
    if given is None:
        return None
    if given.type == "bearer":
        return given.token
    return given.password if given.type == "basic" else None


def rests_on(model_id: int, *actors: str) -> None:
    """Say that this answer is the same as long as nothing happens to the model of this id, nor to these principals.

    A view says so where all that it answers is recorded in their streams of the audit log; it may then be kept.
    """
    known = (actor for actor in actors if actor.startswith(principals.PREFIX))
    request.environ[RESTS_ON] = (f"model:{model_id}", *known)


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
        written = {} if dry_run else receipts(session)
    g.receipts |= written


def give_receipts(response: Response) -> Response:
    """Have the answer of success to a change name the events that it wrote: of each stream the last one."""
    written: dict[str, str] = g.receipts
    if written and response.status_code < REFUSED:
        response.headers[RECEIPT] = ", ".join(f"{stream}/{event}" for stream, event in written.items())
    return response


def reading() -> Session:
    """The session of this request, for questions that change nothing: of the primary, or of the replica."""
    found: Session | None = g.get("reading")
    return found or db.session()


@contextmanager
def reading_from(session: Reading) -> Iterator[None]:
    """Have this request read from the replica for a while. Nothing is ever changed by way of this session."""
    g.reading = session
    try:
        yield
    finally:
        del g.reading
        session.leave()


def step_back() -> None:
    """Give this request's connection back while it waits for something."""
    db.session.rollback()


def reading_later() -> Callable[[], AbstractContextManager[Session]]:
    """What opens a session for one question after the request has ended, while its answer is still being sent.

    Between two questions no connection is held, however slowly the caller reads.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    source: Reading | None = g.get("reading")

    @contextmanager
    def opened() -> Iterator[Session]:
        with app.app_context():
            if source is None:
                yield db.session()
                return
            session = source.another()
            try:
                yield session
            finally:
                session.leave()

    return opened
