"""Our own REST API, `/api/v1`: everything the service can do, as `openapi.yaml` writes it down."""

from flask import Flask, request

from registry.domain import names
from registry.faces import inbound
from registry.faces.face import Face
from registry.faces.idempotency import once
from registry.faces.rest import (
    aliases,
    audit,
    comments,
    cors,
    explaining,
    grants,
    model_versions,
    proofs,
    registered_models,
    resolve,
    searches,
    snapshot,
    stages,
    tags,
    tokens,
    trash,
)
from registry.faces.rest.conditional import conditional
from registry.faces.rest.errors import refuse, refuse_http, types
from registry.faces.rest.replicated import replicated

PREFIX = "/api/v1"


def name_the_model() -> None:
    """Tell the access log which model the path names."""
    inbound.concerns((request.view_args or {}).get("name"))


def check_path() -> None:
    """Refuse a path with characters that the database cannot even look for; bodies and queries have schemas for that.

    :raises Invalid: a part of the path has a NUL character.
    """
    for part, value in (request.view_args or {}).items():
        if isinstance(value, str):
            names.check_storable(part, value)


def authenticate() -> None:
    """Find out who calls, except for OPTIONS: a browser asks first whether it may send a token, and sends none then."""
    if request.method != "OPTIONS":
        inbound.authenticate()


def register(app: Flask) -> None:
    """Mount the face."""
    # A request that is sent again gets its answer again, whatever has become of the state it was made for.
    face = Face("rest", __name__, replicated, conditional, once)
    face.before_request(authenticate)
    face.before_request(name_the_model)
    face.before_request(check_path)
    face.refuse_with(refuse)
    subjects = (registered_models, model_versions, tags, aliases, stages, comments, trash)
    for part in (*subjects, resolve, searches, audit, proofs, snapshot, tokens, grants, explaining):
        part.mount(face)
    app.register_blueprint(face, url_prefix=PREFIX)
    cors.allow(app, PREFIX, app.config["REGISTRY"].cors_origins)


__all__ = ["PREFIX", "refuse", "refuse_http", "register", "types"]
