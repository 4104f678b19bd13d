"""The sealer: dense positions, one history, whatever dies; and refusals where the database is not what was signed."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from registry import migrating, postgres, schema
from registry.ledger.note import Checkpoint, Signer, Verifier
from registry.sealer import process, seals
from registry.sealer.errors import SealerError, StoreError
from registry.sealer.process import Busy, connected
from registry.sealer.sealing import POINTS
from registry.sealer.seals import Refusal
from registry.sealer.store import Store
from tests.conftest import database
from tests.sealer.logs import CONTEXT, Place, assert_consistent, assert_in_order, assert_whole

ROOT = Path(__file__).parent.parent.parent
ORIGIN = "model-registry/audit"


@pytest.fixture
def place(empty_database_url: str, tmp_path: Path) -> Place:
    return Place(empty_database_url, tmp_path / "sealer")


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seals, "BATCH", 10)


def test_events_get_dense_positions_and_a_checkpoint(place: Place) -> None:
    place.write(5)
    assert place.seal() == 5
    assert_whole(place)
    [note] = place.notes()
    assert Verifier.parse(place.key).open(note).size == 5


@pytest.mark.usefixtures("small_batches")
def test_a_long_queue_is_sealed_in_batches_each_of_them_signed(place: Place) -> None:
    place.write(35)
    assert place.seal() == 35
    assert [Verifier.parse(place.key).open(note).size for note in place.notes()] == [10, 20, 30, 35]
    place.write(3)
    assert place.seal() == 3
    assert_whole(place)


def test_with_nothing_new_nothing_is_signed(place: Place) -> None:
    assert place.seal() == 0
    place.write(3)
    assert (place.seal(), place.seal(), place.seal()) == (3, 0, 0)
    assert len(place.notes()) == 1
    assert_whole(place)


def test_nothing_is_signed_that_a_crash_could_still_take_back(place: Place) -> None:
    """Whoever lets changes return before they are on disk; the log goes to disk in order, so one commit is enough."""
    with place.engine.begin() as connection:
        [name] = connection.exec_driver_sql("SELECT current_database()").scalars()
        connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    assert place.ask("SHOW synchronous_commit") == [("off",)]
    with connected(place.settings, wait=lambda: False) as connection:
        assert postgres.value(connection, "SHOW synchronous_commit") == "on"


def test_what_was_rolled_back_has_no_position(place: Place) -> None:
    place.write(2)
    with pytest.raises(ZeroDivisionError), place.engine.begin() as connection:
        connection.exec_driver_sql("SELECT set_config('app.actor', 't', true), set_config('app.request_id', 'r', true)")
        connection.exec_driver_sql("SELECT audit.append('model:1', 'a.b', 'model:1', '{}', '{}')")
        raise ZeroDivisionError
    place.write(2)
    place.seal()
    assert_whole(place)
    assert len(place.lines()) == 4


def test_events_from_before_there_was_a_sealer_are_sealed(bare_database: str, tmp_path: Path) -> None:
    place = Place(bare_database, tmp_path / "sealer")
    config = migrating.config()
    with create_engine(bare_database, poolclass=NullPool).connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0006")
    place.write(7)
    schema.upgrade(bare_database)
    place.write(3)
    assert place.seal() == 10
    assert_whole(place)


@pytest.fixture
def bare_database(server_url: str) -> Iterator[str]:
    with database(server_url) as url:
        yield url


@pytest.mark.parametrize("table", ["seal", "checkpoint"])
@pytest.mark.parametrize(
    "statement", ["DELETE FROM audit.{}", "TRUNCATE audit.{} CASCADE", "UPDATE audit.{} SET {} = {}"]
)
def test_positions_and_checkpoints_are_append_only(place: Place, table: str, statement: str) -> None:
    place.write(2)
    place.seal()
    column = {"seal": "leaf", "checkpoint": "note"}[table]
    with pytest.raises(DBAPIError, match="append-only"), place.engine.begin() as connection:
        connection.exec_driver_sql("SET session_replication_role = replica")
        connection.exec_driver_sql(statement.format(table, column, column))


# What dies


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_point_it_goes_on_without_gap_double_or_fork(place: Place, point: str, times: int) -> None:
    place.write(25)
    arguments = [sys.executable, "-m", "tests.sealer.killed", place.url, str(place.directory), point, str(times)]
    for expected in ({-signal.SIGKILL}, {-signal.SIGKILL, 0}):  # killed twice running, where there was enough to do
        died = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
        assert died.returncode in expected, died.stderr
        seen = place.notes()
        place.write(9)
    place.seal()
    assert place.notes()[: len(seen)] == seen
    assert_whole(place)
    assert len(place.lines()) == 43


def test_the_points_are_all_reached_in_their_order(place: Place) -> None:
    place.write(1)
    reached: list[str] = []
    with place.sealer(reached.append) as sealer:
        sealer.seal()
    assert reached == [*POINTS, "read"]


def test_nothing_is_shown_before_it_is_remembered(place: Place) -> None:
    """Whoever saw a checkpoint may hold us to it: after a crash we must know that we signed it."""
    place.write(3)

    def look(point: str) -> None:
        remembered = [place.memory["note"]] if place.memory["note"] else []
        assert place.notes() == (remembered if point != "saved" else [])
        assert bool(remembered) == (point in {"saved", "published"} or bool(place.notes()))

    with place.sealer(look) as sealer:
        sealer.seal()


def test_a_memory_from_a_backup_takes_over_what_it_signed_since(place: Place, tmp_path: Path) -> None:
    place.write(4)
    place.seal()
    shutil.copytree(place.directory, tmp_path / "backup")
    for count in (5, 6):
        place.write(count)
        place.seal()
    shutil.rmtree(place.directory)
    shutil.copytree(tmp_path / "backup", place.directory)
    place.write(1)
    place.seal()
    assert_whole(place)
    assert len(place.lines()) == 16


def test_a_memory_from_a_backup_is_not_talked_into_a_fork(place: Place, tmp_path: Path) -> None:
    place.write(4)
    place.seal()
    shutil.copytree(place.directory, tmp_path / "backup")
    place.write(6)
    place.seal()
    shutil.rmtree(place.directory)
    shutil.copytree(tmp_path / "backup", place.directory)
    place.tamper(*replace_event(7))
    refused(place, "does not hold what its checkpoint of 10 was signed for")


# Who waits


def test_of_two_sealers_one_signs_and_the_other_waits(place: Place, tmp_path: Path) -> None:
    other = Place(place.url, tmp_path / "other")
    place.write(3)
    with place.sealer() as sealer:
        for one in (place, other):
            with pytest.raises(Busy):
                process.run(one.settings, say=print, once=True)
        waits = [True, True, False]
        process.run(other.settings, say=print, stopping=lambda: not (waits and waits.pop(0)))
        assert sealer.seal() == 3
    assert_whole(place)


def test_the_one_that_waited_goes_on_where_the_first_ended(place: Place) -> None:
    place.write(3)
    command = [sys.executable, "-c", WAITING_SEALER, place.url, str(place.directory)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as second:
        assert second.stdout is not None
        with place.sealer() as first:
            assert second.stdout.readline() == "waits\n"
            first.seal()
        place.write(4)
        assert "events are sealed" in "".join(iter(second.stdout.readline, "\n"))
        second.terminate()
    place.seal()
    assert_whole(place)
    assert len(place.lines()) == 7


WAITING_SEALER = """
import sys; from pathlib import Path; from registry.sealer import process; from tests.sealer.logs import Place
looks = []
def stopping():
    looks.append(1)
    if len(looks) == 3: print("waits", flush=True)
    return False
