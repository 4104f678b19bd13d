"""What the service answers, as frozen values. Times are aware; stages and roles are words, as the service writes them.

`document` is the JSON as it came: what a newer service adds to an answer is found there. `etag` is for `if_match`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What all answers have."""

    document: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    etag: str | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor(Answer):
    """Who did something: a stable id, and what it is called today."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder(Answer):
    """Who stands in a stage, since when, and who moved it there; part of a conflict."""

    version: int
    since: datetime
    by: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Version(Answer):
    """A model version; `version` is its number, `name` that of its model."""

    name: str
    version: int
    stage: str
    source: str
    run_id: str | None = None
    run_link: str | None = None
    logged_model_id: str | None = None
    digest: str | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    created_at: datetime
    updated_at: datetime
    created_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model(Answer):
    """A registered model with the newest version of each stage."""

    id: int
    name: str
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)
    latest_versions: tuple[Version, ...] = ()
    created_at: datetime
    updated_at: datetime
    created_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved(Answer):
    """The version that a URI names. `since`, `by`: when it came into its stage, and who moved it there."""

    name: str
    version: int
    stage: str
    source: str
    download_uri: str
    run_id: str | None = None
    logged_model_id: str | None = None
    digest: str | None = None
    since: datetime
    by: Actor
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenure(Answer):
    """From when until when (None: it lasts) a version stood in a stage."""

    version: int
    stage: str
    since: datetime
    until: datetime | None = None
    by: Actor
    reason: str | None = None
    ended_by: Actor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition(Answer):
    """One move of a version. `from_stage` is None for its registration, `to_stage` None for its deletion."""

    version: int
    from_stage: str | None = field(default=None, metadata={"key": "from"})
    to_stage: str | None = field(default=None, metadata={"key": "to"})
    at: datetime
    by: Actor
    reason: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment(Answer):
    """A signed remark on a model or a version."""

    id: int
    author: str
    author_name: str | None = None
    text: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Answer):
    """An audit event. `changes`: `{field: [before, after]}`; `line` is the stored line, whose hash is `hash`.

    `position`: where it stands in the whole log; None until it is sealed.
    """

    at: datetime
    actor: Actor
    action: str
    subject: str | None = None
    model: str | None = None
    version: int | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    request_id: str | None = None
    credential: str | None = None
    stream: str
    seq: int
    hash: str | None = None
    position: int | None = None
    line: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller(Answer):
    """Whom the service takes us for; `role`: the highest one that it has over all models, if any."""

    id: str
    name: str
    role: str | None = None
    groups: tuple[str, ...] = ()
    credential: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token(Answer):
    """What may be known about a token; `name` is its principal's.

    It is good for no more than its role, `models` (patterns of names) and moves to `stages`; None: all.
    """

    id: int
    name: str
    role: str
    models: tuple[str, ...] | None = None
    stages: tuple[str, ...] | None = None
    description: str | None = None
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken(Token):
    """A token just made, with its secret, which is shown this once; and the grant that came along with it, if any."""

    grant_id: int | None = None
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant(Answer):
    """Permissions that a principal or a group is given or denied, on the models of a pattern.

    With stages, moves only from or to these. The grant of a model's owner has the role `owner`.
    """

    id: int
    principal: str | None = None
    group: str | None = None
    effect: str
    role: str | None = None
    permissions: tuple[str, ...] | None = None
    pattern: str
    model_id: int | None = None
    stages_from: tuple[str, ...] | None = None
    stages_to: tuple[str, ...] | None = None
    description: str | None = None
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantAtWork(Answer):
    """A grant as it decides something; `id` is None for one that the service has from its settings."""

    id: int | None = None
    effect: str
    role: str | None = None
    permissions: tuple[str, ...] = ()
    pattern: str
    stages_from: tuple[str, ...] | None = None
    stages_to: tuple[str, ...] | None = None
    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation(Answer):
    """Whether something may be done; by which grant it may, or may not; what is missing, and who could give it."""

    allowed: bool
    because: GrantAtWork | None = None
    missing: str | None = None
    who_could: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrashedModel(Answer):
    """A deleted model that can be restored; `versions` is how many it had."""

    id: int
    name: str
    deleted_at: datetime
    deleted_by: Actor | None = None
    reason: str | None = None
    versions: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrashedVersion(Answer):
    """A deleted version of a model that is still there; it can be restored."""

    model_id: int
    name: str
    version: int
    stage: str | None = None
    deleted_at: datetime
    deleted_by: Actor | None = None
    reason: str | None = None
