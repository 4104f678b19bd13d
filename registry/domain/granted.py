"""The grants of a principal and its groups, as they come along with its credential: in one statement, as JSON.

The owner's grants are not among them: one may own thousands of models. `access` looks those up.
"""

import functools
import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Text, bindparam, cast, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, TEXT
from sqlalchemy.orm import Session, aliased

from registry.domain import lookup
from registry.domain.access import PERMISSIONS, Grant
from registry.tables import Grant as GrantRow
from registry.tables import Principal as PrincipalRow
from registry.vocabulary import Effect, Permission, Role, Stage


def of(session: Session, principal_id: int, groups: Sequence[str] = ()) -> tuple[Grant, ...]:
    """The grants of the principal of this number and of these groups."""
    return read(session.scalars(GRANTED, {"principal_id": principal_id, "groups": list(groups)}).one())


def as_json(principal_id: Any, groups: Any = None) -> ColumnElement[str]:
    """The grants of a principal and, where they are given, of an array of groups, as one column of a question."""
    grant, holder = aliased(GrantRow), aliased(PrincipalRow)
    mine: ColumnElement[bool] = grant.principal_id == principal_id
    if groups is not None:
        mine = or_(mine, grant.group_name == func.any(groups))
    row = func.json_build_array(
        grant.id,
        grant.effect,
        grant.role,
        grant.permissions,
        grant.pattern,
        grant.stages_from,
        grant.stages_to,
        func.coalesce("group " + grant.group_name, holder.name),
    )
    question = select(func.json_agg(row)).outerjoin(holder, holder.id == grant.principal_id)
    return cast(question.where(mine, grant.model_id.is_(None)).scalar_subquery(), Text)


@functools.lru_cache(maxsize=1_024)
def read(text: str | None) -> tuple[Grant, ...]:
    """What `as_json` has found. The same text means the same grants, so it is read once."""
    return tuple(grant(*row) for row in json.loads(text or "[]"))


def grant(
    number: int,
    effect: str,
    role: str | None,
    permissions: Iterable[str] | None,
    pattern: str,
    stages_from: Iterable[str] | None,
    stages_to: Iterable[str] | None,
    holder: str,
) -> Grant:
    """A grant as it is used, from a row that is not an owner's."""
    return Grant(
        id=number,
        effect=Effect(effect),
        permissions=PERMISSIONS[Role(role)] if role else frozenset(map(Permission, permissions or ())),
        pattern=pattern,
        stages_from=stages_of(stages_from),
        stages_to=stages_of(stages_to),
        holder=holder,
        role=role,
    )


def stages_of(words: Iterable[str] | None) -> frozenset[Stage] | None:
    """Stages as a set; None stays all of them."""
    return None if words is None else frozenset(map(Stage, words))


GRANTED = lookup.settled(
    select(as_json(bindparam("principal_id", type_=BIGINT), bindparam("groups", type_=ARRAY(TEXT))))
)
