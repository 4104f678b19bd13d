"""The closed sets of words that every part shares: stages, roles, permissions, and what audit events are called.

The audit actions stand again, in SQL, in the capture trigger of the migrations; a test compares both.
"""

from enum import StrEnum


class Stage(StrEnum):
    """Where a model version stands. Source: MLflow's model version stages."""

    NONE = "None"
    """Registered, not yet promoted."""
    STAGING = "Staging"
    """Being tried out."""
    PRODUCTION = "Production"
    """Serving its users."""
    ARCHIVED = "Archived"
    """Retired, kept for the record."""

    @property
    def is_active(self) -> bool:
        """Whether a transition into this stage may archive the versions already there (MLflow's rule)."""
        return self in {Stage.STAGING, Stage.PRODUCTION}


class Role(StrEnum):
    """What a principal is trusted with; `registry.domain.access` says which permissions each role has.

    A grant gives a role to a principal or a group; a token has one that its holder cannot go beyond.
    """

    VIEWER = "viewer"
    """Reads everything."""
    CONTRIBUTOR = "contributor"
    """Registers models and versions, describes, tags, comments, and moves versions outside Production."""
    APPROVER = "approver"
    """Also promotes to and out of Production, sets aliases, renames and deletes."""
    ADMINISTRATOR = "administrator"
    """Also manages tokens and grants, and restores or purges what was deleted."""


class Effect(StrEnum):
    """What a grant does with the permissions that it names."""

    ALLOW = "allow"
    """Gives them."""
    DENY = "deny"
    """Takes them away, whoever gave them."""


class Permission(StrEnum):
    """A right that a domain function asks for before it acts."""

    READ = "read"
    """See models, versions and the audit log."""
    REGISTER = "register"
    """Create registered models and model versions."""
    DESCRIBE = "describe"
    """Change descriptions and tags."""
    COMMENT = "comment"
    """Write comments, and edit or delete one's own."""
    TRANSITION = "transition"
    """Move versions between the stages None, Staging and Archived."""
    PROMOTE = "promote"
    """Move versions into or out of Production."""
    ALIAS = "alias"
    """Set and unset aliases."""
    RENAME = "rename"
    """Give a registered model another name."""
    DELETE = "delete"
    """Delete registered models and model versions."""
    ADMINISTER = "administer"
    """Manage tokens and grants; see, restore and purge what was deleted. Over all models or not at all."""


class Action(StrEnum):
    """What an audit event says was done, as `subject.verb`."""

    MODEL_CREATE = "registered_model.create"
    MODEL_RENAME = "registered_model.rename"
    MODEL_DESCRIBE = "registered_model.describe"
    MODEL_DELETE = "registered_model.delete"
    MODEL_RESTORE = "registered_model.restore"
    MODEL_PURGE = "registered_model.purge"
    MODEL_UPDATE = "registered_model.update"
    MODEL_TAG_SET = "registered_model_tag.set"
    MODEL_TAG_UNSET = "registered_model_tag.unset"
    VERSION_CREATE = "model_version.create"
    VERSION_DESCRIBE = "model_version.describe"
    VERSION_TRANSITION = "model_version.transition"
    VERSION_DELETE = "model_version.delete"
    VERSION_RESTORE = "model_version.restore"
    VERSION_PURGE = "model_version.purge"
    VERSION_UPDATE = "model_version.update"
    VERSION_TAG_SET = "model_version_tag.set"
    VERSION_TAG_UNSET = "model_version_tag.unset"
    ALIAS_SET = "alias.set"
    ALIAS_UNSET = "alias.unset"
    COMMENT_CREATE = "comment.create"
    COMMENT_EDIT = "comment.edit"
    COMMENT_DELETE = "comment.delete"
    PRINCIPAL_CREATE = "principal.create"
    PRINCIPAL_UPDATE = "principal.update"
    PRINCIPAL_DELETE = "principal.delete"
    GRANT_CREATE = "grant.create"
    GRANT_DELETE = "grant.delete"
    TOKEN_CREATE = "token.create"  # noqa: S105 (the name of an event)
    TOKEN_REVOKE = "token.revoke"  # noqa: S105
    TOKEN_UPDATE = "token.update"  # noqa: S105
    TOKEN_DELETE = "token.delete"  # noqa: S105
    TOKEN_REFUSE = "token.refuse"  # noqa: S105
    ACCESS_REFUSE = "access.refuse"
    AUDIT_EXPORT = "audit.export"
    SYSTEM_DDL = "system.ddl"
    AUDIT_ERASE = "audit.erase"
    SYSTEM_RESTORE = "system.restore"
    SYSTEM_IMPORT = "system.import"


OPERATOR = "operator"
"""The actor of what commands do that work on the database directly: whoever has a shell on the service's machine."""

SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""What every answer says to a browser, unless it says otherwise itself: not to guess, keep, run, frame or share it."""
HTTP_PROBLEMS = {
    400: "bad-request",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    408: "request-timeout",
    411: "length-required",
    413: "request-entity-too-large",
    414: "uri-too-long",
    415: "unsupported-media-type",
    417: "expectation-failed",
    431: "request-header-fields-too-large",
    500: "internal-server-error",
    501: "not-implemented",
}
"""What refusals are called in which the registry itself has no part, by HTTP status: programs rely on these words."""


def http_problem(status: int) -> str:
    """What to call a refusal with this status; of one that has no word of its own, only whose fault it is."""
    fault = 500
    return HTTP_PROBLEMS.get(status) or HTTP_PROBLEMS[400 if status < fault else fault]
