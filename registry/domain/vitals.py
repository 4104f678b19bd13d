"""How the database does, in a few numbers, for those who watch the service. They tell nothing of any model."""

from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from registry.tables import AuditEvent

PATIENCE = text("SET LOCAL statement_timeout = 2000")
"""Milliseconds; whoever watches does not wait longer."""

HEAD, HEAD_AT = "registry_audit_head", "registry_audit_head_timestamp_seconds"
MEANINGS = {
    HEAD: "Number of the newest audit event; it rises with each, and may leave numbers out.",
    HEAD_AT: "When it was written, seconds since epoch.",
}
MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Vitals:
    """The newest event of the log: its number and its time, microseconds since epoch; zeros if there is none."""

    head: int
    head_at_us: int

    def numbers(self) -> dict[str, float]:
        """All of it, by name."""
        return {HEAD: self.head, HEAD_AT: self.head_at_us / MICROSECONDS}


def read(session: Session) -> Vitals:
    """Ask the database, in a transaction that is to end soon: the patience goes with it."""
    session.execute(PATIENCE)
    newest = session.execute(select(AuditEvent.id, AuditEvent.at_us).order_by(AuditEvent.id.desc()).limit(1)).first()
    return Vitals(*(newest or (0, 0)))
