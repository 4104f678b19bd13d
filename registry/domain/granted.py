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
from registry.vocabulary import Effect, Permission, Role, Stage


def of(session: Session, principal_id: int, name: str, groups: Sequence[str] = ()) -> tuple[Grant, ...]:
    """The grants of the principal of this number and name, and of these groups."""
    return read(session.scalars(GRANTED, {"principal_id": principal_id, "groups": list(groups)}).one(), name)


def as_json(principal_id: Any, groups: Any = None) -> ColumnElement[str]:
    """The grants of a principal and, where they are given, of an array of groups, as one column of a question."""
    grant = aliased(GrantRow)
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
        grant.group_name,
    )
    return cast(select(func.json_agg(row)).where(mine, grant.model_id.is_(None)).scalar_subquery(), Text)


def read(text: str | None, name: str) -> tuple[Grant, ...]:
    """What `as_json` has found for the principal of this name."""
    return parsed(text, name) if text else ()


@functools.lru_cache(maxsize=1_024)
def parsed(text: str, name: str) -> tuple[Grant, ...]:
    """Grants from JSON. The same text means the same ones, so it is taken apart once."""
    return tuple(grant(name, *row) for row in json.loads(text))


def grant(
    name: str,
    number: int,
    effect: str,
    role: str | None,
    permissions: Iterable[str] | None,
    pattern: str,
    stages_from: Iterable[str] | None,
    stages_to: Iterable[str] | None,
    group: str | None,
) -> Grant:
    """A grant as it is used, from a row that is not an owner's."""
    return Grant(
        id=number,
        effect=Effect(effect),
        permissions=PERMISSIONS[Role(role)] if role else frozenset(map(Permission, permissions or ())),
        pattern=pattern,
        stages_from=stages_of(stages_from),
        stages_to=stages_of(stages_to),
        holder=name if group is None else f"group {group}",
        role=role,
    )


def stages_of(words: Iterable[str] | None) -> frozenset[Stage] | None:
    """Stages as a set; None stays all of them."""
    return None if words is None else frozenset(map(Stage, words))


GRANTED = lookup.settled(
    select(as_json(bindparam("principal_id", type_=BIGINT), bindparam("groups", type_=ARRAY(TEXT))))
)
