"""Verifying a database: an honest one passes, whatever happened in it; each check finds what it is for."""

from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from registry.ledger.note import NoteError
from registry.tables import Base
from registry.verification import database
from registry.verification.captured import CAPTURED
from registry.verification.findings import SHOWN
from registry.verification.verify import CHECKS
from tests.verification.registries import Registry


def test_an_honest_registry_passes_with_everything_that_can_happen(registry: Registry) -> None:
    kept, *_ = registry.notes()
    report = registry.check(kept)
    assert report.first_divergences == []
    assert report.verified
    assert report.events == report.sealed + 3
    assert all(report.rows.values()), report.rows
    assert registry.seal() == 3
    assert registry.check(kept).checkpoint == registry.notes()[-1]


def test_an_empty_registry_passes(empty_database_url: str, tmp_path: Path) -> None:
    registry = Registry(empty_database_url, tmp_path / "sealer")
    registry.seal()
    assert registry.check().verified


# What must be found: the check, then what of stream, seq, position, table, key and field is certain; and what was done.
FAULTS: list[tuple[str, dict[str, object], str]] = [
    ("hash", {"stream": "model:1", "seq": 1}, "UPDATE audit.event SET hash = '\\x00' WHERE stream='model:1' AND seq=1"),
    ("heads", {"stream": "model:1"}, "UPDATE audit.stream SET seq = seq + 1 WHERE stream = 'model:1'"),
    ("heads", {"stream": "model:1"}, "UPDATE audit.stream SET at_us = 5 WHERE stream = 'model:1'"),
    ("heads", {"stream": "model:1"}, "DELETE FROM audit.stream WHERE stream = 'model:1'"),
    ("heads", {"stream": "model:99"}, "INSERT INTO audit.stream VALUES ('model:99', 1, '\\x00', 1, '1')"),
    ("positions", {"position": 7}, "UPDATE audit.seal SET position = position + 1000 WHERE position = 7"),
    ("positions", {"position": 7}, "UPDATE audit.seal SET leaf = sha256('x') WHERE position = 7"),
    ("positions", {"position": 7}, "DELETE FROM audit.event e USING audit.seal s WHERE event_id = id AND position = 7"),
    ("positions", {}, "DELETE FROM audit.pending"),
    ("positions", {}, "INSERT INTO audit.pending VALUES (12345)"),
    ("positions", {"position": 7}, "INSERT INTO audit.pending SELECT event_id FROM audit.seal WHERE position = 7"),
    (
        "checkpoints",
        {"position": 64},
        "UPDATE audit.checkpoint SET note = replace(note, 'model', 'Model') WHERE size=65",
    ),
    (
        "checkpoints",
        {"position": 65},
        "DELETE FROM audit.checkpoint WHERE size = 66; UPDATE audit.checkpoint SET size = 66 WHERE size = 65",
    ),
    (
        "texts",
        {},
        "INSERT INTO audit.private SELECT id, 'text', 'after', '', 'x' FROM audit.event WHERE stream = 'principal:1'",
    ),
    ("texts", {}, "INSERT INTO audit.private VALUES (99999, 'text', 'after', '', 'x')"),
    (
        "replay",
        {"table": "registered_models", "key": {"id": 1}, "field": "last_number"},
        "UPDATE registry.registered_models SET last_number = 3 WHERE id = 1",
    ),
    (
        "replay",
        {"table": "registered_models", "key": {"id": 1}, "field": "description"},
        "UPDATE registry.registered_models SET description = 'x' WHERE id = 1",
    ),
    (
        "replay",
        {"table": "registered_models", "key": {"id": 1}, "field": "name"},
        "UPDATE registry.registered_models SET name = 'x' WHERE id = 1",
    ),
    (
        "replay",
        {"table": "model_versions", "key": {"model_id": 1, "number": 2}, "field": "source"},
        "UPDATE registry.model_versions SET source = source || '/' WHERE number = 2",
    ),
    (
        "replay",
        {"table": "model_versions", "key": {"model_id": 1, "number": 9}},
        (
            "INSERT INTO registry.model_versions SELECT model_id, 9, stage, source, run_id, run_link, "
            "logged_model_id, storage_location, description, created_at, updated_at, created_by FROM "
            "registry.model_versions WHERE model_id = 1 AND number = 1"
        ),
    ),
    (
        "replay",
        {"table": "model_version_tags", "key": {"model_id": 1, "number": 3, "key": "auc"}},
        "DELETE FROM registry.model_version_tags WHERE model_id = 1 AND number = 3",
    ),
    (
        "replay",
        {"table": "registered_model_tags", "key": {"model_id": 1, "key": "team"}, "field": "value"},
        "UPDATE registry.registered_model_tags SET value = 'x' WHERE model_id = 1",
    ),
    (
        "replay",
        {"table": "aliases", "key": {"model_id": 1, "alias": "champion"}, "field": "number"},
        "UPDATE registry.aliases SET number = 1 WHERE model_id = 1",
    ),
    (
        "replay",
        {"table": "comments", "key": {"id": 1}, "field": "text"},
        "UPDATE registry.comments SET text = 'looks bad' WHERE id = 1",
    ),
    (
        "replay",
        {"table": "comments", "key": {"id": 1}, "field": "author"},
        "UPDATE registry.comments SET author = 'alice' WHERE id = 1",
    ),
    (
        "replay",
        {"table": "principals", "key": {"id": 1}, "field": "name"},
        "UPDATE registry.principals SET name = 'eve' WHERE id = 1",
    ),
    (
        "replay",
        {"table": "tokens", "key": {"id": 1}, "field": "revoked_at"},
        "UPDATE registry.tokens SET revoked_at = NULL WHERE id = 1",
    ),
    (
        "replay",
        {"table": "tokens", "key": {"id": 2}, "field": "role"},
        "UPDATE registry.tokens SET role = 'administrator' WHERE id = 2",
    ),
    (
        "replay",
        {"table": "stage_intervals"},
        "UPDATE registry.stage_intervals SET since = since - interval '1 day' WHERE number = 3",
    ),
    ("replay", {"table": "stage_intervals"}, "DELETE FROM registry.stage_intervals WHERE number = 4"),
    (
        "replay",
        {"table": "stage_intervals"},
        "INSERT INTO registry.stage_intervals VALUES (1, 77, 'Staging', now(), NULL, 1, NULL)",
    ),
    (
        "replay",
        {"table": "alias_intervals"},
        "UPDATE registry.alias_intervals SET closed_seq = 1 WHERE until IS NOT NULL",
    ),
    ("replay", {"table": "name_intervals"}, "UPDATE registry.name_intervals SET name = 'x' WHERE name = 'fraud'"),
]


