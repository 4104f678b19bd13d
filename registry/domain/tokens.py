"""Tokens: how principals prove who they are. A token is shown once; the database keeps its SHA-256 digest.

A digest without salt or stretching is enough, because a token is not a password: it has 160 random bits. The prefix
`mreg_` lets secret scanners find a leaked one.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, not_, or_, select, update
from sqlalchemy.orm import Session

from registry.config import Settings
from registry.db import settings_of
from registry.domain import access, lookup, names, paging, principals
from registry.domain.access import Principal
from registry.domain.paging import Key, Page
from registry.errors import Conflict, Invalid, TokenNotFound
from registry.tables import Principal as PrincipalRow
from registry.tables import Token
from registry.vocabulary import Permission, Role

PREFIX = "mreg_"
SECRET_BYTES = 20
NAME_MAX = 200
DESCRIPTION_MAX = 1_000
FIRST_NAME = "admin"
CLOCKS_DIFFER = timedelta(minutes=5)
"""Callers reckon from the time that they have."""
NOTE_USE_EVERY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What may be known about a token."""

    id: int
    principal_name: str
    role: Role
    description: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class IssuedToken(TokenInfo):
    """A token just made, with its secret, which is shown this once."""

    secret: str


def create(
    session: Session,
    principal: Principal,
    *,
    name: str,
    role: Role,
    description: str | None = None,
    expires_at: datetime | None = None,
) -> IssuedToken:
    """Make a token for the principal called `name`, who is made too if there is none.

    Without `expires_at` it lasts as long as the settings say.

    :raises Forbidden: the principal may not make tokens.
    :raises Invalid: the name is blank or too long, the expiry has passed, or is later than the settings allow.
    """
    access.require(principal, Permission.ADMINISTER)
    if not name.strip():
        raise names.missing("name")
    names.check_text("name", name, NAME_MAX)
    names.check_text("description", description, DESCRIPTION_MAX)
    expires_at = expiry(settings_of(session), expires_at)
    secret = PREFIX + secrets.token_hex(SECRET_BYTES)
    row = issue(session, name, role, secret, description=description, expires_at=expires_at)
    return IssuedToken(
        id=row.id,
        principal_name=name,
        role=role,
        description=description,
        created_at=row.created_at,
        expires_at=expires_at,
        revoked_at=None,
        last_used_at=None,
        secret=secret,
    )


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


