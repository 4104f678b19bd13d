"""Administrators: that there always is one who can come in, and who they are.

Only tokens count: whether somebody else can prove who he is, the registry cannot know beforehand.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from registry.domain import access, patterns
from registry.domain.access import Principal
from registry.errors import Conflict
from registry.tables import Grant as GrantRow
from registry.tables import Principal as PrincipalRow
from registry.tables import Token
from registry.vocabulary import Effect, Permission, Role


def take_turns(session: Session) -> None:
    """Let one transaction at a time decide whether there is an administrator who can come in."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext("registry.first_token"))))


def valid_now() -> tuple[ColumnElement[bool], ...]:
    """The conditions under which a token opens the door."""
    return Token.revoked_at.is_(None), or_(Token.expires_at.is_(None), Token.expires_at > func.now())


def keys() -> Select[int]:
    """The question for the tokens with which somebody can administer the registry."""
    whole = (Token.role == Role.ADMINISTRATOR, Token.models.is_(None), Token.stages.is_(None))
    own = GrantRow.principal_id == Token.principal_id
    return select(Token.id).where(*whole, *valid_now(), exists().where(own, administers()), ~barred())


def administers() -> ColumnElement[bool]:
    """The condition that a grant makes an administrator."""
    given = or_(GrantRow.role == Role.ADMINISTRATOR, GrantRow.permissions.contains([Permission.ADMINISTER.value]))
    return and_(GrantRow.effect == Effect.ALLOW, GrantRow.pattern == patterns.EVERYTHING, given)


def barred() -> ColumnElement[bool]:
    """The condition that the holder of a token is denied what administrators do."""
    denial = aliased(GrantRow)
    taken = denial.permissions.overlap([Permission.ADMINISTER.value, Permission.READ.value])
    everywhere = (denial.effect == Effect.DENY, denial.pattern == patterns.EVERYTHING)
    return exists().where(denial.principal_id == Token.principal_id, *everywhere, taken)


@contextmanager
def one_stays(session: Session, principal: Principal, what: str) -> Iterator[None]:
    """See to it that a change does not take the last administrator away; the operator can always make another.

    :raises Conflict: it does; `what` says what was to go.
    """
    take_turns(session)  # else the last two could go at once
    if principal == access.OPERATOR or session.scalar(keys().limit(1)) is None:
        yield
        return
    yield
    session.flush()
    if session.scalar(keys().limit(1)) is None:
        raise Conflict(
            f"{what}: nobody could administer the registry over this API any more, not even make another one. "
            "Make another one first, or use `registry token` with --database, on the machine of the service."
        )


def called(session: Session, limit: int) -> list[str]:
    """What the administrators are called, principals and groups, as far as grants in the database say so."""
    name = func.coalesce("group " + GrantRow.group_name, PrincipalRow.name)
    holder = PrincipalRow.id == GrantRow.principal_id
    question = select(name).select_from(GrantRow).outerjoin(PrincipalRow, holder).where(administers())
    return list(session.scalars(question.distinct().order_by(name).limit(limit)))
