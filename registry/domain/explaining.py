"""Why somebody may do something or may not: by which grant, or what is missing and who could give it."""

from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from registry.domain import access, administrators, granted, principals
from registry.domain.access import Asked, Grant, Principal
from registry.vocabulary import Permission, Stage

AT_MOST = 5
"""Names of those who could help."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether something may be done; because of which grant it may, or may not; why not, and who could change that."""

    allowed: bool
    because: Grant | None
    missing: str | None
    who_could: list[str]


def explain(
    session: Session,
    principal: Principal,
    action: Permission,
    model: str | None = None,
    *,
    stage_from: Stage | None = None,
    stage_to: Stage | None = None,
    who: str | None = None,
) -> Explanation:
    """Explain what the principal may do or, for administrators, what somebody else (`who`) may do with a whole token.

    A move from or to Production is a promotion, however the action calls it. Of a model that is not to be seen it
    says what it says of one that is not there.

    :raises Forbidden: the principal asks about somebody else, and is no administrator.
    :raises PrincipalNotFound: nobody is called so.
    :raises ModelNotFound: the principal asks about somebody else, and of a model that it may not read itself.
    """
    subject = principal
    if who is not None and who != principal.name:
        access.require(session, principal, Permission.ADMINISTER)
        if model is not None:
            access.require(session, principal, Permission.READ, model)
        subject = somebody(session, who)
    asked = meant(action, model, stage_from, stage_to)
    decision = access.decide(
        session, subject, asked.permission, model, stage_from=asked.stage_from, stage_to=asked.stage_to
    )
    if decision.allowed:
        return Explanation(allowed=True, because=decision.because, missing=None, who_could=[])
    helpers = administrators.called(session, AT_MOST)
    return Explanation(
        allowed=False,
        because=decision.because,
        missing=access.reason(subject, asked, decision),
        who_could=helpers,
    )


def somebody(session: Session, name: str) -> Principal:
    """A principal with all its own grants; what its groups have, only its credential can say."""
    number = principals.number_called(session, name)
    return Principal(principals.actor_id(number), name, grants=granted.of(session, number, name))


def meant(action: Permission, model: str | None, stage_from: Stage | None, stage_to: Stage | None) -> Asked:
    """What somebody asks for who speaks of a move, with the permission that it takes."""
    asked = Asked(action, model, stage_from, stage_to)
    if action not in access.MOVES or (stage_from is None and stage_to is None):
        return replace(asked, stage_from=None, stage_to=None)
    promotes = Stage.PRODUCTION in {stage_from, stage_to}
    return replace(asked, permission=Permission.PROMOTE if promotes else Permission.TRANSITION)
