"""What the registry refuses, in its own words. No status codes: each face maps these classes to its wire.

The texts of missing and duplicate things are those that MLflow clients and scripts already match on.
"""


class RegistryError(Exception):
    """Base of everything that the registry refuses; `message` says what to do and is safe to show."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def rule(self) -> str:
        """What to call the rule that refuses, for those who count: the class in small letters, as `stage-empty`."""
        name = type(self).__name__
        return "".join("-" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("-")


class Invalid(RegistryError):
    """The request makes no sense, whatever the state of the registry. `field` names the culprit if there is one."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class Unauthenticated(RegistryError):
    """No credential, or one that is unknown, expired or revoked."""


class TooManyAttempts(RegistryError):
    """Too many credentials that open no door came from here, or this one too often. Good ones still pass.

    After `retry_after` seconds another attempt is looked at.
    """

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Forbidden(RegistryError):
    """The principal is known but lacks the `permission`, for the `model` if one is named."""

    def __init__(self, message: str, permission: str | None = None, model: str | None = None) -> None:
        super().__init__(message)
        self.permission = permission
        self.model = model


class NotFound(RegistryError):
    """The thing named does not exist, or was deleted."""


class ModelNotFound(NotFound):
    """No registered model of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Registered Model with name={name} not found")


class VersionNotFound(NotFound):
    """No such version of this model, or no such model."""

    def __init__(self, name: str, number: int) -> None:
        super().__init__(f"Model Version (name={name}, version={number}) not found")


class NoVersions(NotFound):
    """The model exists but has no version, so it has no latest one."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Latest version not found for model {name}.")


class StageEmpty(NotFound):
    """The model exists but none of its versions is in this stage."""

    def __init__(self, name: str, stage: str) -> None:
        super().__init__(f"No versions of model with name '{name}' and stage '{stage}' found")


class AliasNotFound(NotFound):
    """The model exists but has no such alias."""

    def __init__(self, alias: str) -> None:
        super().__init__(f"Registered model alias {alias} not found.")


class TagNotFound(NotFound):
    """The model or version exists but has no such tag."""

    def __init__(self, key: str) -> None:
        super().__init__(f"Tag {key} not found.")


class CommentNotFound(NotFound):
    """No comment of this number on this subject."""

    def __init__(self, comment_id: int) -> None:
        super().__init__(f"Comment {comment_id} not found.")


class TokenNotFound(NotFound):
    """No token of this number."""

    def __init__(self, token_id: int) -> None:
        super().__init__(f"Token {token_id} not found.")


class GrantNotFound(NotFound):
    """No grant of this number."""

    def __init__(self, grant_id: int) -> None:
        super().__init__(f"Grant {grant_id} not found.")


class PrincipalNotFound(NotFound):
    """Nobody of this name has, or ever had, a token or signed in."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no principal called '{name}'. It comes into being with its first token or sign-in.")


class NotInTrash(NotFound):
    """Nothing deleted of this id or number: it never was, is not deleted, or was purged."""


class NothingToErase(NotFound):
    """No text is there of what was named, or it was erased already."""


class Purged(NotFound):
    """The version was there, and was removed for good; the audit log still describes it."""

    def __init__(self, name: str, number: int) -> None:
        super().__init__(
            f"Version {number} of '{name}' was purged: what it was can no longer be served. The audit log still "
            "describes it."
        )


class AlreadyExists(RegistryError):
    """The name is taken."""


class Conflict(RegistryError):
    """The state of the registry is not the one that the caller expects.

    `details` says by name what it is instead (`holders=[…]`), for programs; where a face has room for it, it shows it.
    """

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.details = details


class PreconditionFailed(Conflict):
    """The thing that a change was meant for is gone, or no longer what the caller has seen."""


class InFlight(Conflict):
    """A request with the same idempotency key is under way. After `retry_after` seconds its answer may be there."""

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class KeyReused(RegistryError):
    """An idempotency key that already stands for another request."""


class Unavailable(RegistryError):
    """The database cannot answer now. Trying again after `retry_after` seconds may succeed; nothing was changed."""

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Uncertain(Unavailable):
    """The database went away while it was asked to keep a change, and nobody can say yet whether it did."""

    def __init__(self) -> None:
        super().__init__(
            "The database went away at the last moment, and it is not known whether the change was made. Look before "
            "you ask for it again, unless the request has an Idempotency-Key: with the same key it is done only once."
        )
