"""The audit log as a file, streamed: JSON lines, which are the stored lines, or CSV for spreadsheets."""

import csv
import io
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import Response, current_app, g, request
from sqlalchemy.orm import Session

from registry.domain import audit, audit_export, notes
from registry.domain.audit import Entry, Events, Question
from registry.domain.audit_export import Present
from registry.domain.times import rfc3339
from registry.faces.inbound import change, reading, reading_later

COLUMNS = (
    "time",
    "stream",
    "seq",
    "actor",
    "actor_name",
    "credential",
    "action",
    "subject",
    "model",
    "version",
    "changes",
    "reason",
    "request_id",
    "hash",
    "position",
)
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet run a cell instead of showing it. Source: OWASP, "CSV Injection"."""


def jsonl(_: Session, events: Events) -> str:
    """The lines as they are stored, byte for byte."""
    return "".join(f"{event.body}\n" for event in events)


def rows(session: Session, events: Events) -> str:
    """Events as rows of CSV."""
    return written(map(cells, audit.entries(session, events)))


def cells(entry: Entry) -> Sequence[object]:
    """One event in the order of the columns."""
    event = entry.event
    return (
        rfc3339(entry.at),
        event.stream,
        event.seq,
        entry.actor.id,
        entry.actor.name,
        entry.line["credential"],
        event.action,
        event.object,
        entry.line.get("model"),
        event.number,
        json.dumps(entry.changes, ensure_ascii=False, separators=(",", ":")),
        entry.reason,
        event.request_id,
        event.hash.hex(),
        entry.position,
    )


def written(table: Iterable[Sequence[object]]) -> str:
    """Rows of CSV as RFC 4180 has them."""
    text = io.StringIO()
    csv.writer(text).writerows(map(harmless, row) for row in table)
    return text.getvalue()


def harmless(cell: object) -> object:
    """A cell that no spreadsheet takes for a formula: an apostrophe in front makes it text."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file: its media type, what it begins with, and how a batch of events is written in it."""

    media_type: str
    head: str
    present: Present[str]


# Of the names for JSON lines, none of which is registered, OpenAPI lists this one; the other one begins with the "x-"
# that RFC 6648 advises against.
FORMATS = {
    "jsonl": Format("application/jsonl", "", jsonl),
    "csv": Format("text/csv; charset=utf-8; header=present", written([COLUMNS]), rows),
}
FILES = tuple(form.media_type.partition(";")[0] for form in FORMATS.values())


def export(question: Question, kind: str, *, newest_first: bool, limit: int | None) -> Response:
    """Answer with a file of this kind that is written while it is sent. That it was taken is on record first."""
    form = FORMATS[kind]
    batches = audit_export.export(
        reading(), reading_later(), g.principal, question, form.present, newest_first=newest_first, limit=limit
    )
    tell(question, kind, limit)
    return file(itertools.chain([form.head] if form.head else [], batches), form.media_type, "audit", kind)


def tell(question: Question, kind: str, limit: int | None) -> None:
    """Put on record that the caller takes events away."""
    with change() as session:
        notes.exported(session, question, kind, limit)


def export_signed() -> Response | None:
    """Answer with all lines that the latest checkpoint covers, and with it at the end; None if nothing was signed yet.

    This is what `registry-audit verify` takes.
    """
    found = audit_export.signed(reading(), reading_later(), g.principal)
    if found is None:
        return None
    checkpoint, batches = found
    tell(Question(), "jsonl", None)
    end = json.dumps({"checkpoint": checkpoint.note}) + "\n"
    chunks = itertools.chain(("".join(f"{line}\n" for line in batch) for batch in batches), [end])
    return file(chunks, FORMATS["jsonl"].media_type, "audit", "jsonl")


def file(chunks: Iterator[str], media_type: str, what: str, kind: str) -> Response:
    """Answer with a file that is written while it is sent."""
    answer = Response(reported(chunks), content_type=media_type)
    name = f"{what}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{kind}"
    answer.headers.set("Content-Disposition", "attachment", filename=name)
    return answer


def reported(chunks: Iterator[str]) -> Iterator[str]:
    """The same chunks; a fault among them is written down under the request's id and goes on to the web server.

    The server then hangs up before the end of a chunked answer, so that nobody takes a part for the whole.
    """
    environ, request_id, log = request.environ, g.request_id, current_app.logger

    def watched() -> Iterator[str]:
        try:
            yield from chunks
        except Exception:
            environ["registry.outcome"] = "failed"
            log.exception("request %s failed while its answer was sent", request_id)
            raise

    return watched()
