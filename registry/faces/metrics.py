"""`/metrics`, for Prometheus. It names no model and no person, but what it tells is not for the public.

It is open like `/health`, or wants the token of REGISTRY_METRICS_TOKEN: a token of its own, and none of the database's,
because it has to answer just when the database does not.
"""

import hmac
import time

from flask import Blueprint, Response, current_app, request
from sqlalchemy.exc import SQLAlchemyError

from registry import posture
from registry.domain import vitals
from registry.errors import Unauthenticated
from registry.faces.contract import operation
from registry.faces.inbound import given_secret, reading, step_back
from registry.faces.measuring import meters
from registry.metrics.exposition import Gauge, Numbers, written
from registry.posture import Level
from registry.replica import Replica

FRESH_SECONDS = 5.0
"""For so long a worker answers with what it last read of the database, so that nobody makes it work by asking often."""

UP, POSTURE = "registry_database_up", "registry_audit_posture"
OF_DATABASE = {
    UP: "1 if the database answers, 0 if not.",
    POSTURE: "How the audit log is kept: 2 enforced, 1 trigger-only, 0 broken; `registry doctor` says why.",
}
REPLICA, LAG = "registry_replica_used", "registry_replica_lag_seconds"
OF_REPLICA = {
    REPLICA: "1 if the replica answers what it may, 0 if the primary does in its place in one worker at least.",
    LAG: "How old the replica's answers are at most, in the worker where they are oldest.",
}
"""Where there is a replica."""
LEVELS = (Level.BROKEN, Level.TRIGGER_ONLY, Level.ENFORCED)

prometheus = Blueprint("prometheus", __name__)


@prometheus.get("/metrics")
@operation(
    "What the service counts of itself, for Prometheus",
    "Right across all workers: requests, refusals, transitions, connections and the audit log. No label is the name of "
    "a model or of a person. Open to everybody unless `REGISTRY_METRICS_TOKEN` is set.",
    answer="text/plain",
    also=(401,),
    secured=False,
)
def metrics() -> Response:
    """All numbers, in Prometheus' text format, or in OpenMetrics for those who ask for it."""
    check_token(current_app.config["REGISTRY"].metrics_token)
    pool_size: int = current_app.config["REGISTRY"].pool_size
    text, media_type = written(Numbers(meters().board, pool_size, vital_signs()), request.headers.get("Accept", ""))
    return Response(text, content_type=media_type)


def check_token(token: str | None) -> None:
    """Let only those in who bring the token, if there is one.

    :raises Unauthenticated: they do not.
    """
    given = given_secret() or ""
    if token is not None and not hmac.compare_digest(given.encode(), token.encode()):
        raise Unauthenticated("Send the token of REGISTRY_METRICS_TOKEN as 'Authorization: Bearer <token>'.")


def vital_signs() -> list[Gauge]:
    """The state of the database, read now or a moment ago."""
    known = current_app.extensions.get("vitals")
    if known is None or known[0] < time.monotonic():
        known = current_app.extensions["vitals"] = (time.monotonic() + FRESH_SECONDS, read_vital_signs())
    gauges: list[Gauge] = known[1]
    return gauges


def read_vital_signs() -> list[Gauge]:
    """What the database says of itself; that it says nothing is a number too."""
    try:
        found = vitals.read(reading())
    except SQLAlchemyError:
        return [Gauge(UP, OF_DATABASE[UP], 0.0)]
    finally:
        step_back()
    kept = LEVELS.index(posture.lately(current_app.config["SQLALCHEMY_DATABASE_URI"]).level)
    said = [Gauge(name, vitals.MEANINGS[name], value) for name, value in found.items()]
    said += [Gauge(name, OF_REPLICA[name], value) for name, value in how_the_replica_is().items()]
    return [Gauge(UP, OF_DATABASE[UP], 1.0), Gauge(POSTURE, OF_DATABASE[POSTURE], kept), *said]


def how_the_replica_is() -> dict[str, float]:
    """Whether all workers that know it use it, and how old it is, if one knows; nothing where there is none."""
    replica: Replica | None = current_app.extensions.get("replica")
    if replica is None:
        return {}
    replica.known()  # whoever is asked has a look at it
    seen = [worker.replica for worker in meters().board.living() if worker.replica != 0]
    now = time.monotonic()  # of all processes
    ages = [now - fresh for fresh in seen if fresh is not None]
    used = bool(seen) and len(ages) == len(seen) and max(ages) <= replica.bound
    return {REPLICA: float(used)} | ({LAG: max(ages)} if ages else {})
