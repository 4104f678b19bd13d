"""Grants: made, listed and taken away. A grant never changes: another one takes its place.

Administrators manage them all. The owner of a model lets others read it and contribute to it, by its very name.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy import delete as sql_delete
from sqlalchemy.orm import Session

from registry.domain import access, administrators, names, paging, patterns, principals, visible
from registry.domain.access import Principal
from registry.domain.paging import Key, Page
from registry.errors import Forbidden, GrantNotFound, Invalid
from registry.tables import Grant, RegisteredModel
from registry.tables import Principal as PrincipalRow
from registry.vocabulary import Effect, Permission, Role, Stage

GROUP_MAX = 500
DESCRIPTION_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """A grant to be made: to a principal, by its name, or to a group; of a role or of some permissions.

    With stages, moves only from or to these.
    """

    principal: str | None = None
    group: str | None = None
    effect: Effect = Effect.ALLOW
    role: Role | None = None
    permissions: Collection[Permission] | None = None
    pattern: str = patterns.EVERYTHING
    stages_from: Collection[Stage] | None = None
    stages_to: Collection[Stage] | None = None
    description: str | None = None

    @property
    def given(self) -> frozenset[Permission]:
        """The permissions that it is about."""
        return access.PERMISSIONS[self.role] if self.role else frozenset(self.permissions or ())

    @property
    def has_stages(self) -> bool:
        """Whether it is narrowed to some stages."""
        return self.stages_from is not None or self.stages_to is not None


@dataclass(frozen=True, slots=True)
class GrantInfo:
    """A grant as it is shown. Of the owner of a model, `pattern` is the name that the model has now."""

    id: int
    principal: str | None
    group: str | None
    effect: Effect
    role: str | None
    permissions: list[str] | None
    pattern: str
    model_id: int | None
    stages_from: list[str] | None
    stages_to: list[str] | None
    description: str | None
    created_at: datetime
    created_by: str


def create(session: Session, principal: Principal, wanted: Wanted) -> GrantInfo:
    """Make a grant.

    :raises Forbidden: the principal is no administrator, and this is nothing that the owner of a model may give.
    :raises Invalid: something of it is not right, or makes no sense together.
    :raises PrincipalNotFound: nobody is called so.
    :raises Conflict: it denies the last administrator what administrators do.
    """
    require_giving(session, principal, wanted)
    check(wanted)
    with administrators.one_stays(session, principal, "This would shut out the last administrator"):
        row = Grant(
            principal_id=wanted.principal and principals.number_called(session, wanted.principal),
            group_name=wanted.group,
            effect=wanted.effect,
            role=wanted.role,
            permissions=words(wanted.permissions),
            pattern=wanted.pattern,
            stages_from=words(wanted.stages_from),
            stages_to=words(wanted.stages_to),
            description=wanted.description or None,
            created_by=principal.id,
        )
        session.add(row)
        session.flush()  # the answer shows its id
    return info(row, wanted.principal, None)


def words(given: Collection[str] | None) -> list[str] | None:
    """Words as they are kept: each once, in an order that says nothing."""
    return None if given is None else sorted({str(word) for word in given})


def check(wanted: Wanted) -> None:
    """:raises Invalid: something of a grant is not right."""
    if (wanted.principal is None) == (wanted.group is None):
        raise Invalid("A grant is for a principal or for a group: name one of them.", "principal")
    if (wanted.role is None) == (wanted.permissions is None):
        raise Invalid("A grant is of a role or of some permissions: name one of them.", "role")
    if not wanted.given:
        raise Invalid("'permissions' has at least one permission.", "permissions")
    names.check_text("group", wanted.group, GROUP_MAX)
    names.check_text("description", wanted.description, DESCRIPTION_MAX)
    if wanted.group is not None and not wanted.group.strip():
        raise names.missing("group")
    patterns.check("pattern", wanted.pattern)
    check_reach(wanted)


def check_reach(wanted: Wanted) -> None:
    """:raises Invalid: what it is about and how far it reaches do not go together."""
    if wanted.effect is Effect.DENY and wanted.role is not None:
        raise Invalid(
            "Every role includes reading, so that to deny one would hide the models. Name the permissions to deny; "
            "'read' denies everything.",
            "role",
        )
    if Permission.ADMINISTER in wanted.given and (wanted.pattern != patterns.EVERYTHING or wanted.has_stages):
        raise Invalid("An administrator is one over all models and stages: leave both out.", "pattern")
    for field, stages in (("stages_from", wanted.stages_from), ("stages_to", wanted.stages_to)):
        if stages is not None and not stages:
            raise Invalid(f"'{field}' has at least one stage; leave it out for all of them.", field)
    fits = wanted.given <= access.MOVES if wanted.effect is Effect.DENY else wanted.given & access.MOVES
    if wanted.has_stages and not fits:
        raise Invalid("Stages narrow moves: the permissions 'transition' and 'promote'.", "permissions")


def require_giving(session: Session, principal: Principal, wanted: Wanted) -> None:
    """Go on only if the principal may make such a grant.

    :raises Forbidden: it is no administrator, and this is nothing that the owner of a model may give.
    """
    modest = wanted.effect is Effect.ALLOW and wanted.given <= access.CONTRIBUTOR
    if not (modest and is_of_owner(session, principal, wanted.pattern)):
        require(session, principal)


def is_of_owner(session: Session, principal: Principal, pattern: str) -> bool:
    """Whether a pattern is the name of a model that the principal owns, and means no other."""
    return patterns.is_exact(pattern) and access.owns(session, principal, pattern)


def require(session: Session, principal: Principal) -> None:
    """:raises Forbidden: the principal is no administrator."""
    if not access.may(session, principal, Permission.ADMINISTER):
        raise Forbidden(
            f"'{principal.name}' may not manage these grants. It takes an administrator, or, for the roles viewer and "
            "contributor on one model by its exact name, the owner of the model.",
            Permission.ADMINISTER,
        )


def search(
    session: Session,
    principal: Principal,
    *,
    holder: str | None = None,
    group: str | None = None,
    model: str | None = None,
    limit: int,
    token: str | None = None,
) -> Page[GrantInfo]:
    """Grants, the oldest first: of a principal, of a group, or those that concern a model of this name.

    The owner of a model sees those that are on it alone, by asking for the model.

    :raises Forbidden: the principal is no administrator, and does not own the model.
    :raises Invalid: the token is not one of this question.
    """
    owned = model is not None and is_of_owner(session, principal, model)
    whole = access.may(session, principal, Permission.ADMINISTER)
    if not (owned or whole):
        require(session, principal)
    question = shown(principal).where(*filters(holder, group, model, whole=whole))
    keys, mark = [Key(Grant.id)], paging.fingerprint("grants", holder, group, model)
    if token:
        question = question.where(paging.after(keys, paging.decode(token, mark, keys)))
    rows = [info(*row) for row in session.execute(question.order_by(Grant.id).limit(limit + 1))]
    return paging.cut(rows, limit, mark, lambda one: [one.id])


def filters(holder: str | None, group: str | None, model: str | None, *, whole: bool) -> list[ColumnElement[bool]]:
    """What is looked for, as conditions; not `whole`: of the grants on a model, those on it alone."""
    found: list[ColumnElement[bool]] = []
    if holder is not None:
        found.append(PrincipalRow.name == holder)
    if group is not None:
        found.append(Grant.group_name == group)
    if model is not None:
        by_name = patterns.meaning(Grant.pattern, model) if whole else Grant.pattern == model
        live = and_(RegisteredModel.name == model, RegisteredModel.deleted_at.is_(None))
        found.append(or_(and_(Grant.model_id.is_(None), by_name), live))
    return found


def shown(principal: Principal) -> Select[Grant, str, str]:
    """The question for grants with their holders; not those of the owners of models that are not to be read."""
    readable = visible.models(principal)
    question = select(Grant, PrincipalRow.name, RegisteredModel.name)
    question = question.outerjoin(PrincipalRow, PrincipalRow.id == Grant.principal_id)
    question = question.outerjoin(RegisteredModel, RegisteredModel.id == Grant.model_id)
    return question.where(or_(Grant.model_id.is_(None), and_(*readable))) if readable else question


def get(session: Session, principal: Principal, grant_id: int) -> GrantInfo:
    """One grant.

    :raises Forbidden: the principal is no administrator, and does not own the model that it is on.
    :raises GrantNotFound: no such grant.
    """
    row = find(session, principal, grant_id)
    if row is None or not is_of_owner(session, principal, row.pattern):
        require(session, principal)
    if row is None:
        raise GrantNotFound(grant_id)
    return row


def find(session: Session, principal: Principal, grant_id: int) -> GrantInfo | None:
    """The grant of this number, if there is one."""
    if not 1 <= grant_id < 2**63:
        return None
    row = session.execute(shown(principal).where(Grant.id == grant_id)).one_or_none()
    return None if row is None else info(*row)


def delete(session: Session, principal: Principal, grant_id: int) -> None:
    """Take a grant away, with effect on the next request of its holder.

    :raises Forbidden: the principal is no administrator, and this is nothing that the owner of a model may give.
    :raises GrantNotFound: no such grant.
    :raises Conflict: it is the grant of the last administrator, and not the operator asks.
    """
    found = find(session, principal, grant_id)
    if found is None or not is_modest(found) or not is_of_owner(session, principal, found.pattern):
        require(session, principal)
    with administrators.one_stays(session, principal, f"Grant {grant_id} is the last administrator's"):
        gone = sql_delete(Grant).where(Grant.id == (found.id if found else None)).returning(Grant.id)
        if session.scalar(gone) is None:
            raise GrantNotFound(grant_id)


def is_modest(grant: GrantInfo) -> bool:
    """Whether it is one that the owner of a model may give, and take away."""
    given = access.PERMISSIONS[Role(grant.role)] if grant.role in set(Role) else frozenset(grant.permissions or ())
    return grant.effect is Effect.ALLOW and grant.model_id is None and given <= access.CONTRIBUTOR


def hold(session: Session, principal: Principal, grant_id: int) -> None:
    """Keep others from making and taking away grants for as long as this transaction goes on.

    :raises Forbidden: the principal may not see the grant.
    :raises GrantNotFound: no such grant.
    """
    get(session, principal, grant_id)
    administrators.take_turns(session)


def info(row: Grant, holder: str | None, model: str | None) -> GrantInfo:
    """A row as it is shown."""
    values: dict[str, Any] = {name: getattr(row, name) for name in GrantInfo.__slots__ if hasattr(row, name)}
    values |= {"principal": holder, "group": row.group_name, "effect": Effect(row.effect)}
    return GrantInfo(**values | {"pattern": row.pattern if model is None else model})
