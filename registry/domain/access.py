"""Who may do what. Every domain function that needs a right asks here, before it does anything else.

The authority of a caller is what the grants of its principal and of its groups give, less what they deny, cut by what
its token is narrowed to. Grants come along with the credential, so that to ask costs no query. The one exception is
the grant of the owner of a model, who may own thousands: it is looked up, by one index, where nothing else settles it.

Grants by pattern follow the name of a model, the owner's grant follows the model itself. Without the permission to
read a model nobody learns that it is there: it is refused in the words of a model that is not.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from registry import vocabulary
from registry.domain import lookup, names, patterns
from registry.errors import Forbidden, ModelNotFound, NotFound, VersionNotFound
from registry.tables import Grant as GrantRow
from registry.tables import RegisteredModel
from registry.vocabulary import Effect, Permission, Role, Stage

VIEWER = frozenset({Permission.READ})
CONTRIBUTOR = VIEWER | {Permission.REGISTER, Permission.DESCRIBE, Permission.COMMENT, Permission.TRANSITION}
APPROVER = CONTRIBUTOR | {Permission.PROMOTE, Permission.ALIAS, Permission.RENAME, Permission.DELETE}
ADMINISTRATOR = APPROVER | {Permission.ADMINISTER}

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: VIEWER,
    Role.CONTRIBUTOR: CONTRIBUTOR,
    Role.APPROVER: APPROVER,
    Role.ADMINISTRATOR: ADMINISTRATOR,
}
OWNER = "owner"
"""The role of whoever made a model, on that model: more than a contributor's, but no promotion."""
OWNERS = CONTRIBUTOR | {Permission.RENAME, Permission.DELETE}
MOVES = frozenset({Permission.TRANSITION, Permission.PROMOTE})
"""The permissions that stages can narrow."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Permissions that are given or denied on the models whose names match a pattern.

    With stages, moves only from or to these. `id` is None where the grant stands in no table. `holder`: whose it is.
    """

    id: int | None
    effect: Effect
    permissions: frozenset[Permission]
    pattern: str = patterns.EVERYTHING
    stages_from: frozenset[Stage] | None = None
    stages_to: frozenset[Stage] | None = None
    holder: str = ""
    role: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it gives something over all models and all stages."""
        everywhere = self.pattern == patterns.EVERYTHING and self.stages_from is None and self.stages_to is None
        return everywhere and self.effect is Effect.ALLOW

    def __str__(self) -> str:
        what = self.role or ", ".join(sorted(self.permissions))
        called = "a grant of the service" if self.id is None else f"grant {self.id}"
        return f"{called} ({self.effect} {what} on '{self.pattern}'{moves(self.stages_from, self.stages_to)})"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a token narrows its holder to: no more than a role, models of these patterns, moves to these stages.

    Out of Production leads a move only where Production is among them. A role from contributor on covers what the
    holder may do as the owner of a model.
    """

    role: Role = Role.ADMINISTRATOR
    models: tuple[str, ...] | None = None
    stages: frozenset[Stage] | None = None


FULL = Scope()


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller. `id` and `credential` go into the audit log; `name` is only for showing.

    `owned` keeps the owner's grants that were looked up, by name of the model, for as long as the request goes on.
    """

    id: str
    name: str
    credential: str = ""
    groups: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ()
    scope: Scope = FULL
    owned: dict[str, Grant] = field(default_factory=dict, compare=False, repr=False)

    @property
    def role(self) -> Role | None:
        """The highest role that it has over all models, as far as its token goes; None if it has none."""
        whole = [grant.permissions for grant in self.grants if grant.is_whole]
        had = frozenset[Permission]().union(*whole) & PERMISSIONS[self.scope.role]
        return next((role for role in reversed(Role) if PERMISSIONS[role] <= had), None)


def whole(role: Role, holder: str = "") -> Grant:
    """A role over all models that no table says: it belongs to the service itself, or to its settings."""
    return Grant(None, Effect.ALLOW, PERMISSIONS[role], holder=holder, role=role)


OPERATOR = Principal(id=vocabulary.OPERATOR, name="operator", grants=(whole(Role.ADMINISTRATOR, "operator"),))
"""Whoever has a shell on the service's machine: the commands that work on the database directly act as this."""

