"""What a principal may read, as conditions on the rows of a question: what it may not read is not there for it.

A model can be read under its name, or by its owner. The audit log is stricter: it tells of every name that a model ever
had, so the events of a model are there only for those who may read all of them, and the events of no model (tokens,
principals, grants) only for those who may read everything.
"""

from typing import Any

from sqlalchemy import ColumnElement, and_, exists, false, not_, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from registry.domain import access, patterns
from registry.domain.access import Principal
from registry.errors import Forbidden
from registry.tables import AuditEvent, NameInterval, RegisteredModel
from registry.tables import Grant as GrantRow
from registry.vocabulary import Effect, Permission

Name = InstrumentedAttribute[str]
Id = InstrumentedAttribute[Any]


def sees_all(principal: Principal) -> bool:
    """Whether there can be no model that the principal may not read."""
    scope = principal.scope.models
    everywhere = scope is None or patterns.EVERYTHING in scope
    return everywhere and not denied(principal) and patterns.EVERYTHING in allowed(principal)


def allowed(principal: Principal) -> set[str]:
    """The patterns under which something may be done, and so be read."""
    return {grant.pattern for grant in principal.grants if grant.effect is Effect.ALLOW}


def denied(principal: Principal) -> set[str]:
    """The patterns under which nothing may be read."""
    kept = (grant for grant in principal.grants if grant.effect is Effect.DENY)
    return {grant.pattern for grant in kept if Permission.READ in grant.permissions}


def conditions(principal: Principal, name: Name, model_id: Id) -> list[ColumnElement[bool]]:
    """The conditions that the model of a row is one that the principal may read; none where it may read all."""
    found: list[ColumnElement[bool]] = []
    if principal.scope.models is not None:
        found.append(one_of(name, set(principal.scope.models)))
    if hidden := denied(principal):
        found.append(not_(one_of(name, hidden)))
    given = allowed(principal)
    if patterns.EVERYTHING not in given:
        found.append(or_(one_of(name, given), is_owned(principal, model_id)))
    return found


def one_of(name: Name, given: set[str]) -> ColumnElement[bool]:
    """The condition that a name is one that some of these patterns mean."""
    return or_(false(), *(patterns.like(name, pattern) for pattern in sorted(given)))


def is_owned(principal: Principal, model_id: Id) -> ColumnElement[bool]:
    """The condition that a model is one that the principal owns."""
    number = access.number_of(principal)
    if number is None:
        return false()
    own = select(GrantRow.model_id).where(GrantRow.principal_id == number, GrantRow.model_id.is_not(None))
    return model_id.in_(own)


def models(principal: Principal) -> list[ColumnElement[bool]]:
    """The conditions on rows of registered models, by the names that they have now."""
    return conditions(principal, RegisteredModel.name, RegisteredModel.id)


def events(principal: Principal) -> list[ColumnElement[bool]]:
    """The conditions on events of the audit log."""
    if sees_all(principal):
        return []
    return [AuditEvent.model_id.is_not(None), *whole_past(principal, AuditEvent.model_id)]


def whole_past(principal: Principal, model_id: Id) -> list[ColumnElement[bool]]:
    """The conditions that the principal may read a model under every name that it has or ever had; none for all models.

    Asked of each row, by the index of its model: a list of all that is hidden may be longer than memory.
    """
    had, has = aliased(NameInterval), aliased(RegisteredModel)
    found = []
    # One that was gone in the moment in which it came never had a name for any time.
    for name, key in ((had.name, had.model_id), (has.name, has.id)):
        readable = conditions(principal, name, key)
        if readable:
            found.append(~exists().where(key == model_id, not_(and_(*readable))))
    return found


def is_there(session: Session, principal: Principal, model_id: int) -> bool:
    """Whether the principal may read the model of this id, under the name that it has now."""
    readable = models(principal)
    if not readable:
        return True
    return session.scalar(select(RegisteredModel.id).where(RegisteredModel.id == model_id, *readable)) is not None


def require_all(principal: Principal, what: str) -> None:
    """:raises Forbidden: there may be models that the principal may not read."""
    if not sees_all(principal):
        message = f"{what} tells of every model, and there may be some that '{principal.name}' may not read."
        raise Forbidden(message, Permission.READ)
