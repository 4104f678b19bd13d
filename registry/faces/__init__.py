"""The ways in. Each face has a prefix; a URL that nobody matched is refused in the words of the face it points at."""

from flask import Flask, Response, current_app, g, request
from gunicorn.http.errors import NoMoreData, ParseException
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import BadRequest, HTTPException, InternalServerError

from registry.db import translate
from registry.errors import RegistryError
from registry.faces import inbound, kept, measuring, mlflow, rest
from registry.faces.health import health
from registry.faces.metrics import prometheus
from registry.faces.openapi import docs
from registry.vocabulary import SAFE_HEADERS

OK, NO_CONTENT = 200, 204
MLFLOW_PREFIXES = ("/api/2.0/", "/api/3.0/", "/ajax-api/")


def register(app: Flask) -> None:
    """Mount all faces."""
    app.after_request(kept.keep)  # sees what is sent: they run in the opposite order
    app.before_request(measuring.begin)
    app.after_request(measuring.end)  # but for that the last to see the answer
    app.teardown_request(measuring.forget)
    app.before_request(inbound.identify)
    app.before_request(inbound.receive)
    app.after_request(outbound)
    mlflow.register(app)
    rest.register(app)
    app.register_blueprint(health)
    app.register_blueprint(prometheus)
    app.register_blueprint(docs)
    app.register_error_handler(RegistryError, refuse)
    app.register_error_handler(HTTPException, refuse_http)
    app.register_error_handler(DBAPIError, refuse_database)
    app.register_error_handler(PoolTimeoutError, refuse_database)
    app.register_error_handler(ParseException, refuse_malformed)
    app.register_error_handler(NoMoreData, refuse_malformed)
    app.register_error_handler(Exception, refuse_fault)


def outbound(response: Response) -> Response:
    """What every answer bears."""
    inbound.give_receipts(response)
    headers = response.headers
    said = {name.lower() for name, _ in headers}
    headers.add("X-Request-ID", g.request_id)
    for name, value in SAFE_HEADERS.items():
        if name.lower() not in said:
            headers.add(name, value)
    if request.method == "OPTIONS" and response.status_code == OK:
        response.status_code = NO_CONTENT  # Flask's own answer is an empty page
    if response.status_code == NO_CONTENT:
        response.headers.pop("Content-Type", None)
    return response


def speaks_mlflow() -> bool:
    """Whether the request points at the MLflow face."""
    return request.path.startswith(MLFLOW_PREFIXES)


def refuse(error: RegistryError) -> Response:
    """Render a refusal that reached no face, in the words of the one it was meant for."""
    return mlflow.refuse(error) if speaks_mlflow() else rest.refuse(error)


def refuse_http(error: HTTPException) -> Response:
    """Render what the web server itself refuses; what it says about verbs and waiting goes along."""
    response = mlflow.refuse_http(error) if speaks_mlflow() else rest.refuse_http(error)
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After"}:
            response.headers[name] = value
    return response


def refuse_database(error: Exception) -> Response:
    """A fault of the database: passing ones are said to be so, others are ours."""
    refusal = translate(error)
    return refuse_fault(error) if refusal is None else refuse(refusal)


def refuse_malformed(_: Exception) -> Response:
    """A body that the web server cannot take apart: what it found there instead is neither shown nor written down."""
    return refuse_http(BadRequest("The body is not complete, or its chunks are malformed."))


def refuse_fault(error: Exception) -> Response:
    """A fault of ours: written to the log with its trace, answered without."""
    log_fault(error)
    said = "The service failed. The fault is written down under the request id; please report it."
    return refuse_http(InternalServerError(said))


def log_fault(error: Exception) -> None:
    """Write a fault down where operators look, under the id that the caller was given."""
    current_app.logger.error("request %s failed", g.get("request_id"), exc_info=error)
