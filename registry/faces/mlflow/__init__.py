"""The MLflow face: the registry part of MLflow's REST API, for unmodified `mlflow` clients.

The same routes are served under `/ajax-api/2.0/mlflow`, as MLflow does for its pages.
"""

from flask import Blueprint, Flask, Response, jsonify, request

from registry.faces import inbound
from registry.faces.contract import operation
from registry.faces.face import Face
from registry.faces.idempotency import once
from registry.faces.mlflow import model_versions, registered_models
from registry.faces.mlflow.errors import refuse, refuse_http, render
from registry.faces.mlflow.schemas import ServerInfo

PREFIXES = {"/api/2.0/mlflow": "mlflow", "/ajax-api/2.0/mlflow": "mlflow_ajax"}
SERVER_INFO = {
    "store_type": "SqlStore",
    "workspaces_enabled": False,
    "trace_archival_enabled": False,
    "multipart_uploads_enabled": False,
    "multipart_downloads_enabled": False,
}

info = Blueprint("mlflow_info", __name__)


@info.get("/api/3.0/mlflow/server-info")
@info.get("/ajax-api/3.0/mlflow/server-info")
@operation(
    "What this server can do besides the registry: nothing",
    "Clients of MLflow ask for it before they use what only other servers have.",
    answer=ServerInfo,
    secured=False,
)
def server_info() -> Response:
    """Tell a client that has a workspace selected that there are none here. Open to everybody, as MLflow has it."""
    return jsonify(SERVER_INFO)


def refuse_workspace() -> Response | None:
    """A client that works in a workspace would otherwise believe that its models are kept apart from others."""
    if not request.headers.get("X-MLFLOW-WORKSPACE", "").strip():
        return None
    message = "Workspace APIs are not available: workspaces are not enabled on this server"
    return render("FEATURE_DISABLED", message, 400)


def register(app: Flask) -> None:
    """Mount the face."""
    for prefix, name in PREFIXES.items():
        face = Face(name, __name__, once)
        face.before_request(inbound.authenticate)
        face.before_request(refuse_workspace)
        face.refuse_with(refuse)
        registered_models.mount(face)
        model_versions.mount(face)
        app.register_blueprint(face, url_prefix=prefix)
    app.register_blueprint(info)


__all__ = ["PREFIXES", "refuse", "refuse_http", "register"]
