"""`/openapi.json`, the contract itself, and `/docs`, which shows it. They hold no data and are open to everybody.

The page is Swagger UI, from an installed package. Everything on it comes from this service, as sites without a way to
the outside need it, and the browser is told to hold it to that.
"""

import json
from importlib.resources import files
from pathlib import Path

from flask import Blueprint, Flask, Response, current_app, request, send_from_directory

from registry.faces.contract import operation
from registry.faces.openapi.document import document

docs = Blueprint("docs", __name__)

PAGE = Path(__file__).parent / "page"
SWAGGER_UI = Path(str(files("flask_swagger_ui"))) / "dist"
ASSETS = {
    "start.js": PAGE,
    "swagger-ui-bundle.js": SWAGGER_UI,
    "swagger-ui.css": SWAGGER_UI,
    "favicon-32x32.png": SWAGGER_UI,
}
"""The files of the page and where they are; there are no others."""

# Swagger UI sets styles on its elements and has its icons in its style sheet; scripts come from files alone.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


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


@docs.get("/docs", endpoint="docs", strict_slashes=False)
@operation("The contract for people", "A page that shows this document.", answer="text/html", secured=False)
def page() -> Response:
    """The page that shows the contract."""
    response = send_from_directory(PAGE, "index.html")
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    return response


@docs.get(f"/docs/<any({', '.join(map(repr, ASSETS))}):file>")
def asset(file: str) -> Response:
    """A file of the page."""
    return send_from_directory(ASSETS[file], file)
