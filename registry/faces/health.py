"""Is it alive, can it work, what is it: for load balancers and people. Open to everybody."""

from typing import Any

from flask import Blueprint, Response, current_app, jsonify
from marshmallow import Schema, fields, validate

import registry
from registry import limits, posture, replica, schema, sealing
from registry.faces.contract import operation
from registry.posture import Level
from registry.sealing import State

TEXT = "text/plain"

health = Blueprint("health", __name__)


class Alive(Schema):
    """The process answers."""

    status = fields.String(required=True, validate=validate.Equal("ok"))


class Sealer(Schema):
    """What becomes of new audit events."""

    state = fields.String(required=True, validate=validate.OneOf([state.value for state in State]))
    why = fields.String(required=True, allow_none=True)


class Audit(Schema):
    """What keeps the audit log from being changed, and what keeps that from being enforced."""

    posture = fields.String(required=True, validate=validate.OneOf([level.value for level in Level]))
    why = fields.List(fields.String(), required=True)
    sealer = fields.Nested(Sealer, required=True)


class Standby(Schema):
    """Whether the replica answers what may be a moment old, how old that is at most, and why not."""

    state = fields.String(required=True, validate=validate.OneOf([state.value for state in replica.State]))
    lag_seconds = fields.Float(required=True, allow_none=True)
    why = fields.String(required=True, allow_none=True)


class Ready(Schema):
    """The service can work. `replica`: null where there is none."""

    status = fields.String(required=True, validate=validate.Equal("ready"))
    audit = fields.Nested(Audit, required=True)
    replica = fields.Nested(Standby, required=True, allow_none=True)


class NotReady(Schema):
    """The service cannot work, and why not."""

    status = fields.String(required=True, validate=validate.Equal("unavailable"))
    problems = fields.List(fields.String(), required=True)


@health.get("/livez")
@operation(
    "Whether the process lives",
    "Asks nothing of the database: a service that fails here needs a restart.",
    answer=Alive,
    secured=False,
)
def livez() -> Response:
    """The process answers; asks nothing of the database."""
    return jsonify(status="ok")


@health.get("/readyz")
@operation(
    "Whether the service can work",
    "The database answers, has the schema that this release expects and heeds its time limits; otherwise 503 with "
    "what is wrong. "
    "How well the audit log is kept, and whether it is sealed, is told at most a minute late, and makes nothing "
    "unready; nor does a replica that is away.",
    answer=Ready,
    otherwise={503: NotReady},
    secured=False,
)
def readyz() -> tuple[Response, int]:
    """The database answers and has the schema that this code expects; 503 with what is wrong otherwise."""
    url = current_app.config["SQLALCHEMY_DATABASE_URI"]
    problems = schema.check(url) or limits.lately(current_app.config["REGISTRY"])
    if problems:
        return jsonify(status="unavailable", problems=problems), 503
    found, sealer = posture.lately(url), sealing.lately(url)
    audit = {"posture": found.level, "why": found.why, "sealer": {"state": sealer.state, "why": sealer.why}}
    return jsonify(status="ready", audit=audit, replica=standby()), 200


def standby() -> dict[str, Any] | None:
    """How the replica is, if there is one."""
    found: replica.Replica | None = current_app.extensions.get("replica")
    if found is None:
        return None
    lag = found.lag()
    return {
        "state": found.state(),
        "lag_seconds": None if lag is None else round(lag, 3),
        "why": found.known().why,
    }


@health.get("/health")
@operation("Whether the process lives, as MLflow has it", "Answers `OK`.", answer=TEXT, secured=False)
def mlflow_health() -> Response:
    """As MLflow has it."""
    return Response("OK", mimetype=TEXT)


@health.get("/version")
@operation("The release of this service, as MLflow has it", "Answers the version as text.", answer=TEXT, secured=False)
def version() -> Response:
    """The version of this service, as text, as MLflow has it."""
    return Response(registry.__version__, mimetype=TEXT)
