"""Changes in as few steps as there can be: all statements in one message, and then COMMIT.

The database does all that it does behind our service: the lock of the model's row, the audit event, the intervals. But
nobody's credential is looked up, nothing is checked or explained, and the answer has hardly anything in it.
"""

from typing import Any
from uuid import uuid4

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from bench.bare.connection import connection

BEGIN = (
    "BEGIN; SELECT set_config('app.actor', 'principal:1', true), set_config('app.credential', '', true), "
    "set_config('app.request_id', %(request)s, true), set_config('app.reason', '', true); "
    "SELECT FROM registry.registered_models WHERE name = %(name)s AND deleted_at IS NULL FOR NO KEY UPDATE; "
)
CREATE = (
    "WITH m AS (UPDATE registry.registered_models m SET last_number = last_number + 1, updated_at = clock_timestamp() "
    "WHERE m.name = %(name)s AND m.deleted_at IS NULL RETURNING id, last_number, updated_at) "
    "INSERT INTO registry.model_versions (model_id, number, stage, source, created_by, created_at, updated_at) "
    "SELECT id, last_number, 'None', %(source)s, 'principal:1', updated_at, updated_at FROM m RETURNING number"
)
MOVE = (
    "WITH m AS (UPDATE registry.registered_models m SET updated_at = clock_timestamp() "
    "WHERE m.name = %(name)s AND m.deleted_at IS NULL RETURNING id, updated_at) "
    "UPDATE registry.model_versions v SET updated_at = m.updated_at, "
    "stage = CASE WHEN v.number = %(version)s THEN %(stage)s ELSE 'Archived' END "
    "FROM m WHERE v.model_id = m.id AND v.deleted_at IS NULL "
    "AND (v.number = %(version)s OR v.stage = %(stage)s) RETURNING v.number"
)
TAG = (
    "INSERT INTO registry.model_version_tags (model_id, number, key, value) "
    "SELECT m.id, %(version)s, %(key)s, %(value)s FROM registry.registered_models m "
    "WHERE m.name = %(name)s AND m.deleted_at IS NULL "
    "ON CONFLICT (model_id, number, key) DO UPDATE SET value = excluded.value RETURNING number"
)
writes = Blueprint("writes", __name__, url_prefix="/api/2.0/mlflow/model-versions")


@writes.post("/create")
def create() -> ResponseReturnValue:
    """Make a version with the next number."""
    return jsonify(version=written(CREATE, request.get_json())[0])


@writes.post("/transition-stage")
def transition() -> ResponseReturnValue:
    """Move a version to a stage, and archive the others that are there."""
    return jsonify(moved=written(MOVE, numbered(request.get_json())))


@writes.post("/set-tag")
def set_tag() -> ResponseReturnValue:
    """Give a version a tag."""
    return jsonify(version=written(TAG, numbered(request.get_json()))[0])


def numbered(asked: dict[str, Any]) -> dict[str, Any]:
    """What was asked, with the number of the version as one."""
    return asked | {"version": int(asked["version"])}


def written(statement: str, asked: dict[str, Any]) -> list[int]:
    """Make a change, and return the numbers of the versions that it made different."""
    with connection().cursor() as cursor:
        try:
            cursor.execute(BEGIN + statement, asked | {"request": str(uuid4())})
            numbers = [number for (number,) in cursor.fetchall()]
            cursor.execute("COMMIT")
        except BaseException:
            cursor.execute("ROLLBACK")
            raise
    return numbers
