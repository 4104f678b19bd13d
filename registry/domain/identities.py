"""Principals that an issuer vouches for. They are made at first sight, and known by what the issuer calls them.

What they are called here is for showing, and never decides who somebody is: a name that another principal has is not
taken from it, and does not make the two one.
"""

from dataclasses import dataclass

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import ARRAY, TEXT, insert
from sqlalchemy.orm import Session

from registry.domain import access, granted, lookup, principals
from registry.domain.access import Grant, Principal
from registry.errors import Conflict
from registry.identity.vouched import Vouched
from registry.tables import Principal as PrincipalRow


@dataclass(frozen=True, slots=True)
class AnIssuer:
    """In whose name the log says that a principal was made: of the issuer that vouched for it."""

    id: str
    credential: str


def issuer_of(vouched: Vouched) -> AnIssuer:
    """The actor behind the making of a principal."""
    return AnIssuer(f"issuer:{vouched.issuer_name}", vouched.credential)


def known(session: Session, vouched: Vouched) -> Principal | None:
    """The principal, if it is known and is called as the issuer says. One indexed query, its grants included."""
    row = session.execute(KNOWN, asked(vouched)).one_or_none()
    if row is None or row.name not in vouched.names:
        return None
    return principal(row.id, row.name, vouched, granted.read(row.grants, row.name))


def asked(vouched: Vouched) -> dict[str, object]:
    """What `KNOWN` is asked with."""
    return {"issuer": vouched.issuer, "subject": vouched.subject, "groups": list(vouched.groups)}


def admit(session: Session, vouched: Vouched) -> Principal:
    """Make the principal, or call it as the issuer does by now.

    :raises Conflict: both names that it could have are another one's.
    """
    for name in vouched.names:
        made = insert(PrincipalRow).values(name=name, issuer=vouched.issuer, subject=vouched.subject)
        session.execute(made.on_conflict_do_nothing())
        found = known(session, vouched) or renamed(session, name, vouched)
        if found is not None:
            return found
    raise Conflict(f"The name '{vouched.name}' is another principal's. An administrator has to change one of them.")


def renamed(session: Session, name: str, vouched: Vouched) -> Principal | None:
    """The principal under this name, which it had not; None if there is no such principal, or the name is taken."""
    taken = select(PrincipalRow.id).where(PrincipalRow.name == name).exists()
    mine = (PrincipalRow.issuer == vouched.issuer, PrincipalRow.subject == vouched.subject)
    change = update(PrincipalRow).where(*mine, ~taken).values(name=name)
    session.execute(change, execution_options={"synchronize_session": False})
    return known(session, vouched)


def principal(number: int, name: str, vouched: Vouched, grants: tuple[Grant, ...]) -> Principal:
    """The caller that an issuer has vouched for, with the role that the settings give to its groups."""
    if vouched.role is not None:
        grants = (*grants, access.whole(vouched.role, f"a group of '{vouched.issuer_name}'"))
    return Principal(principals.actor_id(number), name, vouched.credential, vouched.groups, grants)


KNOWN = lookup.settled(
    select(
        PrincipalRow.id,
        PrincipalRow.name,
        granted.as_json(PrincipalRow.id, bindparam("groups", type_=ARRAY(TEXT))).label("grants"),
    ).where(PrincipalRow.issuer == bindparam("issuer"), PrincipalRow.subject == bindparam("subject"))
)
