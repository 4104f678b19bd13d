"""A Flask application that asks one question through psycopg2, or makes one change."""

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue

from bench.bare.connection import connection
from bench.bare.writes import writes

SELECT = (
    "SELECT v.number, v.stage, v.source, v.run_id FROM registry.registered_models m "
    "JOIN registry.model_versions v ON v.model_id = m.id AND v.stage = 'Production' AND v.deleted_at IS NULL "
    "WHERE m.name = %s AND m.deleted_at IS NULL ORDER BY v.number DESC LIMIT 1"
)
"""Which version of a model is in Production: what pgbench asks, too."""

app = Flask(__name__)
app.register_blueprint(writes)


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
