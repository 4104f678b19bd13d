"""Principals: who acts, by id; and what they are called, for showing."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import BigInteger, ColumnElement, cast, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import InstrumentedAttribute, Session

from registry.errors import PrincipalNotFound
from registry.tables import Principal

PREFIX = "principal:"
NUMBERED = PREFIX + "([1-9][0-9]{0,17})"
"""An id that can be one of ours, for Python and PostgreSQL alike. The log has whatever actor a transaction named."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acted: a stable id, and what it is called today."""

    id: str
    name: str


def actor_id(number: int) -> str:
    """The id under which a principal acts, as it stands in the audit log."""
    return f"{PREFIX}{number}"


def named(session: Session, name: str) -> tuple[int, bool]:
    """The number of the principal of this name, and whether it had to be made."""
    made = insert(Principal).values(name=name).on_conflict_do_nothing(constraint="uq_principals_name")
    number = session.scalar(made.returning(Principal.id))
    if number is not None:
        return number, True
    return session.scalars(select(Principal.id).where(Principal.name == name)).one(), False


def number_called(session: Session, name: str) -> int:
    """The number of the principal of this name.

    :raises PrincipalNotFound: there is none.
    """
    number = session.scalar(select(Principal.id).where(Principal.name == name))
    if number is None:
        raise PrincipalNotFound(name)
    return number


def names_of(session: Session, ids: Iterable[str]) -> dict[str, str]:
    """What these ids are called, in one query; an id without a name is left out."""
    numbers = {int(found[1]) for one in ids if (found := re.fullmatch(NUMBERED, one))}
    if not numbers:
        return {}
    rows = session.execute(select(Principal.id, Principal.name).where(Principal.id.in_(numbers)))
    return {actor_id(number): name for number, name in rows}


def is_actor(actor: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """The condition that joins an actor's id to its principal; the operator and the anonymous have none."""
    number = func.substring(actor, f"^{NUMBERED}$")
    return Principal.id == cast(number, BigInteger)


def ids_called(session: Session, name: str) -> list[str]:
    """The ids that a filter by actor means: of the principal called so, and the text itself as an id."""
    number = session.scalar(select(Principal.id).where(Principal.name == name))
    return [name] if number is None else [name, actor_id(number)]
