"""Checkpoints: what the sealer has signed, which root the log has at which size."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.domain import access
from registry.domain.access import Principal
from registry.errors import NotFound
from registry.tables import AuditCheckpoint
from registry.vocabulary import Permission

NOTHING = (
    "No checkpoint of the audit log was signed yet. A sealer at work ('registry sealer') signs one within seconds."
)


def read(session: Session, principal: Principal, size: int | None = None) -> AuditCheckpoint:
    """The latest checkpoint, or the latest of those that were signed at this size.

    :raises Forbidden: the principal may not read the log.
    :raises NotFound: there is none.
    """
    access.require(session, principal, Permission.READ)
    current = signed(session)
    found = current if size is None else of_size(session, size)
    if found is None:
        raise NotFound(
            f"No checkpoint was signed at a size of {size}; the latest is of {current.size} events. "
            "Between two checkpoints there may be many events."
        )
    return found


def signed(session: Session) -> AuditCheckpoint:
    """The latest checkpoint.

    :raises NotFound: there is none.
    """
    found = latest(session)
    if found is None:
        raise NotFound(NOTHING)
    return found


def latest(session: Session) -> AuditCheckpoint | None:
    """The latest checkpoint; None if nothing was signed yet."""
    question = select(AuditCheckpoint).order_by(AuditCheckpoint.created_at.desc(), AuditCheckpoint.size.desc())
    return session.scalar(question.limit(1))


def of_size(session: Session, size: int) -> AuditCheckpoint | None:
    """The latest checkpoint of a size; None if nothing was signed at that one."""
    question = select(AuditCheckpoint).where(AuditCheckpoint.size == size)
    return session.scalar(question.order_by(AuditCheckpoint.created_at.desc()).limit(1))
