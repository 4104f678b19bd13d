"""Our own REST API, `/api/v1`: everything the service can do, as `openapi.yaml` writes it down."""

from flask import Blueprint, Flask, request

from registry.errors import RegistryError
from registry.faces import inbound
from registry.faces.rest import aliases, audit, comments, model_versions, registered_models, resolve, stages, tags
from registry.faces.rest.errors import refuse, refuse_http

PREFIX = "/api/v1"


def name_the_model() -> None:
    """Tell the access log which model the path names."""
    inbound.concerns((request.view_args or {}).get("name"))


def register(app: Flask) -> None:
    """Mount the face."""
    face = Blueprint("rest", __name__)
    face.before_request(inbound.authenticate)
    face.before_request(name_the_model)
    face.register_error_handler(RegistryError, refuse)
    for part in (registered_models, model_versions, tags, aliases, stages, comments, resolve, audit):
        part.mount(face)
    app.register_blueprint(face, url_prefix=PREFIX)


__all__ = ["PREFIX", "refuse", "refuse_http", "register"]
