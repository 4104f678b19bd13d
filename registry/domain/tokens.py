"""Tokens: how principals prove who they are. A token is shown once; the database keeps its SHA-256 digest.

A digest without salt or stretching is enough, because a token is not a password: it has 160 random bits. The prefix
`mreg_` lets secret scanners find a leaked one.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Select, and_, func, not_, or_, select, text, update
from sqlalchemy.orm import Session

from registry.config import Settings
from registry.db import ask_at_once, settings_of
from registry.domain import access, administrators, granted, names, paging, patterns, principals
from registry.domain.access import Principal, Scope
from registry.domain.paging import Key, Page
from registry.errors import Invalid, TokenNotFound
from registry.settled import Settled
from registry.tables import Grant, Token
from registry.tables import Principal as PrincipalRow
from registry.vocabulary import Effect, Permission, Role, Stage

PREFIX = "mreg_"
SECRET_BYTES = 20
NAME_MAX = 200
DESCRIPTION_MAX = 1_000
MODELS_MAX = 20
"""Most patterns that a token is narrowed to."""
FIRST_NAME = "admin"
CLOCKS_DIFFER = timedelta(minutes=5)
"""Callers reckon from the time that they have."""
NOTE_USE_EVERY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What may be known about a token.

    It is good for no more than `role`, for models of the patterns in `models` and for moves to `stages` (None: all).
    """

    id: int
    principal_name: str
    role: Role
    models: list[str] | None
    stages: list[Stage] | None
    description: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class IssuedToken(TokenInfo):
    """A token just made, with its secret, which is shown this once.

    `grant_id`: the grant of the role over all models that came along with it, to a principal that had none; None where
    the role only narrows what the principal is granted otherwise.
    """

    grant_id: int | None
    secret: str


def create(
    session: Session,
    principal: Principal,
    *,
    name: str,
    role: Role,
    models: Sequence[str] | None = None,
    stages: Sequence[Stage] | None = None,
    description: str | None = None,
    expires_at: datetime | None = None,
    with_grant: bool = False,
) -> IssuedToken:
    """Make a token for the principal called `name`, who is made too if there is none.

    Without `expires_at` it lasts as long as the settings say. To a principal that is made here the role is granted over
    all models; to one that is there only `with_grant`.

    :raises Forbidden: the principal may not make tokens.
    :raises Invalid: the name is blank or too long, a pattern or the list of stages is not right, the expiry has passed,
        or is later than the settings allow.
    """
    access.require(session, principal, Permission.ADMINISTER)
    if not name.strip():
        raise names.missing("name")
    names.check_text("name", name, NAME_MAX)
    names.check_text("description", description, DESCRIPTION_MAX)
    check_narrowing(models, stages)
    expires_at = expiry(settings_of(session), expires_at)
    narrowed: dict[str, Any] = {"models": models and [*models], "stages": stages and [*dict.fromkeys(map(str, stages))]}
    secret = PREFIX + secrets.token_hex(SECRET_BYTES)
    holder, is_new = principals.named(session, name)
    row = issue(session, holder, role, secret, description=description, expires_at=expires_at, **narrowed)
    grant_id = give_role(session, principal, holder, role) if is_new or with_grant else None
    shown = info(row, name)
    return IssuedToken(**{each: getattr(shown, each) for each in TokenInfo.__slots__}, grant_id=grant_id, secret=secret)


def expiry(settings: Settings, asked: datetime | None) -> datetime | None:
    """When a token made now expires, if ever.

    :raises Invalid: what is asked for has passed, or is later than the settings allow.
    """
    now, longest = datetime.now(UTC), settings.token_days_max
    if asked is None:
        days = settings.token_days or longest
        return now + timedelta(days=days) if days else None
    if asked <= now:
        raise Invalid("A token cannot expire in the past.", "expires_at")
    if longest and asked > now + timedelta(days=longest) + CLOCKS_DIFFER:
        raise Invalid(f"A token of this registry expires after {longest} days at the latest.", "expires_at")
    return asked


def check_narrowing(models: Sequence[str] | None, stages: Sequence[Stage] | None) -> None:
    """:raises Invalid: a pattern is not right, or a list has nothing in it, or too much."""
    for pattern in models or ():
        patterns.check("models", pattern)
    if models is not None and not 1 <= len(models) <= MODELS_MAX:
        raise Invalid(f"'models' has between 1 and {MODELS_MAX} patterns; leave it out for all models.", "models")
    if stages is not None and not stages:
        raise Invalid("'stages' has at least one stage; leave it out for all of them.", "stages")


