"""`Idempotency-Key` on a POST: the answer is kept with the change, and given again to whoever sends the same again.

Source: the IETF's draft on the Idempotency-Key header; what it leaves open is settled in `domain/idempotency.py`.
"""

import functools
import hashlib
from collections.abc import Mapping
from typing import Any

from flask import Response, current_app, g, jsonify, request

from registry.domain import idempotency
from registry.domain.idempotency import Answer
from registry.faces.face import View
from registry.faces.inbound import RECEIPT, REFUSED, change, give_receipts

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEPT_HEADERS = (RECEIPT, "Content-Type", "ETag", "Location")
KEPT_INSTEAD = "registry.kept_instead"


def once(view: View) -> View:
    """Do a POST at most once for each key of its principal."""

    @functools.wraps(view)
    def run(**path: Any) -> Any:
        if request.method != "POST" or HEADER not in request.headers:
            return view(**path)
        key, asked = request.headers[HEADER], request_digest()
        with change() as session:
            done = idempotency.claim(session, g.principal, key, asked)
            if done is not None:
                return replay(done)
            response = give_receipts(current_app.make_response(view(**path)))
            if response.status_code < REFUSED:
                idempotency.keep(session, g.principal, key, asked, answer_of(response))
            return response

    return run


def keep_as(payload: Mapping[str, Any]) -> None:
    """Keep this instead of the answer, which holds a secret: the database never has it, and no replay shows it.

    A view says so before it answers; `payload` is the answer with null in the place of the secret.
    """
    request.environ[KEPT_INSTEAD] = payload


def holds_secret() -> bool:
    """Whether the answer to this request is not one to keep."""
    return KEPT_INSTEAD in request.environ


def request_digest() -> bytes:
    """What makes this request the same as another one: verb, path, query and the bytes of the body."""
    parts = (request.method.encode(), request.path.encode(), request.query_string, request.get_data(cache=True))
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8))
        whole.update(part)
    return whole.digest()


def answer_of(response: Response) -> Answer:
    """What is kept of an answer."""
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    shown = jsonify(request.environ[KEPT_INSTEAD]) if holds_secret() else response
    return Answer(response.status_code, headers, shown.get_data())


def replay(answer: Answer) -> Response:
    """The answer again, marked as such."""
    request.environ["registry.outcome"] = "replayed"
    return Response(answer.body, answer.status, answer.headers | {REPLAYED: "true"})
