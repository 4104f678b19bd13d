"""Proofs that an event is in the log that was signed, and that one signed log is the beginning of another."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from registry.domain import access, checkpoints, subtrees, visible
from registry.domain.access import Principal
from registry.errors import Conflict, Invalid, NotFound
from registry.ledger import merkle
from registry.tables import AuditCheckpoint, AuditEvent, AuditSeal
from registry.vocabulary import Permission


@dataclass(frozen=True, slots=True)
class Inclusion:
    """The hashes (RFC 6962) that prove a leaf to stand at a position of the log of `size` events.

    `checkpoint` is what was signed at that size; None where no checkpoint has just this size.
    """

    position: int
    size: int
    leaf: bytes
    hashes: list[bytes]
    checkpoint: AuditCheckpoint | None


@dataclass(frozen=True, slots=True)
class Consistency:
    """The hashes (RFC 6962) that prove the log of `first` events to be the beginning of that of `second`."""

    first: int
    second: int
    hashes: list[bytes]
    checkpoint: AuditCheckpoint | None


@dataclass(frozen=True, slots=True)
class Named:
    """An event by its place in its stream, and its hash."""

    stream: str
    seq: int
    hash: bytes


NAMED = (AuditEvent.stream, AuditEvent.seq, AuditEvent.hash)
"""The columns of `Named`."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """An event, its position once it is sealed, and the proof of that where it was asked for and is signed already."""

    event: Named
    position: int | None
    proof: Inclusion | None


def inclusion(session: Session, principal: Principal, position: int, size: int | None = None) -> Inclusion:
    """Prove that the event at a position is in the log of `size` events, or in the one that was signed last.

    :raises Forbidden: the principal may not read the log.
    :raises NotFound: nothing was signed yet, or there is no such position, or not for this principal.
    :raises Conflict: so many events were not signed yet.
    """
    access.require(session, principal, Permission.READ)
    size = signed_size(session, size)
    if position >= size:
        raise NotFound(f"There is no position {position} among the first {size} events: the first one has position 0.")
    check_readable(session, principal, position)
    return proof_of(session, position, size)


def check_readable(session: Session, principal: Principal, position: int) -> None:
    """:raises NotFound: the event at this position is none that the principal may read."""
    if visible.sees_all(principal):
        return
    question = select(AuditEvent.id).join(AuditSeal, AuditSeal.event_id == AuditEvent.id)
    if session.scalar(question.where(AuditSeal.position == position, *visible.events(principal))) is None:
        raise NotFound(f"There is no event at position {position} that '{principal.name}' may read.")


def consistency(session: Session, principal: Principal, first: int, second: int | None = None) -> Consistency:
    """Prove that the log of `first` events is the beginning of that of `second`, or of the one that was signed last.

    :raises Forbidden: the principal may not read the log.
    :raises NotFound: nothing was signed yet.
    :raises Invalid: `first` is larger than `second`.
    :raises Conflict: so many events were not signed yet.
    """
    access.require(session, principal, Permission.READ)
    if second is not None and first > second:
        raise Invalid(f"A log of {first} events is no beginning of one of {second}.", "from")
    size = signed_size(session, second, first)
    ranges = merkle.consistency_ranges(first, size) if first else []
    return Consistency(first, size, subtrees.hashes(session, ranges), checkpoints.of_size(session, size))


def signed_size(session: Session, size: int | None, smaller: int = 0) -> int:
    """A size of the log that a signature covers; by default the largest.

    :raises NotFound: nothing was signed yet.
    :raises Conflict: so many events, or so many as `smaller` has, were not signed yet.
    """
    largest = checkpoints.signed(session).size
    wanted = max(size or 0, smaller)
    if wanted > largest:
        raise Conflict(f"A log of {wanted} events was not signed yet: the latest checkpoint is of {largest}.")
    return largest if size is None else size


def proof_of(session: Session, position: int, size: int) -> Inclusion:
    """The proof for a position that is there."""
    own = (position, position + 1)
    leaf, *hashes = subtrees.hashes(session, [own, *merkle.inclusion_ranges(position, size)])
    return Inclusion(position, size, leaf, hashes, checkpoints.of_size(session, size))


def evidence(session: Session, events: Sequence[Named], *, prove: bool) -> list[Evidence]:
    """Where events stand in the log; with `prove`, proofs of that under the latest checkpoint."""
    places = positions(session, events)
    last = checkpoints.latest(session) if prove else None
    size = last.size if last else 0
    found = []
    for event in events:
        at = places.get((event.stream, event.seq))
        proof = proof_of(session, at, size) if at is not None and at < size else None
        found.append(Evidence(event, at, proof))
    return found


def positions(session: Session, events: Sequence[Named]) -> dict[tuple[str, int], int]:
    """The positions of those events that are sealed, by stream and number."""
    named = [(event.stream, event.seq) for event in events]
    if not named:
        return {}
    question = select(AuditEvent.stream, AuditEvent.seq, AuditSeal.position).join(
        AuditSeal, AuditSeal.event_id == AuditEvent.id
    )
    rows = session.execute(question.where(tuple_(AuditEvent.stream, AuditEvent.seq).in_(named)))
    return {(stream, seq): position for stream, seq, position in rows}
