"""`/openapi.json`: the contract itself. It holds no data and is open to everybody."""

import json

from flask import Blueprint, Flask, Response, current_app, request

from registry.faces.contract import operation
from registry.faces.openapi.document import document

docs = Blueprint("docs", __name__)


@docs.get("/openapi.json")
@operation("This document", "The contract of the service, as OpenAPI 3.1.", answer="application/json", secured=False)
def openapi() -> Response:
    """The contract; the ETag tells whether it has changed."""
    response = Response(text(current_app), mimetype="application/json")
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    return response.make_conditional(request)  # type: ignore[return-value]


def text(app: Flask) -> str:
    """The contract as JSON, made when it is first asked for."""
    if "contract" not in app.extensions:
        app.extensions["contract"] = json.dumps(document(app), ensure_ascii=False)
    made: str = app.extensions["contract"]
    return made
