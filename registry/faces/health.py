"""Is it alive, can it work, what is it: for load balancers and people. Open to everybody."""

from flask import Blueprint, Response, current_app, jsonify

import registry
from registry import schema

health = Blueprint("health", __name__)


@health.get("/livez")
def livez() -> Response:
    """The process answers; asks nothing of the database."""
    return jsonify(status="ok")


@health.get("/readyz")
def readyz() -> tuple[Response, int]:
    """The database answers and has the schema that this code expects; 503 with what is wrong otherwise."""
    problems = schema.check(current_app.config["SQLALCHEMY_DATABASE_URI"])
    if problems:
        return jsonify(status="unavailable", problems=problems), 503
    return jsonify(status="ready"), 200


@health.get("/health")
def mlflow_health() -> Response:
    """As MLflow has it."""
    return Response("OK", mimetype="text/plain")


@health.get("/version")
def version() -> Response:
    """The version of this service, as text, as MLflow has it."""
    return Response(registry.__version__, mimetype="text/plain")
