"""Who may do what. Every domain function that needs a right asks here, before it does anything else.

Today a right follows from the role of the token alone. Grants by model and stage take their place in `require()`,
which therefore already takes the name of the model.
"""

from dataclasses import dataclass

from registry.errors import Forbidden
from registry.vocabulary import Permission, Role

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


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller. `id` and `credential` go into the audit log; `name` is only for showing."""

    id: str
    name: str
    role: Role
    credential: str = ""


OPERATOR = Principal(id="operator", name="operator", role=Role.ADMINISTRATOR)
"""Whoever has a shell on the service's machine: the commands that work on the database directly act as this."""

ANONYMOUS = Principal(id="anonymous", name="anonymous", role=Role.ADMINISTRATOR)
"""Everybody, where authentication is switched off."""


def may(principal: Principal, permission: Permission, _model: str | None = None) -> bool:
    """Whether the principal has the permission (for the model of this name, if one is given)."""
    return permission in PERMISSIONS[principal.role]


def require(principal: Principal, permission: Permission, model: str | None = None) -> None:
    """Go on only if the principal has the permission.

    :raises Forbidden: it has not; the message says which role would do.
    """
    if may(principal, permission, model):
        return
    enough = next(role for role in Role if permission in PERMISSIONS[role])
    raise Forbidden(
        f"'{principal.name}' has the role {principal.role}, which does not include the permission '{permission}'. "
        f"It takes a token with the role {enough} or a higher one; an administrator can make one.",
        permission,
        model,
    )
