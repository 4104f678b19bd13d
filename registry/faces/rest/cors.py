"""Pages of other origins that may call `/api/v1` from a browser (CORS): those in the settings, and by default none.

A page sends its token itself, in `Authorization`; cookies and other things that a browser adds by itself play no part.
"""

from collections.abc import Collection

from flask import Flask, Response, request
from flask_cors import CORS

TAKEN = (
    "Audit-Receipt",
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "X-Request-ID",
)
TAKEN_TOO = ("X-Registry-Reason", "traceparent", "tracestate")
SHOWN = ("Audit-Receipt", "ETag", "Idempotency-Replayed", "Location", "Retry-After", "X-Request-ID")
PREFLIGHT_SECONDS = 600


def allow(app: Flask, prefix: str, origins: Collection[str]) -> None:
    """Let pages of these origins use what is under the prefix."""
    if not origins:
        return
    CORS(
        app,
        resources={prefix + "/.*": {"origins": sorted(origins)}},
        methods=["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"],
        allow_headers=[*TAKEN, *TAKEN_TOO],
        expose_headers=list(SHOWN),
        supports_credentials=False,
        max_age=PREFLIGHT_SECONDS,
        always_send=False,
        intercept_exceptions=False,  # refusals and faults pass through after_request like all answers
        vary_header=False,  # it would say so only to those who are let in
    )

    def vary(response: Response) -> Response:
        if request.path.startswith(prefix + "/"):
            response.vary.add("Origin")
        return response

    app.after_request(vary)
