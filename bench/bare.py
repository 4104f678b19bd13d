"""What any service on this stack costs at least: a Flask route that asks one question through psycopg2."""

import os
import threading
from typing import Any

import psycopg2
from flask import Flask, jsonify
from flask.typing import ResponseReturnValue

from bench.servers import plain

SELECT = (
    "SELECT v.number, v.stage, v.source, v.run_id FROM registry.registered_models m "
    "JOIN registry.model_versions v ON v.model_id = m.id AND v.stage = 'Production' AND v.deleted_at IS NULL "
    "WHERE m.name = %s AND m.deleted_at IS NULL ORDER BY v.number DESC LIMIT 1"
)
"""Which version of a model is in Production: what pgbench asks, too."""
URL = plain(os.environ["REGISTRY_DATABASE_URL"]) if "REGISTRY_DATABASE_URL" in os.environ else ""

app = Flask(__name__)
_local = threading.local()


@app.get("/")
def ready() -> ResponseReturnValue:
    """Say that it listens."""
    return "ready"


@app.get("/<name>")
def resolve(name: str) -> ResponseReturnValue:
    """Ask the question, on a connection that this thread keeps."""
    with connection().cursor() as cursor:
        cursor.execute(SELECT, (name,))
        number, stage, source, run_id = cursor.fetchone()
    return jsonify(version=number, stage=stage, source=source, run_id=run_id)


def connection() -> Any:
    """Return this thread's connection, opened when it is first needed."""
    if not hasattr(_local, "connection"):
        _local.connection = psycopg2.connect(URL)
        _local.connection.autocommit = True
    return _local.connection
