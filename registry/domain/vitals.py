"""How the database does, in a few numbers, for those who watch the service. They tell nothing of any model."""

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from registry.domain import checkpoints
from registry.tables import AuditEvent, AuditSeal, AuditSealer

PATIENCE = text("SET LOCAL statement_timeout = 2000")
"""Milliseconds; whoever watches does not wait longer."""
MICROSECONDS = 1_000_000

MEANINGS = {
    "registry_audit_head": "Number of the newest audit event; it rises with each, and may leave numbers out.",
    "registry_audit_head_timestamp_seconds": "When it was written, seconds since epoch.",
    "registry_audit_sealed": "Audit events that have their position in the sealed log.",
    "registry_audit_checkpoint_size": "Audit events that the last signed checkpoint covers.",
    "registry_audit_checkpoint_timestamp_seconds": "When it was signed, seconds since epoch; 0 if none ever was.",
    "registry_audit_sealer_refusing": "1 if the sealer refuses to sign: the database contradicts what it signed.",
    "registry_audit_sealer_seen_timestamp_seconds": "When the sealer last gave a sign of life; 0 if it never did.",
}


def read(session: Session) -> dict[str, float]:
    """Ask the database, in a transaction that is to end soon: the patience goes with it. A number for each meaning."""
    session.execute(PATIENCE)
    newest = select(AuditEvent.id, AuditEvent.at_us).order_by(AuditEvent.id.desc()).limit(1)
    head, at_us = session.execute(newest).first() or (0, 0)
    sealed = session.scalar(select(func.coalesce(func.max(AuditSeal.position) + 1, 0)))
    signed = checkpoints.latest(session)
    sealer = session.scalar(select(AuditSealer))
    numbers = (
        head,
        at_us / MICROSECONDS,
        sealed or 0,
        signed.size if signed else 0,
        signed.created_at.timestamp() if signed else 0,
        bool(sealer and sealer.state == "refusing"),
        sealer.seen_at.timestamp() if sealer else 0,
    )
    return dict(zip(MEANINGS, map(float, numbers), strict=True))