ANONYMOUS = Principal(id="anonymous", name="anonymous", grants=(whole(Role.ADMINISTRATOR, "anonymous"),))
"""Everybody, where authentication is switched off."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to do: on a model, or (None) on whatever there is. A move may leave its stages open."""

    permission: Permission
    model: str | None = None
    stage_from: Stage | None = None
    stage_to: Stage | None = None

    def __str__(self) -> str:
        on = "" if self.model is None else f" on '{self.model}'"
        return f"'{self.permission}'{on}{moves(only(self.stage_from), only(self.stage_to))}"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether something may be done: `because` of which grant it may, or else may not, or what is `missing`."""

    allowed: bool
    because: Grant | None = None
    missing: str | None = None


def moves(stages_from: Collection[Stage] | None, stages_to: Collection[Stage] | None) -> str:
    """Stages as a text goes on about them; nothing for all of them."""
    parts = [("from", stages_from), ("to", stages_to)]
    return "".join(f" {word} {', '.join(sorted(stages))}" for word, stages in parts if stages is not None)


def only(stage: Stage | None) -> tuple[Stage, ...] | None:
    """One stage as the only one there is; None stays all of them."""
    return None if stage is None else (stage,)


def decide(
    session: Session,
    principal: Principal,
    permission: Permission,
    model: str | None = None,
    *,
    stage_from: Stage | None = None,
    stage_to: Stage | None = None,
) -> Decision:
    """Whether the principal has a permission, and why or why not. At most one query, and mostly none.

    Of a move whose stages are not said, whether there is one that it may make.
    """
    asked = Asked(permission, model, stage_from, stage_to)
    narrowed = outside(principal.scope, asked)
    if narrowed:
        return Decision(allowed=False, missing=narrowed)
    denial = denial_of(principal, asked)
    if denial:
        return Decision(allowed=False, because=denial)
    gift = next((grant for grant in principal.grants if gives(grant, asked)), None)
    if gift and is_within(principal.scope, asked):
        return Decision(allowed=True, because=gift)
    own = as_owner(session, principal, asked)
    if own and is_within_as_owner(principal.scope, asked):
        return Decision(allowed=True, because=own)
    return Decision(allowed=False, missing=too_small(principal, asked) if gift or own else lacking(principal, asked))


def outside(scope: Scope, asked: Asked) -> str | None:
    """What a token keeps its holder from, whatever the grants are; None where it does not."""
    if asked.permission is Permission.ADMINISTER and (scope.models, scope.stages) != (None, None):
        # Who administers can make himself a token that is narrowed to nothing.
        narrowed = "models" if scope.stages is None else "stages"
        return f"This token is narrowed to some {narrowed}, and {asked} concerns the whole registry: use another one."
    if scope.models is not None and asked.model is not None and not matched(scope.models, asked.model):
        return f"This token is narrowed to the models {listed(scope.models)}: use another one."
    if scope.stages is not None and asked.permission in MOVES:
        leaves = asked.stage_from is Stage.PRODUCTION and Stage.PRODUCTION not in scope.stages
        if leaves or (asked.stage_to is not None and asked.stage_to not in scope.stages):
            return f"This token is narrowed to moves to {listed(sorted(scope.stages))}: use another one."
    return None


def matched(given: Collection[str], name: str) -> bool:
    """Whether one of these patterns means the name."""
    return any(patterns.matches(pattern, name) for pattern in given)


def is_within(scope: Scope, asked: Asked) -> bool:
    """Whether a token is good for this at all, by its role."""
    return asked.permission in PERMISSIONS[scope.role]


def is_within_as_owner(scope: Scope, asked: Asked) -> bool:
    """Whether a token is good for this in the hands of the owner of the model."""
    return is_within(scope, asked) or (scope.role is not Role.VIEWER and asked.permission in OWNERS)


def listed(words: Collection[str]) -> str:
    """Words, quoted as they are, one after the other."""
    return ", ".join(f"'{word}'" for word in words) or "none"


def least(permission: Permission) -> Role:
    """The smallest role that includes a permission."""
    return next(role for role in Role if permission in PERMISSIONS[role])


def denies(grant: Grant, asked: Asked) -> bool:
    """Whether a grant takes away what is asked for. Who may not read a model may do nothing with it."""
    if grant.effect is not Effect.DENY or not grant.permissions & {asked.permission, Permission.READ}:
        return False
    if asked.model is None:
        covered = grant.pattern == patterns.EVERYTHING
    else:
        covered = patterns.matches(grant.pattern, asked.model)
    if asked.permission not in MOVES:
        return covered and grant.stages_from is None and grant.stages_to is None
    parts = ((grant.stages_from, asked.stage_from), (grant.stages_to, asked.stage_to))
    return covered and all(stages is None or stage in stages for stages, stage in parts)


def denial_of(principal: Principal, asked: Asked) -> Grant | None:
    """The grant that takes away what is asked for, if there is one."""
    return next((grant for grant in principal.grants if denies(grant, asked)), None)


def gives(grant: Grant, asked: Asked) -> bool:
    """Whether a grant gives what is asked for. Whoever may do anything with a model may read it."""
    if grant.effect is not Effect.ALLOW or asked.permission not in grant.permissions | VIEWER:
        return False
    if asked.model is not None and not patterns.matches(grant.pattern, asked.model):
        return False
    if asked.permission not in MOVES:
        return True
    parts = ((grant.stages_from, asked.stage_from), (grant.stages_to, asked.stage_to))
    return all(stages is None or stage is None or stage in stages for stages, stage in parts)


def as_owner(session: Session, principal: Principal, asked: Asked) -> Grant | None:
    """The grant of the owner of the model, if it gives what is asked for and the principal has it.

    Where no model is said: one that the principal owns, which is something to read.
    """
    number = number_of(principal)
    if number is None or asked.permission not in (VIEWER if asked.model is None else OWNERS):
        return None
    known = asked.model and principal.owned.get(asked.model)
    if known:
        return known
    question = OWNS_SOMETHING if asked.model is None else OWNS
    row = session.execute(question, {"principal_id": number, "name": asked.model}).first()
    if row is None:
        return None
    grant = Grant(row[0], Effect.ALLOW, OWNERS, row[1], holder=principal.name, role=OWNER)
    principal.owned[row[1]] = grant
    return grant


def owns(session: Session, principal: Principal, model: str) -> bool:
    """Whether the principal may act as the owner of a model: it is, nothing hides it, and its token is for more than
    reading.
    """
    asked = Asked(Permission.READ, model)
    barred = outside(principal.scope, asked) or denial_of(principal, asked) is not None
    may_write = principal.scope.role is not Role.VIEWER
    return not barred and may_write and as_owner(session, principal, asked) is not None


def number_of(principal: Principal) -> int | None:
    """The number of a principal that stands in a table; the operator and the anonymous do not."""
    kind, _, number = principal.id.partition(":")
    return int(number) if kind == "principal" and number.isdecimal() else None


def lacking(principal: Principal, asked: Asked) -> str:
    """What somebody has not got, and who could give it."""
    of_owner = asked.model is not None and asked.permission in CONTRIBUTOR
    giver = "An administrator or the owner of the model" if of_owner else "An administrator"
    role = least(asked.permission)
    return f"'{principal.name}' has no grant that gives {asked}. {giver} can grant it, for instance as the role {role}."


def too_small(principal: Principal, asked: Asked) -> str:
    """What is wrong with a token whose holder may do what is asked for, but not with it."""
    had, role = principal.scope.role, least(asked.permission)
    return f"This token is narrowed to the role {had}: {asked} takes one of '{principal.name}' with the role {role}."


def reason(principal: Principal, asked: Asked, decision: Decision) -> str:
    """Why something may not be done, in a sentence or two."""
    if decision.missing:
        return decision.missing
    return f"'{principal.name}' is denied {asked} by {decision.because}. An administrator can change that."


def may(
    session: Session,
    principal: Principal,
    permission: Permission,
    model: str | None = None,
    *,
    stage_from: Stage | None = None,
    stage_to: Stage | None = None,
) -> bool:
    """Whether the principal has the permission: for the model of this name and such a move, where they are said."""
    return decide(session, principal, permission, model, stage_from=stage_from, stage_to=stage_to).allowed


def require(
    session: Session,
    principal: Principal,
    permission: Permission,
    model: str | None = None,
    *,
    number: int | None = None,
    stage_from: Stage | None = None,
    stage_to: Stage | None = None,
) -> None:
    """Go on only if the principal has the permission. `number`: the version that is meant, for the words of a refusal.

    :raises Forbidden: it has not; the message says which grant denies it, or what is missing and who could give it.
    :raises NotFound: it may not even read the model; the very refusal of one that is not there.
    """
    decision = decide(session, principal, permission, model, stage_from=stage_from, stage_to=stage_to)
    if decision.allowed:
        return
    if model is not None and not may(session, principal, Permission.READ, model):
        raise absent(model, number)
    asked = Asked(permission, model, stage_from, stage_to)
    raise Forbidden(reason(principal, asked, decision), permission, model)


def require_name(
    session: Session, principal: Principal, permission: Permission, name: str, *, stage_to: Stage | None = None
) -> None:
    """Go on only if the principal has the permission on a name that a model is to get, whether it is taken or not.

    :raises Forbidden: it has not.
    """
    decision = decide(session, principal, permission, name, stage_to=stage_to)
    if not decision.allowed:
        asked = Asked(permission, name, stage_to=stage_to)
        raise Forbidden(reason(principal, asked, decision), permission, name)


def require_no_denial(
    principal: Principal, permission: Permission, model: str, *, stage_from: Stage, stage_to: Stage
) -> None:
    """Go on unless a move is denied that goes along with another one, which is allowed.

    :raises Forbidden: it is denied.
    """
    asked = Asked(permission, model, stage_from, stage_to)
    denial = denial_of(principal, asked)
    if denial:
        raise Forbidden(reason(principal, asked, Decision(allowed=False, because=denial)), permission, model)


def absent(name: str, number: int | None = None) -> NotFound:
    """The refusal of a model, or of a version of one, that is not there.

    :raises Invalid: no model can have this name.
    """
    names.check_addressable(name)
    return ModelNotFound(name) if number is None else VersionNotFound(name, number)


def owned() -> Select[int, str]:
    """The question for the owner's grants of `:principal_id` and the names of the models that they are on."""
    return (
        select(GrantRow.id, RegisteredModel.name)
        .join(RegisteredModel, RegisteredModel.id == GrantRow.model_id)
        .where(GrantRow.principal_id == bindparam("principal_id"), RegisteredModel.deleted_at.is_(None))
        .limit(1)
    )


OWNS = lookup.settled(owned().where(RegisteredModel.name == bindparam("name")))
OWNS_SOMETHING = lookup.settled(owned())