def say(line): print(line, end="\\n\\n", flush=True)
process.run(Place(sys.argv[1], Path(sys.argv[2])).settings, say=say, stopping=stopping)
"""


# What is refused


def replace_event(position: int) -> list[str]:
    """Statements that put another body into a sealed event, with a hash and a leaf to match."""
    which = f"(SELECT event_id FROM audit.seal WHERE position = {position})"
    body = "replace(body, 'tests', 'forger')"
    hashed = f"sha256('\\x00'::bytea || convert_to({body}, 'UTF8'))"
    return [
        f"UPDATE audit.event SET body = {body}, hash = {hashed} WHERE id = {which}",
        f"UPDATE audit.seal SET leaf = (SELECT hash FROM audit.event WHERE id = event_id) WHERE position = {position}",
    ]


def remove_last(count: int) -> list[str]:
    """Statements that make the last events never have been."""
    return [
        f"CREATE TEMP TABLE gone AS SELECT event_id FROM audit.seal ORDER BY position DESC LIMIT {count}",
        "DELETE FROM audit.checkpoint WHERE size > (SELECT count(*) FROM audit.seal) - (SELECT count(*) FROM gone)",
        "DELETE FROM audit.seal WHERE event_id IN (SELECT event_id FROM gone)",
        "DELETE FROM audit.event WHERE id IN (SELECT event_id FROM gone)",
    ]


def refused(place: Place, why: str) -> None:
    """The sealer refuses, says why for those who watch, and neither signs nor forgets anything."""
    notes, memory = place.notes(), place.directory / "state.json"
    before = memory.read_bytes() if memory.exists() else b""
    with pytest.raises(Refusal, match=why):
        place.seal()
    assert place.notes() == notes
    assert not before or memory.read_bytes() == before
    [(state, told)] = place.ask("SELECT state, why FROM audit.sealer")
    assert state == "refusing"
    assert why in told


def test_an_event_that_waits_and_was_edited(place: Place) -> None:
    place.write(3)
    place.seal()
    place.write(3)
    place.tamper("UPDATE audit.event SET body = replace(body, 'tests', 'forger') WHERE id = 5")
    refused(place, "event 5 is not as it was written")
    assert len(place.lines()) == 3


def test_an_event_that_waits_and_was_deleted(place: Place) -> None:
    place.write(3)
    place.tamper("DELETE FROM audit.event WHERE id = 2")
    refused(place, "event 2, which has a place in the log, is gone")


@pytest.mark.parametrize("count", [1, 2, 6])
def test_fewer_events_than_signed(place: Place, count: int) -> None:
    place.write(6)
    place.seal()
    place.tamper(*remove_last(count))
    refused(place, f"6 events were signed and {6 - count} are there")


def test_one_event_deleted_and_the_gap_closed(place: Place) -> None:
    place.write(6)
    place.seal()
    place.tamper(
        "CREATE TEMP TABLE gone AS SELECT event_id FROM audit.seal WHERE position = 2",
        "DELETE FROM audit.seal WHERE position = 2",
        "DELETE FROM audit.event WHERE id IN (SELECT event_id FROM gone)",
        "UPDATE audit.seal SET position = position + 1000 WHERE position > 2",
        "UPDATE audit.seal SET position = position - 1001 WHERE position > 1000",
    )
    refused(place, "6 events were signed and 5 are there")


def test_a_log_that_was_rewound_and_has_grown_again(place: Place) -> None:
    place.write(6)
    place.seal()
    place.tamper(*remove_last(3))
    place.write(3)
    place.tamper(
        "INSERT INTO audit.seal SELECT 2 + row_number() OVER (ORDER BY id), id, hash FROM audit.event "
        "WHERE id IN (SELECT event_id FROM audit.pending)",
        "DELETE FROM audit.pending",
    )
    refused(place, "another event than the signed one stands at position 5")


def test_the_last_event_rewritten_consistently(place: Place) -> None:
    place.write(6)
    place.seal()
    place.tamper(*replace_event(5))
    refused(place, "another event than the signed one stands at position 5")


def test_the_last_event_edited(place: Place) -> None:
    place.write(6)
    place.seal()
    place.tamper("UPDATE audit.event SET body = replace(body, 'tests', 'forger') WHERE id = 6")
    refused(place, "event 6 is not as it was written")


def test_an_earlier_event_rewritten_is_never_signed_and_the_auditor_finds_it(place: Place) -> None:
    """The sealer goes on from its own frontier: the altered copy has no checkpoint, and never gets one."""
    place.write(6)
    place.seal()
    [kept] = place.notes()
    place.tamper(*replace_event(2))
    place.write(6)
    place.seal()
    assert place.verify(place.notes()[-1], kept) == 1
    assert place.verify(kept) == 1


def forged(place: Place, signer: Signer, size: int) -> None:
    note = signer.sign(Checkpoint(ORIGIN, size, b"f" * 32))
    insert = "INSERT INTO audit.checkpoint (origin, size, note) VALUES (:origin, :size, :note) RETURNING 1"
    place.ask(insert, origin=ORIGIN, size=size, note=note)


def ours(place: Place) -> Signer:
    return Store.of(place.settings).open_key()[0]


def test_a_checkpoint_of_somebody_else_in_our_name(place: Place, tmp_path: Path) -> None:
    place.write(3)
    place.seal()
    forged(place, ours(Place("postgresql://unused", tmp_path / "other")), 7)
    refused(place, "the checkpoint of size 7 in the database is not ours")


def test_a_checkpoint_of_ours_that_the_database_does_not_hold(place: Place) -> None:
    place.write(3)
    place.seal()
    forged(place, ours(place), 7)
    refused(place, "7 events were signed and 3 are there")


def test_another_checkpoint_in_the_place_of_ours(place: Place) -> None:
    place.write(3)
    place.seal()
    place.tamper("UPDATE audit.checkpoint SET note = replace(note, '3', '4')")
    refused(place, "another checkpoint than ours stands in the database")


def test_a_checkpoint_deleted_is_shown_again(place: Place) -> None:
    place.write(3)
    place.seal()
    place.tamper("DELETE FROM audit.checkpoint")
    place.seal()
    assert_whole(place)


def test_the_log_of_another_sealer(place: Place, tmp_path: Path) -> None:
    place.write(3)
    place.seal()
    other = Place(place.url, tmp_path / "other")
    refused(other, "sealed before, but not from this directory")
    assert place.seal() == 0, "the first one goes on"
    assert place.ask("SELECT state, why FROM audit.sealer") == [("sealing", None)]


def test_a_directory_that_contradicts_itself(place: Place, tmp_path: Path) -> None:
    place.write(3)
    place.seal()
    key = (place.directory / "key.pem").read_bytes()
    (place.directory / "key.pem").unlink()
    with pytest.raises(StoreError, match=r"key.pem is gone, but what it signed is known"):
        place.seal()
    ours(Place("postgresql://unused", tmp_path / "other"))
    shutil.copy(tmp_path / "other" / "key.pem", place.directory)
    with pytest.raises(StoreError, match="bring both back"):
        place.seal()
    (place.directory / "key.pem").write_bytes(key)
    memory = place.memory
    (place.directory / "state.json").write_text(json.dumps(memory | {"epoch": 2}))
    with pytest.raises(StoreError, match="not what it signed"):
        place.seal()
    (place.directory / "state.json").write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        place.seal()
    (place.directory / "state.json").write_text(json.dumps(memory))
    place.seal()
    assert_whole(place)


def test_another_origin_than_before(place: Place) -> None:
    place.write(1)
    place.seal()
    store = Store(place.directory, "another/audit")
    with pytest.raises(StoreError, match="REGISTRY_AUDIT_ORIGIN"):
        store.load()


def test_what_only_the_owner_may_read(place: Place) -> None:
    place.write(1)
    place.seal()
    assert place.directory.stat().st_mode & 0o777 == 0o700
    assert (place.directory / "key.pem").stat().st_mode & 0o777 == 0o600


def test_a_directory_that_cannot_be_written(empty_database_url: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="REGISTRY_SEALER_DIR"):
        Place(empty_database_url, tmp_path / "file" / "sealer").seal()


# A database that was restored


@pytest.fixture
def restored(server_url: str, place: Place) -> Iterator[Place]:
    """A copy of the database of when it had 8 events, on which the sealer of 14 works now."""
    place.write(5)
    place.seal()
    place.write(3)
    place.seal()
    with database(server_url, str(make_url(place.url).database)) as copy:
        place.write(6)
        place.seal()
        yield Place(copy, place.directory)


def test_a_restored_database_is_refused_until_a_person_decides(restored: Place) -> None:
    restored.write(2)
    refused(restored, "14 events were signed and 8 are there")
    with restored.sealer() as sealer:
        state = sealer.new_epoch(CONTEXT)
        assert (state.epoch_origin, state.tree.size) == (ORIGIN + "/2", 9)
        assert sealer.seal() == 2
    assert_consistent(restored, ORIGIN + "/2")
    [(state_told,)] = restored.ask("SELECT state FROM audit.sealer")
    assert state_told == "sealing"


def test_the_first_event_of_an_epoch_names_what_was_signed_and_what_is_left(restored: Place) -> None:
    signed = restored.memory
    restored.write(2)
    with restored.sealer() as sealer:
        sealer.new_epoch(CONTEXT)
    event = json.loads(restored.lines()[8])
    assert (event["stream"], event["seq"], event["action"]) == ("system:restore", 1, "system.restore")
    assert (event["actor"], event["request_id"]) == ("operator", "r-1")
    changes = event["changes"]
    assert changes["origin"] == [ORIGIN, ORIGIN + "/2"]
    assert changes["size"] == [14, 8]
    assert changes["root"][0] == Verifier.parse(restored.key).open(signed["note"]).root.hex()
    assert changes["borne_out"] == [None, 8]
    [(reason,)] = restored.ask("SELECT content FROM audit.private WHERE field = 'reason'")
    assert reason == "the disk died"


def test_an_auditor_follows_the_log_into_the_epoch(restored: Place, place: Place) -> None:
    before = place.notes()
    with restored.sealer() as sealer:
        sealer.new_epoch(CONTEXT)
    [note] = restored.notes(ORIGIN + "/2")
    assert restored.verify(note, *before[:2]) == 0, "what the restore kept is as it was signed"
    assert restored.verify(note, before[2]) == 1, "what it lost is not passed over in silence"


def test_an_epoch_can_follow_an_epoch_and_a_crash_while_it_begins(restored: Place) -> None:
    with pytest.raises(ZeroDivisionError), restored.sealer(lambda point: 1 // (point != "signed")) as sealer:
        sealer.new_epoch(CONTEXT)
    refused(restored, "14 events were signed and 9 are there")
    with restored.sealer() as sealer:
        assert sealer.new_epoch(CONTEXT).epoch == 2
    restored.write(3)
    restored.seal()
    assert [event["action"] for event in map(json.loads, restored.lines())][8:10] == ["system.restore"] * 2
    assert_consistent(restored, ORIGIN + "/2")
    restored.tamper(*remove_last(2))
    refused(restored, "13 events were signed and 11 are there")
    with restored.sealer() as sealer:
        assert sealer.new_epoch(CONTEXT).epoch == 3
    assert_consistent(restored, ORIGIN + "/3")


def test_with_key_and_memory_lost_an_epoch_begins_under_a_new_key(place: Place) -> None:
    place.write(5)
    place.seal()
    shutil.rmtree(place.directory)
    refused(place, "sealed before, but not from this directory")
    with place.sealer() as sealer:
        assert sealer.new_epoch(CONTEXT).epoch_origin == ORIGIN + "/2"
    changes = json.loads(place.lines()[5])["changes"]
    assert (changes["origin"], changes["size"], changes["borne_out"]) == ([ORIGIN, ORIGIN + "/2"], [5, 5], [None, 0])
    assert changes["root"][0] == changes["root"][1]
    assert_consistent(place, ORIGIN + "/2")


def test_no_epoch_begins_without_need(place: Place) -> None:
    place.write(5)
    with place.sealer() as sealer:
        with pytest.raises(SealerError, match="no need"):
            sealer.new_epoch(CONTEXT)
        sealer.seal()
        with pytest.raises(SealerError, match="no need"):
            sealer.new_epoch(CONTEXT)
    assert_whole(place)


def test_no_epoch_begins_on_a_log_that_is_not_as_it_was_written(restored: Place) -> None:
    restored.tamper("UPDATE audit.event SET body = replace(body, 'tests', 'forger') WHERE id = 3")
    with restored.sealer() as sealer, pytest.raises(Refusal, match="event 3 is not as it was written"):
        sealer.new_epoch(CONTEXT)
    assert restored.notes(ORIGIN + "/2") == []


def test_only_the_service_writes_restores(place: Place) -> None:
    [(granted,)] = place.ask(
        "SELECT count(*) FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) "
        "WHERE proname = 'restore' AND grantee = 0"
    )
    assert granted == 0


def test_streams_stay_in_order_across_batches(place: Place, small_batches: None) -> None:
    for count in (7, 11, 2, 30):
        place.write(count, streams=4)
        place.seal()
    rows = place.ask(
        "SELECT e.stream, e.seq FROM audit.seal s JOIN audit.event e ON e.id = s.event_id ORDER BY s.position"
    )
    assert_in_order([(stream, seq) for stream, seq in rows])
