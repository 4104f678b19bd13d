"""Looks at everything once clients are gone: the journal against the log, the log against the tables, the answers."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from chaos import judging
from chaos.journal import GRACE_SECONDS
from chaos.judging import Event
from chaos.load import SETUP
from chaos.service import run

if TYPE_CHECKING:
    from chaos.box import Box

MANY = 20
"""Faults of one kind after which more of them say nothing."""
EVENTS = (
    "SELECT e.stream, e.seq, s.position, e.request_id, e.action, e.object, e.body::json -> 'changes' "
    "FROM audit.event e LEFT JOIN audit.seal s ON s.event_id = e.id"
)
VERSIONS = "SELECT source, count(*) FROM registry.model_versions GROUP BY source"
TENURES = (
    "SELECT model_id, number, (extract(epoch FROM since) * 1000000)::bigint, "
    "(extract(epoch FROM until) * 1000000)::bigint FROM registry.stage_intervals WHERE stage = 'Production'"
)


def check(box: "Box") -> None:
    """Write down in the journal what does not hold."""
    events = [Event(*row) for row in box.server.ask(EVENTS)]
    requests = judging.by_request(events)
    gone = {change.id for change in judging.lost(box.journal.changes, requests, box.journal.rewound)}
    changes = [change for change in box.journal.changes if change.id not in gone]
    if box.journal.rewound:
        box.counts["acknowledged, and lost"] += len(gone)
    note(box, (fault for change in changes for fault in judging.judge(change, requests)))
    note(box, judging.unasked(changes, requests, SETUP))
    note(box, judging.gaps(events))
    note(box, judging.out_of_order(changes, requests))
    note(box, judging.not_once(changes, dict(box.server.ask(VERSIONS))))
    note(box, judging.overlaps(box.server.ask(TENURES)))
    note(box, judging.missed(box.load.follower.seen, sum(event.position is not None for event in events)))
    if box.slowest_ready > GRACE_SECONDS:
        box.journal.fault(f"not ready for {box.slowest_ready:.1f} s after the database was there again")
    verify(box)
    box.counts["events"] += len(events)


def note(box: "Box", faults: Iterable[str]) -> None:
    """Write faults down, but of many of one kind no more than the first."""
    for number, fault in enumerate(faults):
        if number == MANY:
            box.journal.fault("... and more like that")
            return
        box.journal.fault(fault)


def verify(box: "Box") -> None:
    """Have the registry itself verify the log, and the tables against it."""
    done = run(
        "audit", "verify", "--db", "--json", root=box.root,
        REGISTRY_DATABASE_URL=box.server.url("audit_reader"), REGISTRY_SEALER_DIR=str(box.directory / "sealer"),
    )  # fmt: skip
    if done.returncode:
        found = json.loads(done.stdout).get("first_divergences") if done.stdout else done.stderr
        box.journal.fault(f"the log does not verify: {str(found)[:600]}")
