"""`/snapshot`: the whole registry as it was at a moment, as JSON lines."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, g

from registry.domain import snapshot
from registry.domain.snapshot import Row, Snapshot, State
from registry.domain.times import rfc3339
from registry.faces.contract import PAST, operation
from registry.faces.inbound import reading, reading_later
from registry.faces.rest.audit_export import file
from registry.faces.rest.schemas.moments import SnapshotQuery
from registry.faces.rest.schemas.proofs import Evidence
from registry.faces.rest.wire import load_query

KIND = "application/jsonl"
EVIDENCE = Evidence()
OF_A_VERSION = ("stage", "source", "run_id", "run_link", "logged_model_id", "digest", "storage_location", "description")


@operation(
    "The whole registry as it was at a moment",
    "Made from the audit log alone, as JSON lines: a `snapshot` with the moment; of each model, by id, one `model` "
    "with the last event that went into it, each `version`, each `comment`; at last one `end` that counts them. "
    "A text that was erased is its salted digest. With `proof=true` each `model` has the proof of its event.",
    query=SnapshotQuery,
    answer=KIND,
    files=(KIND,),
    replica=PAST,
)
def as_of() -> Response:
    """GET /snapshot."""
    asked = load_query(SnapshotQuery)
    found = snapshot.as_of(reading(), reading_later(), g.principal, asked["at"], prove=asked["proof"])
    return file(lines(found), KIND, "snapshot", "jsonl")


def lines(found: Snapshot) -> Iterator[str]:
    """A snapshot as lines of JSON."""
    yield line("snapshot", {"at": rfc3339(found.at)})
    counts = {"models": 0, "versions": 0, "comments": 0}
    for state in found.models:
        counts["models"] += 1
        counts["versions"] += len(state.versions)
        counts["comments"] += len(state.comments)
        yield "".join(lines_of(state))
    yield line("end", counts)


def lines_of(state: State) -> Iterator[str]:
    """One model, its versions and its comments."""
    name = state.model["name"]
    yield line("model", model(state))
    for row in state.versions:
        yield line("version", {"name": name, "version": row["number"]} | version(row))
    for row in state.comments:
        said = {"id": row["id"], "name": name, "version": row.get("number")}
        yield line("comment", said | {"author": row["author"], "text": row["text"]} | made(row))


def model(state: State) -> dict[str, Any]:
    """A model, and the event that its state can be proven by."""
    row = state.model
    event = EVIDENCE.dump(state.evidence) if state.evidence else None
    about = {"id": row["id"], "name": row["name"], "description": row.get("description")}
    labels = {"tags": state.tags, "aliases": state.aliases}
    return about | labels | made(row) | {"created_by": row["created_by"], "event": event}


def version(row: Row) -> dict[str, Any]:
    """What a version is, beside its name."""
    about = {name: row.get(name) for name in OF_A_VERSION}
    return about | {"tags": row["tags"], "aliases": row["aliases"]} | made(row) | {"created_by": row["created_by"]}


def made(row: Row) -> dict[str, str]:
    """When a row was made; the log has it as the database writes it."""
    return {"created_at": rfc3339(datetime.fromisoformat(row["created_at"]))}


def line(kind: str, said: dict[str, Any]) -> str:
    """A line of JSON."""
    return json.dumps({"kind": kind} | said, ensure_ascii=False, separators=(",", ":")) + "\n"


def mount(face: Blueprint) -> None:
    """Give the face these routes."""
    face.get("/snapshot", endpoint="snapshot")(as_of)
