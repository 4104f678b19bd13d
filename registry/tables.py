"""The tables of the registry (not "models.py": here a model is a thing that predicts).

The migrations make them; a test compares both. Rows of the log, `audit.*`, and the intervals are written by the
database alone and are only read here.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import UserDefinedType

from registry.vocabulary import Effect, Permission, Role, Stage


class Xid8(UserDefinedType[str]):
    """PostgreSQL's 64-bit transaction number, which SQLAlchemy does not know."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The name of the type in DDL."""
        return "xid8"


LIVE = text("deleted_at IS NULL")
DELETED = text("deleted_at IS NOT NULL")
IN_TRASH = text("deleted_at IS NOT NULL AND purged_at IS NULL")
OPEN = text("until IS NULL")
OWNERS = text("model_id IS NOT NULL")
BYTEWISE = Text(collation="C")


def words_in(table: str, *columns: str, **options: Any) -> Index:
    """An index of the words in texts; `registry.lexemes` says what a word is."""
    texts = (text(f"registry.lexemes({column})") for column in columns)
    return Index(f"ix_{table}_words", *texts, postgresql_using="gin", **options)


class Base(DeclarativeBase):
    """What every table is made from: PostgreSQL schema `registry` unless it says otherwise, times with time zone."""

    metadata = MetaData(
        schema="registry",
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
        },
    )
    type_annotation_map = {  # noqa: RUF012 (SQLAlchemy's own declaration)
        datetime: DateTime(timezone=True),
        int: BigInteger,
        str: Text,
        bytes: LargeBinary,
    }


def one_of(column: str, words: Iterable[str]) -> CheckConstraint:
    """A check that a column holds one of a closed set of words."""
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def some_of(column: str, words: Iterable[str]) -> CheckConstraint:
    """A check that a column holds an array of some of a closed set of words, or nothing."""
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} <@ ARRAY[{listed}] AND cardinality({column}) > 0", name=column)