def issue(
    session: Session,
    name: str,
    role: Role,
    secret: str,
    *,
    description: str | None,
    expires_at: datetime | None = None,
    from_settings: bool = False,
) -> Token:
    """Write the row of a token."""
    row = Token(
        principal_id=principals.named(session, name),
        role=role,
        digest=digest(secret),
        from_settings=from_settings,
        description=description,
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()  # the answer shows its id
    return row


def digest(secret: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(secret.encode(errors="surrogateescape")).digest()


def search(session: Session, principal: Principal, *, limit: int, token: str | None = None) -> Page[TokenInfo]:
    """Tokens, oldest first, without their secrets; those that are revoked or have expired too.

    :raises Forbidden: the principal may not see tokens.
    :raises Invalid: the page token is not one of this question.
    """
    access.require(principal, Permission.ADMINISTER)
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
    access.require(principal, Permission.ADMINISTER)
    found = session.execute(with_name().where(Token.id == token_id)).one_or_none() if known(token_id) else None
    if found is None:
        raise TokenNotFound(token_id)
    row, name = found
    return info(row, name)


def hold(session: Session, principal: Principal) -> None:
    """Keep others from making and revoking administrators' tokens for as long as this transaction goes on.

    :raises Forbidden: the principal may not see tokens.
    """
    access.require(principal, Permission.ADMINISTER)
    take_turns(session)


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
    access.require(principal, Permission.ADMINISTER)
    take_turns(session)  # else the last two could be revoked at once
    row = session.get(Token, token_id, with_for_update=True) if known(token_id) else None
    if row is None:
        raise TokenNotFound(token_id)
    if row.revoked_at is None:
        if principal != access.OPERATOR:
            leave_one(session, row)
        row.revoked_at = session.scalar(select(func.clock_timestamp()))


def take_turns(session: Session) -> None:
    """Let one transaction at a time decide whether there is an administrator's token."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext("registry.first_token"))))


def leave_one(session: Session, row: Token) -> None:
    """:raises Conflict: without this token nobody could administer the registry any more, not even make tokens."""
    usable = select(Token.id).where(Token.role == Role.ADMINISTRATOR, *valid_now())
    found = set(session.scalars(usable.where(Token.id == row.id)))
    if found and session.scalar(usable.where(Token.id != row.id).limit(1)) is None:
        raise Conflict(
            f"Token {row.id} is the last administrator's token: without it nobody could make another over this API. "
            "Make another one first, or use `registry token` with --database, on the machine of the service."
        )


def ensure_administrator(session: Session, operator: Principal, given: str | None) -> str | None:
    """See to it that there is an administrator's token: the given one, or a new one if there is none at all.

    A given token replaces the one given at an earlier start. Returns the secret of a token made here, to be shown.

    :raises Forbidden: the operator may not make tokens.
    """
    access.require(operator, Permission.ADMINISTER)
    take_turns(session)
    if given is not None:
        accept_given(session, given)
        return None
    usable = select(Token.id).where(Token.role == Role.ADMINISTRATOR, *valid_now()).limit(1)
    if session.scalar(usable) is not None:
        return None
    return create(
        session, operator, name=FIRST_NAME, role=Role.ADMINISTRATOR, description="made at the first start"
    ).secret


def accept_given(session: Session, given: str) -> None:
    """Let the token from the settings in, and no other that once came from there."""
    mine = digest(given)
    others = select(Token).where(Token.from_settings, Token.revoked_at.is_(None), Token.digest != mine)
    for row in session.scalars(others.with_for_update()):
        row.revoked_at = session.scalar(select(func.clock_timestamp()))
    row_now = session.scalar(select(Token).where(Token.digest == mine).with_for_update())
    if row_now is None:
        issue(session, FIRST_NAME, Role.ADMINISTRATOR, given, description="from the settings", from_settings=True)
    elif row_now.from_settings:
        row_now.revoked_at = None


def valid_now() -> tuple[ColumnElement[bool], ...]:
    """The conditions under which a token opens the door."""
    return Token.revoked_at.is_(None), or_(Token.expires_at.is_(None), Token.expires_at > func.now())


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a token, and whether it is time to note that it was used."""

    principal: Principal
    token_id: int
    note_use: bool


def authenticate(session: Session, secret: str) -> Holder | None:
    """Whose token this is; None if it is nobody's, has expired or was revoked. One indexed query.

    The look-up is by digest, so how long it takes says nothing about how near a guess came.
    """
    row = session.execute(HOLDER, {"digest": digest(secret)}).one_or_none()
    if row is None:
        return None
    token_id, role, last_used_at, principal_id, name = row
    principal = Principal(principals.actor_id(principal_id), name, Role(role), f"token:{token_id}")
    stale = last_used_at is None or last_used_at < datetime.now(UTC) - NOTE_USE_EVERY
    return Holder(principal, token_id, note_use=stale)


def spent(session: Session, secret: str) -> tuple[Principal, str] | None:
    """Whose a token was that opens the door no more, and why; None if it never was anybody's, or still is good."""
    question = select(Token, PrincipalRow.name).join(Token.principal).where(Token.digest == digest(secret))
    found = session.execute(question.where(not_(and_(*valid_now())))).one_or_none()
    if found is None:
        return None
    row, name = found
    holder = Principal(principals.actor_id(row.principal_id), name, Role(row.role), f"token:{row.id}")
    return holder, "revoked" if row.revoked_at else "expired"


def note_use(session: Session, token_id: int) -> None:
    """Note that a token was used: seldom, so that reading does not become writing. Not an event of the log."""
    stale = or_(Token.last_used_at.is_(None), Token.last_used_at < func.now() - NOTE_USE_EVERY)
    session.execute(update(Token).where(Token.id == token_id, stale).values(last_used_at=func.clock_timestamp()))


HOLDER = lookup.settled(
    select(Token.id, Token.role, Token.last_used_at, PrincipalRow.id, PrincipalRow.name)
    .join(Token.principal)
    .where(Token.digest == bindparam("digest"), *valid_now())
)
