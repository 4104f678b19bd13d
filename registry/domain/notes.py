"""Events of the audit log that no changed row stands for: refused access, refused tokens, exports.

The database writes them in the name of who acts, and rations those that anybody can cause (migrations/versions/0008):
of refusals, each actor gets no more than ten a minute into the log.
"""

import re
from collections.abc import Mapping

from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from registry.domain import principals
from registry.domain.audit import Question
from registry.errors import Forbidden
from registry.vocabulary import Action

LONGEST = 256
"""Characters of a value that are noted."""
ID = re.compile(r"operator|anonymous|(principal|migration|database):[\w-]{1,64}")


def refused(session: Session, error: Forbidden) -> None:
    """Note that the actor was refused something."""
    note(session, Action.ACCESS_REFUSE, {"permission": error.permission, "model": error.model})


def token_refused(session: Session, why: str) -> None:
    """Note that a token was sent that had been good once: `why` it is not any more."""
    note(session, Action.TOKEN_REFUSE, {"why": why})


def exported(session: Session, question: Question, kind: str, limit: int | None) -> None:
    """Note that the actor takes events away, and which."""
    asked = {
        "format": kind,
        "limit": limit,
        "model": question.model,
        "version": question.number,
        "actor": pseudonym(session, question.actor),
        "action": question.action,
        "subject": question.subject,
        "since": question.since and question.since.isoformat(),
        "until": question.until and question.until.isoformat(),
        "request_id": question.request_id,
    }
    note(session, Action.AUDIT_EXPORT, asked)


def pseudonym(session: Session, actor: str | None) -> str | None:
    """An actor as it may stand in a line for good: its id. A name may have to be erased one day."""
    if actor is None:
        return None
    known = principals.ids_called(session, actor)[-1]
    return known if ID.fullmatch(known) else "nobody known"


def note(session: Session, action: Action, said: Mapping[str, object]) -> None:
    """Have the database write an event in the name of the transaction's actor."""
    changes = {name: [None, storable(value)] for name, value in said.items() if value is not None}
    session.execute(select(func.audit.note(action.value, literal(changes, JSONB))))


def storable(value: object) -> object:
    """A value as it can be noted, also where it is what a caller sent and nobody has looked at yet."""
    if not isinstance(value, str):
        return value
    return value[:LONGEST].encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