@pytest.mark.parametrize(("check", "where", "statement"), FAULTS, ids=lambda one: str(one)[:60])
def test_each_fault_is_found_where_it_is(
    registry: Registry, check: str, where: dict[str, object], statement: str
) -> None:
    registry.silently(statement)
    report = registry.check()
    assert not report.verified
    found = [one for one in report.first_divergences if one.check == check]
    assert any(all(getattr(one, name) == value for name, value in where.items()) for one in found), report


def test_no_key_means_that_no_checkpoint_counts(registry: Registry) -> None:
    registry.silently("UPDATE audit.checkpoint SET note = replace(note, '— ', '— x')")
    assert registry.check().divergences == {"checkpoints": 2}
    with pytest.raises(NoteError):
        registry.check("no checkpoint\n\n— x abc\n")


def test_what_waits_too_long_for_the_sealer_is_late(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    assert registry.check(late_seconds=3600).verified
    report = registry.check(late_seconds=0)
    assert report.divergences == {"late": 1}
    assert report.first_divergence is not None
    assert report.first_divergence.seq == 1
    registry.seal()
    assert registry.check(late_seconds=0).verified


def test_what_is_sealed_but_not_signed_is_late_as_well(registry: Registry) -> None:
    registry.silently("DELETE FROM audit.checkpoint WHERE size > 65")
    assert registry.check(late_seconds=0).divergences == {"late": 1}


def test_a_restore_that_an_event_admits_is_a_note_and_no_divergence(registry: Registry) -> None:
    *_, kept = registry.notes()
    registry.silently("DELETE FROM audit.checkpoint WHERE size > 65")
    registry.silently(
        "UPDATE audit.seal SET position = position + 1 WHERE position = 65",
        "INSERT INTO audit.pending SELECT event_id FROM audit.seal WHERE position = 66",
        "DELETE FROM audit.seal WHERE position = 66",
    )
    with registry.sealer() as sealer:
        sealer.new_epoch({"actor": "o", "credential": "", "request_id": "r", "reason": "the disk died"})
    registry.seal()
    report = registry.check()
    assert report.verified, report
    assert report.origin == "model-registry/audit/2"
    admitted = registry.check(kept)
    assert admitted.verified, admitted
    assert "A system.restore event says so" in admitted.notes[0]


def cut_back_to(registry: Registry, size: int) -> None:
    """Bring back the seals and checkpoints of an earlier day; the events wait for the sealer once more."""
    registry.silently(
        f"INSERT INTO audit.pending SELECT event_id FROM audit.seal WHERE position >= {size}",
        f"DELETE FROM audit.seal WHERE position >= {size}",
        f"DELETE FROM audit.checkpoint WHERE size > {size}",
    )


def test_a_second_restore_to_before_the_first_one_explains_checkpoints_of_all_epochs(registry: Registry) -> None:
    *_, kept = registry.notes()
    for size in (60, 50):
        cut_back_to(registry, size)
        restores = "(SELECT id FROM audit.event WHERE action = 'system.restore')"
        registry.silently(
            f"DELETE FROM audit.pending WHERE event_id IN {restores}",
            f"DELETE FROM audit.private WHERE event_id IN {restores}",
            "DELETE FROM audit.event WHERE action = 'system.restore'",
            "DELETE FROM audit.stream WHERE stream = 'system:restore'",
        )
        with registry.sealer() as sealer:
            sealer.new_epoch({"actor": "o", "credential": "", "request_id": "r", "reason": "the disk died"})
        registry.seal()
    report = registry.check(kept)
    assert report.divergences == {}, report.first_divergences
    assert report.origin == "model-registry/audit/3"
    assert "model-registry/audit of" in report.notes[0]


def test_a_broken_log_is_reported_from_its_first_fault_and_not_without_end(registry: Registry) -> None:
    registry.silently("UPDATE audit.event SET hash = '\\x00'")
    report = registry.check()
    assert report.divergences["hash"] == report.events
    assert len(report.first_divergences) == SHOWN
    assert (report.first_divergence and report.first_divergence.seq) == 1


def test_a_body_that_is_no_event_is_found_and_the_rest_is_looked_at(registry: Registry) -> None:
    for body in ("not json", "[]", '{"changes": {}}', '{"changes": {"a": 1}}', '{"changes": [], "stream": {}}'):
        registry.silently(f"UPDATE audit.event SET body = '{body}' WHERE stream = 'model:1' AND seq = 5")
        report = registry.check()
        assert report.divergences["hash"] >= 1
        assert report.events == report.sealed + 3


def test_it_changes_nothing_and_cannot(registry: Registry) -> None:
    with database.snapshot(database.connect(registry.url, 5)) as found, pytest.raises(DBAPIError, match="read-only"):
        found.number(text("DELETE FROM audit.pending RETURNING 1"))


def test_events_are_read_in_batches_however_many_there_are(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BATCH", 10)
    engine, asked = database.connect(registry.url, 5), list[str]()
    event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    with database.snapshot(engine) as found:
        count = sum(1 for _ in found.events())
    batches = -(-count // 10)
    assert sum("audit.private" in statement for statement in asked) == batches + 1


def test_every_check_has_a_case() -> None:
    assert {check for check, _, _ in FAULTS} | {"late", "chain", "columns"} == set(CHECKS)


def test_captured_is_what_the_triggers_capture_and_the_tables_have(registry: Registry) -> None:
    """Every captured table is known here, and each of its columns compared or listed with the reason why not."""
    triggers = registry.ask(
        "SELECT c.relname, pg_get_triggerdef(t.oid), ARRAY(SELECT attname::text FROM pg_attribute "
        "WHERE attrelid = tgrelid AND attnum = ANY (tgattr)) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid "
        "WHERE tgname = 'a_capture'"
    )
    assert {table for table, *_ in triggers} == {one.table for one in CAPTURED}
    definitions = {table: definition for table, definition, _ in triggers}
    fired_by = {table: columns for table, _, columns in triggers}
    for one in CAPTURED:
        kind, ignored, _ = definitions[one.table].partition("audit.capture(")[2].rstrip(")").split(", ")
        assert kind == f"'{one.kind}'"
        assert set(ignored.strip("'").split(",")) - {""} == set(one.not_recorded)
        columns = {column.name for column in Base.metadata.tables[f"registry.{one.table}"].columns}
        assert {*one.columns, *one.not_recorded} == columns
        assert set(fired_by[one.table] or one.columns) == set(one.columns)
        assert all(one.not_recorded.values())
