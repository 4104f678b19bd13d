"""Which tables the log speaks of, how a row is named there, and what of a row is not recorded, with the reason.

This is said a third time, after the capture triggers and the tables themselves, so that the replay leans on neither;
tests compare all three.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Captured:
    """A table whose every changed row is an event. `key`: its key columns, in the order of the object's name."""

    kind: str
    table: str
    key: tuple[str, ...]
    recorded: tuple[str, ...]
    not_recorded: Mapping[str, str] = field(default_factory=dict)
    """Columns, each with the reason why the log does not have it."""

    @property
    def columns(self) -> tuple[str, ...]:
        """What is compared: the key first."""
        return (*self.key, *self.recorded)


MOVES_ALONG = "moves along with every change, whose event has the time"
CAPTURED = (
    Captured(
        "registered_model",
        "registered_models",
        ("id",),
        ("name", "description", "created_at", "created_by", "deleted_at", "purged_at"),
        {"updated_at": MOVES_ALONG, "last_number": "follows from the versions created; checked against them"},
    ),
    Captured(
        "model_version",
        "model_versions",
        ("model_id", "number"),
        (
            "stage",
            "source",
            "run_id",
            "run_link",
            "logged_model_id",
            "digest",
            "storage_location",
            "description",
            "created_at",
            "created_by",
            "deleted_at",
        ),
        {"updated_at": MOVES_ALONG},
    ),
    Captured("registered_model_tag", "registered_model_tags", ("model_id", "key"), ("value",)),
    Captured("model_version_tag", "model_version_tags", ("model_id", "number", "key"), ("value",)),
    Captured("alias", "aliases", ("model_id", "alias"), ("number",)),
    Captured(
        "comment",
        "comments",
        ("id",),
        ("model_id", "number", "author", "text", "created_at"),
        {"updated_at": MOVES_ALONG},
    ),
    Captured("principal", "principals", ("id",), ("name", "created_at", "issuer", "subject")),
    Captured(
        "grant",
        "grants",
        ("id",),
        (
            "principal_id",
            "group_name",
            "effect",
            "role",
            "permissions",
            "pattern",
            "model_id",
            "stages_from",
            "stages_to",
            "description",
            "created_at",
            "created_by",
        ),
    ),
    Captured(
        "token",
        "tokens",
        ("id",),
        (
            "principal_id",
            "role",
            "models",
            "stages",
            "from_settings",
            "description",
            "created_at",
            "expires_at",
            "revoked_at",
        ),
        {
            "digest": "must not be readable: it stands for the secret",
            "last_used_at": "moves with use and is no change of anything",
        },
    ),
)
BY_KIND = {one.kind: one for one in CAPTURED}
