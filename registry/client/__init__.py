"""A client of the registry: `Client(url, token)` has a method for each thing that people and programs do.

    with Client("https://registry.example", token="mreg_...") as registry:
        made = registry.register_version("Churn", "s3://models/churn/7")
        registry.transition("Churn", made.version, "Production", archive_existing=True, expected_current=6)

It imports neither Flask nor SQLAlchemy, nor any other part of the service.
"""

from registry.client.address import DEFAULT_URL
from registry.client.answers import (
    Actor,
    Answer,
    Caller,
    Comment,
    Event,
    Explanation,
    Grant,
    GrantAtWork,
    Holder,
    IssuedToken,
    Model,
    Resolved,
    Tenure,
    Token,
    Transition,
    TrashedModel,
    TrashedVersion,
    Version,
)
from registry.client.base import UNSET, Unset
from registry.client.client import Client
from registry.client.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    ServiceError,
    Unauthenticated,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)
from registry.client.pages import Pages
from registry.client.watch import Watch

__all__ = [
    "DEFAULT_URL",
    "UNSET",
    "Actor",
    "Answer",
    "Caller",
    "Client",
    "Comment",
    "Conflict",
    "Event",
    "Explanation",
    "Forbidden",
    "Grant",
    "GrantAtWork",
    "Holder",
    "Invalid",
    "IssuedToken",
    "Model",
    "NotFound",
    "Pages",
    "PreconditionFailed",
    "Resolved",
    "ServiceError",
    "Tenure",
    "Token",
    "Transition",
    "TrashedModel",
    "TrashedVersion",
    "Unauthenticated",
    "Unavailable",
    "UnexpectedAnswer",
    "Unreachable",
    "Unset",
    "Version",
    "Watch",
]