class Principal(Base):
    """Somebody or something that acts. `issuer` and `subject`: who vouches for it, and as whom."""

    __tablename__ = "principals"
    __table_args__ = (
        UniqueConstraint("issuer", "subject"),
        CheckConstraint("num_nulls(issuer, subject) <> 1", name="subject"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(BYTEWISE, unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    issuer: Mapped[str | None] = mapped_column(BYTEWISE)
    subject: Mapped[str | None] = mapped_column(BYTEWISE)


class Token(Base):
    """A credential of a principal; only its SHA-256 digest is kept."""

    __tablename__ = "tokens"
    __table_args__ = (
        one_of("role", Role),
        some_of("stages", Stage),
        CheckConstraint("cardinality(models) > 0", name="models"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    principal_id: Mapped[int] = mapped_column(ForeignKey(Principal.id), index=True)
    role: Mapped[str]
    models: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    stages: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    digest: Mapped[bytes] = mapped_column(unique=True)
    from_settings: Mapped[bool] = mapped_column(server_default=text("false"))
    description: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]

    principal: Mapped[Principal] = relationship(lazy="raise")


class RegisteredModel(Base):
    """A named line of model versions. `last_number` is the highest number ever given under this name.

    The row of a purged model stays, so that its numbers are never given again.
    """

    __tablename__ = "registered_models"
    __table_args__ = (
        Index("uq_registered_models_name", "name", unique=True, postgresql_where=LIVE),
        Index("ix_registered_models_updated_at", "updated_at", "name", postgresql_where=LIVE),
        Index("ix_registered_models_deleted_at", "deleted_at", "id", postgresql_where=IN_TRASH),
        CheckConstraint("last_number >= 0", name="last_number"),
        CheckConstraint("purged_at IS NULL OR deleted_at IS NOT NULL", name="purged_at"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(BYTEWISE)
    description: Mapped[str | None]
    last_number: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    created_by: Mapped[str]
    deleted_at: Mapped[datetime | None]
    purged_at: Mapped[datetime | None]

    tags: Mapped[list["RegisteredModelTag"]] = relationship(
        lazy="raise", order_by="RegisteredModelTag.key", passive_deletes="all"
    )
    aliases: Mapped[list["Alias"]] = relationship(lazy="raise", order_by="Alias.alias", passive_deletes="all")


class ModelWords(Base):
    """The words of a live model; written by the database alone.

    They lie apart from the model's row, which each change under the model moves: their index stays as it is then.
    """

    __tablename__ = "model_words"
    __table_args__ = (Index(None, "name", "description", postgresql_using="gin"),)

    model_id: Mapped[int] = mapped_column(ForeignKey(RegisteredModel.id), primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(TSVECTOR)
    description: Mapped[str | None] = mapped_column(TSVECTOR)


class Grant(Base):
    """Permissions that a principal or a group is given or denied, on models of a pattern, or on the one it owns."""

    __tablename__ = "grants"
    __table_args__ = (
        CheckConstraint("num_nonnulls(principal_id, group_name) = 1", name="holder"),
        CheckConstraint("num_nonnulls(role, permissions) = 1", name="what"),
        CheckConstraint("effect = 'allow' OR role IS NULL", name="deny"),
        CheckConstraint("(role = 'owner') IS TRUE = (model_id IS NOT NULL)", name="owner"),
        one_of("effect", Effect),
        one_of("role", [*Role, "owner"]),
        some_of("permissions", Permission),
        some_of("stages_from", Stage),
        some_of("stages_to", Stage),
        Index("ix_grants_principal_id", "principal_id", postgresql_where=text("model_id IS NULL")),
        Index("ix_grants_owner", "principal_id", postgresql_where=OWNERS),
        Index("ix_grants_group_name", "group_name", postgresql_where=text("group_name IS NOT NULL")),
        Index("uq_grants_model_id", "model_id", "principal_id", unique=True, postgresql_where=OWNERS),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    principal_id: Mapped[int | None] = mapped_column(ForeignKey(Principal.id))
    group_name: Mapped[str | None] = mapped_column(BYTEWISE)
    effect: Mapped[str]
    role: Mapped[str | None]
    permissions: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    pattern: Mapped[str] = mapped_column(BYTEWISE, server_default=text("'*'"))
    model_id: Mapped[int | None] = mapped_column(ForeignKey(RegisteredModel.id))
    stages_from: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    stages_to: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    description: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    created_by: Mapped[str]


class ModelVersion(Base):
    """One build of a registered model, numbered by the registry from 1."""

    __tablename__ = "model_versions"
    __table_args__ = (
        one_of("stage", Stage),
        CheckConstraint("number >= 1", name="number"),
        Index("ix_model_versions_stage", "model_id", "stage", "number", postgresql_where=LIVE),
        Index("ix_model_versions_run_id", "run_id", postgresql_where=LIVE),
        Index("ix_model_versions_deleted_at", "deleted_at", "model_id", "number", postgresql_where=DELETED),
        Index(
            "ix_model_versions_updated_at",
            text("updated_at DESC"),
            "model_id",
            "number",
            postgresql_where=LIVE,
        ),
        words_in(__tablename__, "description", postgresql_where=text("deleted_at IS NULL AND description <> ''")),
    )

    model_id: Mapped[int] = mapped_column(ForeignKey(RegisteredModel.id), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    stage: Mapped[str] = mapped_column(server_default=text("'None'"))
    source: Mapped[str]
    run_id: Mapped[str] = mapped_column(BYTEWISE, server_default=text("''"))
    run_link: Mapped[str] = mapped_column(server_default=text("''"))
    logged_model_id: Mapped[str | None]
    digest: Mapped[str | None]
    storage_location: Mapped[str | None]
    description: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    created_by: Mapped[str]
    deleted_at: Mapped[datetime | None]

    model: Mapped[RegisteredModel] = relationship(lazy="raise")
    tags: Mapped[list["ModelVersionTag"]] = relationship(
        lazy="raise", order_by="ModelVersionTag.key", passive_deletes="all"
    )
    aliases: Mapped[list["Alias"]] = relationship(
        lazy="raise", order_by="Alias.alias", viewonly=True, foreign_keys="[Alias.model_id, Alias.number]"
    )


def version_key(table: str) -> ForeignKeyConstraint:
    """A reference to the model version that a row of `table` belongs to."""
    return ForeignKeyConstraint(
        ["model_id", "number"],
        [ModelVersion.model_id, ModelVersion.number],
        name=f"fk_{table}_model_id_model_versions",
    )


class RegisteredModelTag(Base):
    """A key with a value, on a registered model."""

    __tablename__ = "registered_model_tags"
    __table_args__ = (
        Index("ix_registered_model_tags_key", "key", text("left(value, 128)")),
        words_in(__tablename__, "key", "value"),
    )

    model_id: Mapped[int] = mapped_column(ForeignKey(RegisteredModel.id), primary_key=True)
    key: Mapped[str] = mapped_column(BYTEWISE, primary_key=True)
    value: Mapped[str] = mapped_column(BYTEWISE)


class ModelVersionTag(Base):
    """A key with a value, on a model version."""

    __tablename__ = "model_version_tags"
    __table_args__ = (
        version_key(__tablename__),
        Index("ix_model_version_tags_key", "key", text("left(value, 128)")),
        words_in(__tablename__, "key", "value"),
    )

    model_id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    key: Mapped[str] = mapped_column(BYTEWISE, primary_key=True)
    value: Mapped[str] = mapped_column(BYTEWISE)


class Alias(Base):
    """A movable name for one version of a model."""

    __tablename__ = "aliases"
    __table_args__ = (version_key(__tablename__), Index("ix_aliases_number", "model_id", "number"))

    model_id: Mapped[int] = mapped_column(ForeignKey(RegisteredModel.id), primary_key=True)
    alias: Mapped[str] = mapped_column(BYTEWISE, primary_key=True)
    number: Mapped[int] = mapped_column(Integer)


class Comment(Base):
    """A signed remark on a model version, or on the model itself where `number` is NULL."""

    __tablename__ = "comments"
    __table_args__ = (
        version_key(__tablename__),
        Index("ix_comments_subject", "model_id", "number", "id"),
        words_in(__tablename__, "text"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey(RegisteredModel.id))
    number: Mapped[int | None] = mapped_column(Integer)
    author: Mapped[str]
    text: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class IdempotencyKey(Base):
    """The answer to a request that a principal has sent under a key; `key` and `request` are SHA-256 digests."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        CheckConstraint("octet_length(key) = 32", name="key"),
        CheckConstraint("octet_length(request) = 32", name="request"),
        Index("ix_idempotency_keys_created_at", "created_at"),
    )

    principal: Mapped[str] = mapped_column(BYTEWISE, primary_key=True)
    key: Mapped[bytes] = mapped_column(primary_key=True)
    request: Mapped[bytes]
    status: Mapped[int] = mapped_column(Integer)
    headers: Mapped[dict[str, str]] = mapped_column(JSONB)
    body: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class FailedAttempts(Base):
    """How often a credential or an address failed before `expires_at`; `key` is a SHA-256 digest. Lost in a crash."""

    __tablename__ = "failed_attempts"
    __table_args__ = (
        CheckConstraint("octet_length(key) = 32", name="key"),
        Index("ix_failed_attempts_expires_at", "expires_at"),
        {"prefixes": ["UNLOGGED"], "postgresql_with": {"fillfactor": "50"}},
    )

    key: Mapped[bytes] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(Integer)
    expires_at: Mapped[datetime]


class StageInterval(Base):
    """From when until when a version stood in a stage; written by the database alone. Outlives a purged version."""

    __tablename__ = "stage_intervals"
    __table_args__ = (
        CheckConstraint("until > since", name="until"),
        Index("uq_stage_intervals_open", "model_id", "number", unique=True, postgresql_where=OPEN),
        Index("ix_stage_intervals_stage", "model_id", "stage", "number", "since"),
        Index("ix_stage_intervals_since", "model_id", "stage", "since", "number"),
        Index("ix_stage_intervals_holders", "model_id", "stage", "number", postgresql_where=OPEN),
    )

    model_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    stage: Mapped[str]
    since: Mapped[datetime] = mapped_column(primary_key=True)
    until: Mapped[datetime | None]
    opened_seq: Mapped[int]
    closed_seq: Mapped[int | None]


class AliasInterval(Base):
    """From when until when an alias named a version; written by the database alone."""

    __tablename__ = "alias_intervals"
    __table_args__ = (
        CheckConstraint("until > since", name="until"),
        Index("uq_alias_intervals_open", "model_id", "alias", unique=True, postgresql_where=OPEN),
    )

    model_id: Mapped[int] = mapped_column(ForeignKey(RegisteredModel.id), primary_key=True)
    alias: Mapped[str] = mapped_column(BYTEWISE, primary_key=True)
    number: Mapped[int] = mapped_column(Integer)
    since: Mapped[datetime] = mapped_column(primary_key=True)
    until: Mapped[datetime | None]
    opened_seq: Mapped[int]
    closed_seq: Mapped[int | None]


class NameInterval(Base):
    """From when until when a registered model had a name; written by the database alone."""

    __tablename__ = "name_intervals"
    __table_args__ = (
        CheckConstraint("until > since", name="until"),
        Index("uq_name_intervals_open", "name", unique=True, postgresql_where=OPEN),
        Index("ix_name_intervals_name", "name", "since"),
    )

    model_id: Mapped[int] = mapped_column(ForeignKey(RegisteredModel.id), primary_key=True)
    name: Mapped[str] = mapped_column(BYTEWISE)
    since: Mapped[datetime] = mapped_column(primary_key=True)
    until: Mapped[datetime | None]
    opened_seq: Mapped[int]
    closed_seq: Mapped[int | None]


FROM_BODY = "from_body"
"""In the `info` of a column: the SQL that makes it of the event's `body`."""


def from_body(key: str, kind: str = "text") -> dict[str, str]:
    """The `info` of a column that repeats what the JSON text of the event says under a key."""
    value = f"body::json ->> '{key}'"
    return {FROM_BODY: value if kind == "text" else f"({value})::{kind}"}


class AuditEvent(Base):
    """One line of the audit log. `body` is the truth; the other columns repeat what it says, for searching."""

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("stream", "seq", name="uq_event_stream"),
        CheckConstraint("octet_length(body) <= 65535", name="body"),
        Index("ix_event_at", "at_us", "id"),
        Index("ix_event_model", "model_id", "at_us", "id", "number"),
        Index("ix_event_actor", "actor", "at_us", "id"),
        Index("ix_event_action", "action", "at_us", "id"),
        Index("ix_event_request_id", "request_id"),
        Index("ix_event_object", "object", "at_us", "id"),
        {"schema": "audit"},
    )

    id: Mapped[int] = mapped_column(Identity(always=True, cache=1), primary_key=True)
    body: Mapped[str]
    hash: Mapped[bytes]
    stream: Mapped[str] = mapped_column(BYTEWISE, info=from_body("stream"))
    seq: Mapped[int] = mapped_column(info=from_body("seq", "bigint"))
    at_us: Mapped[int] = mapped_column(info=from_body("at_us", "bigint"))
    actor: Mapped[str] = mapped_column(BYTEWISE, info=from_body("actor"))
    action: Mapped[str] = mapped_column(BYTEWISE, info=from_body("action"))
    object: Mapped[str] = mapped_column(BYTEWISE, info=from_body("object"))
    model_id: Mapped[int | None] = mapped_column(info=from_body("model_id", "bigint"))
    number: Mapped[int | None] = mapped_column(Integer, info=from_body("version", "integer"))
    request_id: Mapped[str] = mapped_column(BYTEWISE, info=from_body("request_id"))


class PrivateText(Base):
    """A text of an event that is kept outside its hashed line, so that it can be erased."""

    __tablename__ = "private"
    __table_args__ = (
        CheckConstraint("side IN ('before', 'after')", name="side"),
        {"schema": "audit"},
    )

    event_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    field: Mapped[str] = mapped_column(primary_key=True)
    side: Mapped[str] = mapped_column(primary_key=True)
    salt: Mapped[bytes]
    content: Mapped[str]


class AuditStream(Base):
    """The head of each stream: its last sequence number, hash and time, and the transaction that wrote them."""

    __tablename__ = "stream"
    __table_args__: Any = ({"schema": "audit", "postgresql_with": {"fillfactor": "50"}},)

    stream: Mapped[str] = mapped_column(BYTEWISE, primary_key=True)
    seq: Mapped[int]
    head: Mapped[bytes]
    at_us: Mapped[int]
    xid: Mapped[str] = mapped_column(Xid8)


class AuditPending(Base):
    """An event that has no position yet: the sealer's queue."""

    __tablename__ = "pending"
    __table_args__: Any = ({"schema": "audit"},)

    event_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class AuditSeal(Base):
    """The position of an event in the whole log, from 0 and without gaps, and its leaf hash."""

    __tablename__ = "seal"
    __table_args__ = (
        CheckConstraint("position >= 0", name="position"),
        CheckConstraint("octet_length(leaf) = 32", name="leaf"),
        {"schema": "audit"},
    )

    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event_id: Mapped[int] = mapped_column(ForeignKey(AuditEvent.id), unique=True)
    leaf: Mapped[bytes]


class AuditCheckpoint(Base):
    """What the sealer signed: a note that says which root the log had under its origin at a size."""

    __tablename__ = "checkpoint"
    __table_args__ = (
        CheckConstraint("size >= 0", name="size"),
        Index("ix_checkpoint_created_at", "created_at", "size"),
        Index("ix_checkpoint_size", "size", "created_at"),
        {"schema": "audit"},
    )

    origin: Mapped[str] = mapped_column(BYTEWISE, primary_key=True)
    size: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    note: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class AuditSubtree(Base):
    """The root of a complete subtree of the log: the `number`th of those with 2 ** `height` leaves, from 0."""

    __tablename__ = "subtree"
    __table_args__ = (
        CheckConstraint("height > 0 AND height % 8 = 0", name="height"),
        CheckConstraint("number >= 0", name="number"),
        CheckConstraint("octet_length(hash) = 32", name="hash"),
        {"schema": "audit"},
    )

    height: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    hash: Mapped[bytes]


class AuditSealer(Base):
    """One row, no more: how the sealer is, and when it last said so."""

    __tablename__ = "sealer"
    __table_args__ = (
        CheckConstraint("one", name="one"),
        CheckConstraint("state IN ('sealing', 'refusing')", name="state"),
        {"schema": "audit"},
    )

    one: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    state: Mapped[str]
    why: Mapped[str | None]
    since: Mapped[datetime]
    seen_at: Mapped[datetime]


class AuditNoted(Base):
    """How many events of a kind were noted of an actor in its latest minute (counted from the epoch)."""

    __tablename__ = "noted"
    __table_args__: Any = ({"schema": "audit"},)

    actor: Mapped[str] = mapped_column(BYTEWISE, primary_key=True)
    action: Mapped[str] = mapped_column(BYTEWISE, primary_key=True)
    minute: Mapped[int]
    count: Mapped[int] = mapped_column(Integer)
