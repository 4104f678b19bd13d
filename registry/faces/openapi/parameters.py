"""The parameters that do not stand in the schema of a query: variable parts of paths, and headers."""

from typing import Any

from registry.domain import names
from registry.faces.openapi.routes import Route
from registry.vocabulary import Stage

CREATED = 201
ID = {"type": "integer", "minimum": 1}

PATH: dict[str, tuple[str, dict[str, Any]]] = {
    "name": ("The name of the registered model.", {"type": "string", "minLength": 1, "maxLength": names.NAME_MAX}),
    "number": ("The number of the version.", ID),
    "stage": ("The stage, by its exact name.", {"type": "string", "enum": [str(stage) for stage in Stage]}),
    "alias": ("The alias.", {"type": "string", "minLength": 1, "maxLength": names.ALIAS_MAX}),
    "key": (
        "The key of the tag. Slashes in it are part of the key.",
        {"type": "string", "minLength": 1, "maxLength": names.TAG_KEY_MAX},
    ),
    "comment_id": ("The id of the comment.", ID),
    "position": ("The position of the event in the whole log, from 0.", {"type": "integer", "minimum": 0}),
    "model_id": ("The id of the deleted model.", ID),
    "grant_id": ("The id of the grant.", ID),
    "token_id": ("The id of the token.", ID),
}
"""What every variable part of a path means, by its name."""

REQUEST_ID = (
    "An id under which the request is found in the service's log and in the audit log: letters, digits and `._:/+=-`, "
    "at most 128. Anything else is replaced by an id of the service's own."
)
REASON = (
    "Why the caller changes something, for the audit log; percent-encoded UTF-8 where it is not ASCII. At most "
    f"{names.REASON_MAX} characters. A `reason` in the body takes precedence."
)
IDEMPOTENCY_KEY = (
    "A key of the caller's own for this request, such as a UUID. Whoever sends the same request again under the same "
    "key, within 24 hours, gets the same answer again and changes nothing."
)
IF_MATCH = (
    "The `ETag` that the resource had when the caller read it: the change is made only to that state, and refused with "
    "412 otherwise. `*` stands for any state."
)
IF_NONE_MATCH = (
    "A GET answers 304 without a body where the `ETag` is this one. A change is refused with 412 where the resource is "
    "in this state; with `*`, where it is there at all."
)
RECEIPT = (
    "The `Audit-Receipt` of an earlier change, or several with commas between them: the answer is at least as new as "
    "that. Without it, where the service has a replica of its database, an answer may be some seconds old."
)
HEADERS: dict[str, tuple[str, dict[str, Any]]] = {
    "X-Request-ID": (REQUEST_ID, {"type": "string"}),
    "X-Registry-Reason": (REASON, {"type": "string"}),
    "Idempotency-Key": (IDEMPOTENCY_KEY, {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}),
    "If-Match": (IF_MATCH, {"type": "string"}),
    "If-None-Match": (IF_NONE_MATCH, {"type": "string"}),
    "Audit-Receipt": (RECEIPT, {"type": "string"}),
}
"""Headers that requests may bear."""

ANSWER_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "description": "The id of the request, as in the logs.",
        "required": True,
        "schema": {"type": "string", "minLength": 1, "maxLength": 128},
    },
    "Location": {
        "description": "Where the new thing is.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "ETag": {
        "description": "Stands for the content of the resource; for `If-Match` and `If-None-Match`.",
        "required": True,
        "schema": {"type": "string", "minLength": 2},
    },
    "Idempotency-Replayed": {
        "description": "Is there, with the value `true`, where the answer is that of an earlier request.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Audit-Receipt": {
        "description": "The events of the audit log that the change wrote, `stream/seq/hash`, separated by commas: of "
        "each stream the last one, whose line names the hash of the one before; of 16 streams at most. Absent where "
        "nothing was changed. Whoever keeps it can prove later that the event was there.",
        "schema": {"type": "string"},
    },
    "Content-Disposition": {
        "description": "The name of the file, where the answer is one.",
        "schema": {"type": "string"},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate.",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
    },
    "Retry-After": {
        "description": "After how many seconds to try again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
}
"""Headers that answers bear."""


def path_parameters(route: Route) -> list[dict[str, Any]]:
    """The variable parts of a path."""
    return [path_parameter(kind, name) for kind, name in route.parts]


def path_parameter(kind: str, name: str) -> dict[str, Any]:
    """One variable part of a path."""
    description, schema = PATH.get(name, ("", ID if kind == "int" else {"type": "string"}))
    return {"in": "path", "name": name, "required": True, "description": description, "schema": schema}


def header_parameters(route: Route) -> list[str]:
    """The headers that a request may bear, by the names of their components."""
    conditions = ["If-None-Match"] if route.verb == "get" else ["If-Match", "If-None-Match"]
    return [
        "X-Request-ID",
        *(["X-Registry-Reason"] if route.writes else []),
        *(["Idempotency-Key"] if route.is_idempotent_by_key else []),
        *(conditions if route.is_conditional else []),
        *(["Audit-Receipt"] if route.operation.replica else []),
    ]


def answer_headers(route: Route) -> dict[str, Any]:
    """The headers that the answer of success bears, each by the name of its component, which is its own."""
    found = [
        "X-Request-ID",
        *(["Audit-Receipt"] if route.writes else []),
        *(["Location"] if route.operation.status == CREATED else []),
        *(["Idempotency-Replayed"] if route.is_idempotent_by_key else []),
        *(["Content-Disposition"] if route.operation.files else []),
    ]
    return {name: name for name in found} | etag(route)


def etag(route: Route) -> dict[str, Any]:
    """The ETag, where the answer is what a GET of the resource says."""
    shows = route.verb in {"get", "patch"} or route.operation.status == CREATED
    if not (route.is_rest and shows and route.operation.answer) or route.is_secret or route.is_text:
        return {}
    # A file is sent piece by piece: its content is not known when it begins.
    return {"ETag": ANSWER_HEADERS["ETag"] | {"required": False} if route.operation.files else "ETag"}
