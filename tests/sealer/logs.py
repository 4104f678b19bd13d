"""A database with a log in it, a sealer on it, and what has to be true of both afterwards."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.pool import NullPool

from registry.config import Settings
from registry.ledger import verify
from registry.ledger.merkle import Frontier, leaf_hash, range_hash
from registry.ledger.note import Verifier
from registry.ownership import EVENT_TRIGGERS, SEALER
from registry.sealer.place import PUBLIC
from registry.sealer.process import connected, ready
from registry.sealer.sealing import Sealer
from registry.sealer.store import STATE
from registry.sealer.subtrees import Subtrees
from tests.conftest import as_role

CONTEXT = {"actor": "operator", "credential": "", "request_id": "r-1", "reason": "the disk died"}
SET_CONTEXT = text("SELECT set_config('app.actor', 'tests', true), set_config('app.request_id', 'r-0', true)")
APPEND = text(
    "SELECT audit.append('model:' || n % :streams, 'registered_model.update', 'model:' || n % :streams, '{}', "
    "jsonb_build_object('n', jsonb_build_array(n, n + 1))) FROM generate_series(1, :count) n"
)


@dataclass
class Place:
    """One database and one sealer's directory."""

    url: str
    directory: Path

    @property
    def settings(self) -> Settings:
        """Those of a sealer, in the role that may do nothing else."""
        return Settings(database_url=as_role(self.url, SEALER), sealer_dir=self.directory, sealer_interval_ms=10)

    @property
    def engine(self) -> Engine:
        return create_engine(self.url, poolclass=NullPool)

    @property
    def key(self) -> str:
        return (self.directory / PUBLIC).read_text().strip()

    @property
    def memory(self) -> dict[str, Any]:
        kept: dict[str, Any] = json.loads((self.directory / STATE).read_text())
        return kept

    def write(self, count: int, streams: int = 3) -> None:
        """Have the database write events, in one transaction."""
        with self.engine.begin() as connection:
            connection.execute(SET_CONTEXT)
            connection.execute(APPEND, {"count": count, "streams": streams})

    @contextmanager
    def sealer(self, reach: Callable[[str], object] = lambda _: None) -> Iterator[Sealer]:
        with (
            ready(self.settings, lambda _: None, wait=lambda: False) as (store, signer),
            connected(self.settings, wait=lambda: False) as connection,
        ):
            yield Sealer(connection, store, signer, reach)

    def seal(self) -> int:
        with self.sealer() as sealer:
            return sealer.seal()

    def ask(self, question: str, **given: Any) -> list[Any]:
        with self.engine.begin() as connection:
            return [tuple(row) for row in connection.execute(text(question), given)]

    def tamper(self, *statements: str) -> None:
        """Do what a superuser can: put the guards aside, and change the log."""
        tables = ("event", "seal", "checkpoint", "private")
        with self.engine.begin() as connection:
            for guard in EVENT_TRIGGERS:
                connection.execute(text(f"ALTER EVENT TRIGGER {guard} DISABLE"))
            for table in tables:
                connection.execute(text(f"ALTER TABLE audit.{table} DISABLE TRIGGER USER"))
            for statement in statements:
                connection.exec_driver_sql(statement)
            for table in tables:
                connection.execute(text(f"ALTER TABLE audit.{table} ENABLE ALWAYS TRIGGER guard_rows"))
                connection.execute(text(f"ALTER TABLE audit.{table} ENABLE ALWAYS TRIGGER guard_truncate"))
            for guard in EVENT_TRIGGERS:
                connection.execute(text(f"ALTER EVENT TRIGGER {guard} ENABLE ALWAYS"))

    def lines(self) -> list[bytes]:
        """The export."""
        rows = self.ask("SELECT e.body FROM audit.seal s JOIN audit.event e ON e.id = s.event_id ORDER BY s.position")
        return [body.encode() for (body,) in rows]

    def notes(self, origin: str = "model-registry/audit") -> list[str]:
        return [
            note for (note,) in self.ask("SELECT note FROM audit.checkpoint WHERE origin = :o ORDER BY size", o=origin)
        ]

    def verify(self, checkpoint: str, *previous: str) -> int:
        """What the auditor's program says of the export."""
        files = {"export": b"".join(line + b"\n" for line in self.lines()), "checkpoint": checkpoint.encode()}
        files |= {f"previous{number}": note.encode() for number, note in enumerate(previous)}
        at = self.directory / "auditor"
        at.mkdir(exist_ok=True)
        for name, content in files.items():
            (at / name).write_bytes(content)
        command = ["verify", "--jsonl", f"{at}/export", "--key", self.key, "--checkpoint", f"{at}/checkpoint"]
        return verify.main([*command, *(f"--previous={at}/previous{number}" for number in range(len(previous)))])


def grow(connection: Connection, size: int) -> None:
    """Keep the roots of subtrees, inside somebody's transaction."""
    driver: Any = connection.connection.dbapi_connection
    Subtrees(driver).grow(size)


def assert_whole(place: Place) -> None:
    """Every event has one position, without gaps and in the order of its stream; no two checkpoints contradict."""
    assert place.ask("SELECT count(*) FROM audit.pending") == [(0,)]
    rows = place.ask(
        "SELECT s.position, s.event_id, s.leaf, e.hash, e.stream, e.seq FROM audit.seal s "
        "JOIN audit.event e ON e.id = s.event_id ORDER BY s.position"
    )
    assert [row[0] for row in rows] == list(range(len(rows)))
    assert sorted(row[1] for row in rows) == [event for (event,) in place.ask("SELECT id FROM audit.event ORDER BY id")]
    assert all(bytes(leaf) == bytes(stored) for _, _, leaf, stored, _, _ in rows)
    assert_in_order([(stream, seq) for *_, stream, seq in rows])
    assert_subtrees(place, [bytes(leaf) for _, _, leaf, *_ in rows])
    assert_consistent(place)


def assert_subtrees(place: Place, leaves: Sequence[bytes]) -> None:
    """All complete subtrees of 256 leaves are kept, and nothing else (a log of tests has no larger ones)."""
    full = [leaves[start : start + 256] for start in range(0, len(leaves) // 256 * 256, 256)]
    kept = place.ask("SELECT height, number, hash FROM audit.subtree ORDER BY height, number")
    assert [(height, number, bytes(found)) for height, number, found in kept] == [
        (8, number, range_hash(part)) for number, part in enumerate(full)
    ]


def assert_in_order(events: Sequence[tuple[str, int]]) -> None:
    last: dict[str, int] = {}
    for stream, seq in events:
        assert seq == last.get(stream, 0) + 1
        last[stream] = seq


def assert_consistent(place: Place, origin: str = "model-registry/audit") -> None:
    """Each checkpoint has the root of the beginning of one and the same list of lines, and the last is of all."""
    tree, roots = Frontier(), {}
    for line in place.lines():
        tree.append(leaf_hash(line))
        roots[tree.size] = tree.root()
    notes = place.notes(origin)
    signed = [Verifier.parse(place.key).open(note) for note in notes]
    assert all(roots[one.size] == one.root for one in signed)
    assert signed[-1].size == tree.size == Frontier.parse(place.memory["tree"]).size
    assert (place.directory / "checkpoint").read_text() == notes[-1] == place.memory["note"]
    assert place.verify(notes[-1], *notes[:-1]) == 0
