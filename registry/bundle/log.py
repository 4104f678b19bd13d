"""The audit log in a bundle, checked while it goes by: chain, texts, positions, and the root that was signed last.

What `registry audit verify --db` checks of a log, by the same code where that needs no database. Signatures it leaves
to that, since it has no key, and also whether an older epoch's checkpoints are borne out.
"""

from typing import Any

from registry.bundle.form import Header
from registry.bundle.sections import Row, Section
from registry.ledger.merkle import Frontier
from registry.ledger.note import Checkpoint, Note, NoteError
from registry.verification.events import Event, Events, from_body, read
from registry.verification.findings import Findings
from registry.verification.texts import ERASE, Texts

SYSTEM = "system:"


class Log:
    """Takes the rows of the log in the order of a bundle, and passes over all others."""

    def __init__(self) -> None:
        self._findings = Findings()
        self._events = Events(self._findings, signed=0, late_before=0)
        self._texts = Texts(self._findings)
        self._event: tuple[Event, dict[str, Any]] | None = None
        self._kept: dict[tuple[str, str], tuple[bytes, str]] = {}
        self._tree = Frontier()
        self._header: Header | None = None
        self._signed = False
        self.changes = self.erasures = 0

    def begin(self, header: Header) -> None:
        """Be told what the first line says of the log."""
        self._header = header

    def take(self, section: Section, row: Row) -> None:
        """Check the next row.

        :raises ValueError: it is not right; the text says why.
        """
        check = CHECKS.get(section.name)
        if check is not None:
            check(self, row)
            self._raise()

    def finish(self) -> None:
        """Check what only the end shows.

        :raises ValueError: something is missing.
        """
        self._close_event()
        self._texts.finish()
        self._raise()
        if self._tree.size > self._events.count:
            raise ValueError(f"{self._tree.size} events have a position, and there are {self._events.count}")
        if self._header and self._header.checkpoint is not None and not self._signed:
            raise ValueError("the checkpoint that the first line names is not there")

    def _raise(self) -> None:
        for found in self._findings.first_ones:
            raise ValueError(f"the log does not hold together at {found.where}: {found.what}")

    def _take_event(self, row: Row) -> None:
        self._close_event()
        try:
            line = read(row["body"])
        except ValueError as error:
            raise ValueError(f"the body is no event: {error}") from None
        event = Event._make((row["id"], row["body"], unhex(row["hash"]), *from_body(line), None, None, True))
        self._events.take(event)
        self._event = event, line
        self.changes += not event.stream.startswith(SYSTEM)
        self.erasures += event.action == ERASE

    def _take_text(self, row: Row) -> None:
        if self._event is None or self._event[0].id != row["event_id"]:
            raise ValueError(f"the text belongs to event {row['event_id']}, which does not stand before it")
        self._kept[row["field"], row["side"]] = unhex(row["salt"]), row["content"]

    def _close_event(self) -> None:
        """Hold the texts of an event, all of which have come, against its digests of them."""
        if self._event is not None:
            self._texts.take(*self._event, self._kept)
        self._event, self._kept = None, {}

    def _take_seal(self, row: Row) -> None:
        self._close_event()
        if row["position"] != self._tree.size:
            raise ValueError(f"position {row['position']} stands where {self._tree.size} has to")
        self._tree.append(unhex(row["leaf"]))

    def _take_checkpoint(self, row: Row) -> None:
        try:
            signed = Checkpoint.parse(Note.parse(row["note"]).text)
        except NoteError as error:
            raise ValueError(f"the note is no checkpoint: {error}") from None
        if (signed.origin, signed.size) != (row["origin"], row["size"]):
            raise ValueError("the checkpoint stands under another origin or size than it was signed for")
        if self._header is None or signed.origin != self._header.origin:
            return  # of an epoch that a restore has ended, and perhaps of events that it has lost
        if (signed.size, signed.root) != (self._tree.size, self._tree.root()):
            raise ValueError(f"the first {signed.size} events do not have the root that was signed")
        self._signed |= row["note"] == self._header.checkpoint


CHECKS = {
    "event": Log._take_event,
    "private": Log._take_text,
    "seal": Log._take_seal,
    "checkpoint": Log._take_checkpoint,
}


def unhex(written: str) -> bytes:
    """Bytes as PostgreSQL writes them in JSON."""
    return bytes.fromhex(written.removeprefix("\\x"))