def issue(session: Session, holder: int, role: Role, secret: str, **values: Any) -> Token:
    """Write the row of a token of the principal of this number."""
    row = Token(principal_id=holder, role=role, digest=digest(secret), **values)
    session.add(row)
    session.flush()  # the answer shows its id
    return row


def give_role(session: Session, principal: Principal, holder: int, role: Role) -> int | None:
    """Grant a role over all models to the principal of this number; None if it has just this grant already."""
    has = select(Grant.id).where(Grant.principal_id == holder, Grant.role == role, Grant.pattern == patterns.EVERYTHING)
    if session.scalar(has.where(Grant.stages_from.is_(None), Grant.stages_to.is_(None)).limit(1)) is not None:
        return None
    row = Grant(principal_id=holder, effect=Effect.ALLOW, role=role, created_by=principal.id)
    session.add(row)
    session.flush()  # the answer shows its id
    return row.id


def digest(secret: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(secret.encode(errors="surrogateescape")).digest()


def search(session: Session, principal: Principal, *, limit: int, token: str | None = None) -> Page[TokenInfo]:
    """Tokens, oldest first, without their secrets; those that are revoked or have expired too.

    :raises Forbidden: the principal may not see tokens.
    :raises Invalid: the page token is not one of this question.
    """
    access.require(session, principal, Permission.ADMINISTER)
    keys = [Key(Token.id)]
    mark = paging.fingerprint("tokens")
    question = with_name()
    if token:
        question = question.where(paging.after(keys, paging.decode(token, mark, keys)))
    found = [info(row, name) for row, name in session.execute(question.order_by(Token.id).limit(limit + 1))]
    return paging.cut(found, limit, mark, lambda one: [one.id])


def get(session: Session, principal: Principal, token_id: int) -> TokenInfo:
    """One token, without its secret.

    :raises Forbidden: the principal may not see tokens.
    :raises TokenNotFound: no such token.
    """
    access.require(session, principal, Permission.ADMINISTER)
    found = session.execute(with_name().where(Token.id == token_id)).one_or_none() if known(token_id) else None
    if found is None:
        raise TokenNotFound(token_id)
    row, name = found
    return info(row, name)


def hold(session: Session, principal: Principal) -> None:
    """Keep others from making and revoking administrators' tokens for as long as this transaction goes on.

    :raises Forbidden: the principal may not see tokens.
    """
    access.require(session, principal, Permission.ADMINISTER)
    administrators.take_turns(session)


def with_name() -> Select[Token, str]:
    """The question for tokens with the names of their principals."""
    return select(Token, PrincipalRow.name).join(Token.principal)


def known(token_id: int) -> bool:
    """Whether a number can be the id of a token."""
    return 1 <= token_id < 2**63


def info(row: Token, name: str) -> TokenInfo:
    """What may be known about a row."""
    return TokenInfo(
        id=row.id,
        principal_name=name,
        role=Role(row.role),
        models=row.models,
        stages=None if row.stages is None else [Stage(stage) for stage in row.stages],
        description=row.description,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )


def revoke(session: Session, principal: Principal, token_id: int) -> None:
    """Make a token worthless, at once; revoking it again changes nothing. One's own may be revoked as well.

    :raises Forbidden: the principal may not revoke tokens.
    :raises TokenNotFound: no such token.
    :raises Conflict: it is the last administrator's token, and not the operator asks, who can always make another.
    """
    access.require(session, principal, Permission.ADMINISTER)
    with administrators.one_stays(session, principal, f"Token {token_id} is the last administrator's token"):
        row = session.get(Token, token_id, with_for_update=True) if known(token_id) else None
        if row is None:
            raise TokenNotFound(token_id)
        if row.revoked_at is None:
            row.revoked_at = session.scalar(select(func.clock_timestamp()))


def ensure_administrator(session: Session, operator: Principal, given: str | None) -> str | None:
    """See to it that there is an administrator's token: the given one, or a new one if there is none at all.

    A given token replaces the one given at an earlier start. Returns the secret of a token made here, to be shown.

    :raises Forbidden: the operator may not make tokens.
    """
    access.require(session, operator, Permission.ADMINISTER)
    administrators.take_turns(session)
    if given is not None:
        accept_given(session, operator, given)
        return None
    if session.scalar(administrators.keys().limit(1)) is not None:
        return None
    first = "made at the first start"
    made = create(session, operator, name=FIRST_NAME, role=Role.ADMINISTRATOR, description=first, with_grant=True)
    return made.secret


def accept_given(session: Session, operator: Principal, given: str) -> None:
    """Let the token from the settings in, and no other that once came from there."""
    mine = digest(given)
    others = select(Token).where(Token.from_settings, Token.revoked_at.is_(None), Token.digest != mine)
    for row in session.scalars(others.with_for_update()):
        row.revoked_at = session.scalar(select(func.clock_timestamp()))
    row_now = session.scalar(select(Token).where(Token.digest == mine).with_for_update())
    if row_now is None:
        holder, _ = principals.named(session, FIRST_NAME)
        where = {"description": "from the settings", "from_settings": True}
        row_now = issue(session, holder, Role.ADMINISTRATOR, given, **where)
    elif row_now.from_settings:
        row_now.revoked_at = None
    if row_now.from_settings:
        give_role(session, operator, row_now.principal_id, Role.ADMINISTRATOR)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the database says of a token that is good, and of the streams that were asked for with it.

    `authority` is all that decides what the token may be used for: as long as it is the same, the same is allowed.
    `heads`: of each stream the hash of its last event and its clock (domain/heads.py); None of one that is not there.
    """

    authority: tuple[Any, ...]
    last_used_at: datetime | None
    heads: dict[str, bytes | None]

    @property
    def note_use(self) -> bool:
        """Whether it is time to note that the token was used."""
        return self.last_used_at is None or self.last_used_at < datetime.now(UTC) - NOTE_USE_EVERY


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a token."""

    principal: Principal
    token_id: int
    standing: Standing


STANDING = Settled(
    text(
        "SELECT token_id, role, models, stages, principal_id, name, grants, last_used_at, heads "
        "FROM registry.standing(:token, :streams)"
    )
)


def standing(engine: Engine, token: bytes, streams: Sequence[str]) -> Standing | None:
    """What the database says of the token with this digest, and of these streams; None if the token is not good.

    In one round trip, outside any transaction. The look-up is by digest, so how long it takes says nothing about how
    near a guess came.

    :raises DBAPIError, TimeoutError: it cannot be asked now.
    """
    rows = ask_at_once(engine, STANDING, {"token": token, "streams": list(streams)})
    return standing_of(rows[0], streams) if rows else None


def standing_of(row: Sequence[Any], streams: Sequence[str]) -> Standing:
    """A row of the database's function, with the streams in the order in which they were asked for."""
    token_id, role, models, stages, number, name, grants, last_used_at, heads = row
    authority = (token_id, role, listed(models), listed(stages), number, name, grants)
    hashes = [None if head is None else bytes(head) for head in heads]
    return Standing(authority, last_used_at, dict(zip(streams, hashes, strict=True)))


def listed(words: Sequence[str] | None) -> tuple[str, ...] | None:
    """An array of the database; None stays all of them."""
    return None if words is None else tuple(words)


def holder(standing: Standing) -> Holder:
    """Who holds a token, by what the database says of it."""
    token_id, role, models, stages, number, name, grants = standing.authority
    scope = Scope(Role(role), models, granted.stages_of(stages))
    identity, credential = principals.actor_id(number), f"token:{token_id}"
    found = Principal(identity, name, credential, grants=granted.read(grants, name), scope=scope)
    return Holder(found, token_id, standing)


def spent(session: Session, secret: str) -> tuple[Principal, str] | None:
    """Whose a token was that opens the door no more, and why; None if it never was anybody's, or still is good."""
    question = with_name().where(Token.digest == digest(secret), not_(and_(*administrators.valid_now())))
    found = session.execute(question).one_or_none()
    if found is None:
        return None
    row, name = found
    holder = Principal(principals.actor_id(row.principal_id), name, f"token:{row.id}")
    return holder, "revoked" if row.revoked_at else "expired"


def note_use(session: Session, token_id: int) -> None:
    """Note that a token was used: seldom, so that reading does not become writing. Not an event of the log."""
    stale = or_(Token.last_used_at.is_(None), Token.last_used_at < func.now() - NOTE_USE_EVERY)
    session.execute(update(Token).where(Token.id == token_id, stale).values(last_used_at=func.clock_timestamp()))
