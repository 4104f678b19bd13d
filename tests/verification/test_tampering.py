"""What a superuser who has put every guard aside can do to the log and the tables, and who finds it.

One row for each kind of tampering. Three detectors: the checks of the log in the database by itself (what most
hash-chained audit tables have), the auditor's program against a checkpoint that was kept elsewhere, and the replay of
the log against the tables. Where it says that nobody finds it, the documentation says so too.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text

from registry.ledger.merkle import Frontier, leaf_hash
from registry.ledger.note import Checkpoint
from registry.sealer.seals import Refusal
from registry.sealer.store import Store
from tests.verification.history import History, hash_of, written
from tests.verification.registries import Registry, found_by

GOES_ON, REFUSES = "goes on", "refuses"


def nothing(registry: Registry) -> None:
    pass


def body_of(registry: Registry, number: int) -> dict[str, Any]:
    [(body,)] = registry.ask("SELECT body FROM audit.event WHERE id = :id", id=number)
    line: dict[str, Any] = json.loads(body)
    return line


def the_event(registry: Registry) -> int:
    """One in the middle of a stream, and of the log."""
    history = History.of(registry)
    number, _ = history.events[history.find(action="model_version.transition")]
    return number


def change_a_field(registry: Registry) -> None:
    registry.silently(
        f"UPDATE audit.event SET body = replace(body, '\"operator\"', '\"alice\"') WHERE id = {the_event(registry)}"
    )


def change_a_field_and_its_hash(registry: Registry) -> None:
    change_a_field(registry)
    digest = "sha256('\\x00'::bytea || convert_to(body, 'UTF8'))"
    number = the_event(registry)
    registry.silently(
        f"UPDATE audit.event SET hash = {digest} WHERE id = {number}",
        f"UPDATE audit.seal s SET leaf = e.hash FROM audit.event e WHERE e.id = s.event_id AND e.id = {number}",
    )


def rewrite(registry: Registry) -> None:
    history = History.of(registry)
    history.events[history.find(action="model_version.transition")][1]["actor"] = "alice"
    history.recompute()
    history.write(registry)


def delete_and_close_the_gap(registry: Registry) -> None:
    history = History.of(registry)
    history.remove(history.find(action="model_version.transition"))
    history.write(registry)


def delete_and_recompute(registry: Registry) -> None:
    history = History.of(registry)
    history.remove(history.find(action="model_version.transition"))
    history.recompute()
    history.write(registry)


def delete_the_last_sealed(registry: Registry) -> None:
    history = History.of(registry)
    line = history.events[history.last_sealed()][1]
    history.remove(history.last_sealed())
    history.recompute()
    history.write(registry)
    undo(registry, line)


def undo(registry: Registry, line: dict[str, Any]) -> None:
    assert line["action"] == "principal.create"
    registry.silently(f"DELETE FROM registry.principals WHERE id = {line['changes']['id'][1]}")


def delete_an_unsealed_one(registry: Registry) -> None:
    history = History.of(registry)
    _, line = history.events.pop()
    history.write(registry)
    undo(registry, line)


def swap_two(registry: Registry) -> None:
    """Of two streams, so that each is still in its own order."""
    history = History.of(registry)
    one, other = history.find(action="token.create"), history.find(action="model_version.purge")
    positions = {history.positions[history.events[place][0]] for place in (one, other)}
    values = {"one": min(positions), "other": max(positions)}
    with registry.guards_down() as connection:
        rows = connection.execute(text("SELECT * FROM audit.seal WHERE position IN (:one, :other)"), values).all()
        connection.execute(text("DELETE FROM audit.seal WHERE position IN (:one, :other)"), values)
        for place, row in zip((values["other"], values["one"]), sorted(rows), strict=True):
            insert = text("INSERT INTO audit.seal VALUES (:place, :event, :leaf)")
            connection.execute(insert, {"place": place, "event": row.event_id, "leaf": bytes(row.leaf)})


def insert_a_back_dated_one(registry: Registry) -> None:
    history = History.of(registry)
    place = history.find(action="model_version.transition")
    line = dict(history.events[place][1])
    line |= {"action": "alias.set", "object": f"model:{line['model_id']}/alias:forged", "reason": None}
    line["changes"] = {"model_id": [None, line["model_id"]], "alias": [None, "forged"], "number": [None, 1]}
    history.insert(place, line)
    history.recompute()
    history.write(registry)


def change_a_filter_column(registry: Registry) -> None:
    registry.silently(f"UPDATE audit.event SET actor = 'alice' WHERE id = {the_event(registry)}")


def change_a_table(registry: Registry) -> None:
    registry.silently("UPDATE registry.model_versions SET source = 's3://evil/model' WHERE number = 1")


def historic(registry: Registry) -> tuple[int, str, str]:
    """A text that was replaced, as it stands before the change."""
    [row, *_] = registry.ask(
        "SELECT event_id, field, side FROM audit.private JOIN audit.event e ON e.id = event_id "
        "WHERE e.action = 'comment.edit' AND side = 'before'"
    )
    return tuple(row)


def alter_a_text(registry: Registry) -> None:
    number, name, side = historic(registry)
    where = f"event_id = {number} AND field = '{name}' AND side = '{side}'"
    registry.silently(f"UPDATE audit.private SET content = 'looks bad' WHERE {where}")


def delete_a_text(registry: Registry) -> None:
    number, name, side = historic(registry)
    registry.silently(f"DELETE FROM audit.private WHERE event_id = {number} AND field = '{name}' AND side = '{side}'")


def erase_a_text(registry: Registry) -> None:
    number, name, side = historic(registry)
    with registry.engine.begin() as connection:
        connection.exec_driver_sql("SELECT set_config('app.actor', 'o', true), set_config('app.request_id', 'r', true)")
        connection.execute(
            text("SELECT audit.erase(:number, :name, :side, 'article 17')"),
            {"number": number, "name": name, "side": side},
        )


def claim_to_be_alice(registry: Registry) -> None:
    with registry.engine.begin() as connection:
        connection.exec_driver_sql(
            "SELECT set_config('app.actor', 'alice', true), set_config('app.request_id', 'r', true)"
        )
        connection.exec_driver_sql("UPDATE registry.model_versions SET source = 's3://evil/model' WHERE number = 1")


def cut_back(registry: Registry) -> None:
    history = History.of(registry)
    history.events = history.events[:40]
    kept = {number for number, _ in history.events}
    history.positions = {number: at for number, at in history.positions.items() if number in kept}
    history.write(registry)
    registry.silently("DELETE FROM audit.checkpoint WHERE size > 40")


@dataclass(frozen=True)
class Case:
    """One tampering: whether each detector finds it, and what the sealer does next (None: as it comes)."""

    tamper: Callable[[Registry], None]
    log: bool
    signed: bool
    replay: bool
    sealer: str | None


CASES = [
    Case(nothing, log=False, signed=False, replay=False, sealer=GOES_ON),
    Case(change_a_field, log=True, signed=True, replay=False, sealer=GOES_ON),
    Case(change_a_field_and_its_hash, log=True, signed=True, replay=False, sealer=GOES_ON),
    Case(rewrite, log=False, signed=True, replay=False, sealer=GOES_ON),
    Case(delete_and_close_the_gap, log=True, signed=True, replay=True, sealer=REFUSES),
    Case(delete_and_recompute, log=False, signed=True, replay=True, sealer=REFUSES),
    Case(delete_the_last_sealed, log=False, signed=True, replay=False, sealer=REFUSES),
    Case(delete_an_unsealed_one, log=False, signed=False, replay=False, sealer=GOES_ON),
    Case(swap_two, log=False, signed=True, replay=False, sealer=GOES_ON),
    Case(insert_a_back_dated_one, log=False, signed=True, replay=True, sealer=REFUSES),
    Case(change_a_filter_column, log=True, signed=False, replay=False, sealer=GOES_ON),
    Case(change_a_table, log=False, signed=False, replay=True, sealer=GOES_ON),
    Case(alter_a_text, log=True, signed=False, replay=False, sealer=GOES_ON),
    Case(delete_a_text, log=True, signed=False, replay=False, sealer=GOES_ON),
    Case(erase_a_text, log=False, signed=False, replay=False, sealer=GOES_ON),
    Case(claim_to_be_alice, log=False, signed=False, replay=False, sealer=GOES_ON),
    Case(cut_back, log=False, signed=True, replay=True, sealer=REFUSES),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.tamper.__name__)
def test_who_finds_what(registry: Registry, case: Case) -> None:
    *_, kept = registry.notes()
    case.tamper(registry)

    found = found_by(registry.check())
    assert ("log" in found, "replay" in found) == (case.log, case.replay)
    assert registry.offline(kept) is not case.signed
    assert ("checkpoints" in found_by(registry.check(kept))) is (case.signed and case.tamper not in SAME_LEAVES)
    assert sealer_then(registry) == case.sealer


SAME_LEAVES = {change_a_field}
"""What the seals do not show, since only the body is another one: the check of its hash does."""


def sealer_then(registry: Registry) -> str:
    try:
        registry.seal()
    except Refusal:
        return REFUSES
    return GOES_ON


@pytest.mark.parametrize("tamper", [change_a_field, change_a_field_and_its_hash, rewrite, swap_two])
def test_a_sealer_that_goes_on_never_vouches_for_the_altered_copy(
    registry: Registry, tamper: Callable[[Registry], None]
) -> None:
    tamper(registry)
    registry.seal()
    *_, now = registry.notes()
    assert not registry.offline(now)


def test_an_unsealed_event_that_was_removed_is_found_by_whoever_kept_its_receipt(registry: Registry) -> None:
    [(stream, seq, digest)] = registry.ask(
        "SELECT stream, seq, encode(hash, 'hex') FROM audit.event ORDER BY id DESC LIMIT 1"
    )
    delete_an_unsealed_one(registry)
    registry.seal()
    *_, now = registry.notes()
    assert registry.offline(now)
    assert not registry.offline(now, receipts=f"{stream}/{seq}/{digest}")


def test_a_rewrite_under_the_stolen_key_is_found_by_one_old_checkpoint(registry: Registry) -> None:
    kept, *_ = registry.notes()
    rewrite(registry)
    signer, _ = Store(registry.directory, "model-registry/audit").open_key()
    tree, resigned = Frontier(), []
    sizes = {size for (size,) in registry.ask("SELECT size FROM audit.checkpoint")}
    for line in registry.lines():
        tree.append(leaf_hash(line))
        if tree.size in sizes:
            resigned.append(signer.sign(Checkpoint("model-registry/audit", tree.size, tree.root())))
    registry.silently("DELETE FROM audit.checkpoint")
    with registry.engine.begin() as connection:
        for note in resigned:
            insert = text("INSERT INTO audit.checkpoint VALUES ('model-registry/audit', :size, :note)")
            connection.execute(insert, {"size": int(note.split("\n")[1]), "note": note})

    assert found_by(registry.check()) == set()
    assert registry.offline(resigned[-1])
    assert not registry.offline(resigned[-1], kept)
    assert found_by(registry.check(kept)) == {"checkpoints"}


def test_a_database_that_was_rewound_whole_is_found_by_the_checkpoint_alone(
    registry: Registry, server_url: str, template_url: str
) -> None:
    """A restored backup: log, seals and tables agree with each other, and are all of an earlier day."""
    *_, kept = registry.notes()
    history = History.of(registry)
    last = history.events[history.last_sealed()][1]
    history.events = history.events[: history.last_sealed()]
    numbers = {number for number, _ in history.events}
    history.positions = {number: at for number, at in history.positions.items() if number in numbers}
    later = [
        number for (number,) in registry.ask("SELECT id FROM registry.principals WHERE name LIKE 'p%' ORDER BY id")
    ]
    first = last["changes"]["id"][1]
    history.write(registry)
    registry.silently(
        f"DELETE FROM registry.principals WHERE id >= {first}", "DELETE FROM audit.checkpoint WHERE size > 65"
    )
    assert first in later

    assert found_by(registry.check()) == set()
    assert not registry.offline(kept)
    assert found_by(registry.check(kept)) == {"checkpoints"}
    assert sealer_then(registry) == REFUSES


ADMITS = (
    'SELECT audit.restore(\'{"origin": ["model-registry/audit", "model-registry/audit/2"], "size": [81, 0], '
    '"root": ["", ""], "borne_out": [null, 0]}\')'
)


def test_a_restore_that_only_the_database_tells_of_explains_nothing(registry: Registry) -> None:
    """A superuser can write the event that admits a restore, but no checkpoint of the epoch that it would begin."""
    *_, kept = registry.notes()
    rewrite(registry)
    with registry.engine.begin() as connection:
        connection.exec_driver_sql("SELECT set_config('app.actor', 'o', true), set_config('app.request_id', 'r', true)")
        connection.exec_driver_sql(ADMITS)
    registry.seal()

    report = registry.check(kept)
    assert found_by(report) == {"checkpoints"}
    assert report.notes == []


def test_a_rewritten_history_is_recomputed_rightly(registry: Registry) -> None:
    """The tool of these tests by itself: what it writes back unchanged is unchanged."""
    before = registry.ask("SELECT id, body, hash FROM audit.event ORDER BY id")
    history = History.of(registry)
    history.recompute()
    history.write(registry)
    assert registry.ask("SELECT id, body, hash FROM audit.event ORDER BY id") == before
    assert hash_of(written({"a": 1})) == leaf_hash(b'{"a": 1}')
