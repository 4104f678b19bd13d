"""What the loader loads is what requests would have left: the log verifies, and the tables are what it replays to."""

import json
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from bench import audit_log, population
from bench.load import registry
from bench.load.copying import Rows
from bench.population import Size
from registry.ledger import verify
from registry.ledger.note import Verifier
from registry.verification.keys import Keys
from registry.verification.verify import Verification
from tests.sealer.logs import Place

SIZE = Size("tiny", models=12, versions=90, largest=31)
EVENTS = text("SELECT e.body FROM audit.event e JOIN audit.seal s ON s.event_id = e.id ORDER BY s.position")


@pytest.fixture
def place(empty_database_url: str, tmp_path: Path) -> Place:
    registry.load(empty_database_url, SIZE, say=lambda _: None)
    return Place(empty_database_url, tmp_path / "sealer")


def test_a_loaded_registry_is_what_its_log_replays_to(place: Place) -> None:
    place.seal()

    report = Verification(Keys([Verifier.parse(place.key)])).run(create_engine(place.url, poolclass=NullPool))

    assert report.first_divergence is None
    assert report.rows["registered_models"] == SIZE.models
    assert report.rows["model_versions"] == SIZE.versions


def test_the_offline_verifier_accepts_a_loaded_log(place: Place, tmp_path: Path) -> None:
    place.seal()
    export, note = tmp_path / "log.jsonl", tmp_path / "note"
    export.write_text("".join(f"{body}\n" for (body,) in place.ask(EVENTS.text)))
    note.write_text(place.ask("SELECT note FROM audit.checkpoint ORDER BY size DESC LIMIT 1")[0][0])

    assert verify.main(["verify", "--jsonl", str(export), "--checkpoint", str(note), "--key", place.key]) == 0


def test_there_are_as_many_events_as_the_size_says(place: Place) -> None:
    [(events,)] = place.ask("SELECT count(*) FROM audit.event WHERE stream LIKE 'model:%'")
    [(seen,)] = place.ask("SELECT count(*) FROM registry.stage_intervals")

    assert events == SIZE.events
    assert seen == 2 * SIZE.versions + 5 * SIZE.models


def test_the_log_says_that_the_triggers_were_off_and_they_are_on_again(place: Place) -> None:
    told = place.ask("SELECT body FROM audit.event WHERE action = 'system.ddl' ORDER BY id DESC LIMIT 1")
    off = place.ask("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'A'")

    assert json.loads(told[0][0])["changes"]["command"] == [None, "ALTER TABLE"]
    assert off == [(0,)]


def test_the_loaded_registry_goes_on_counting(place: Place) -> None:
    with create_engine(place.url, poolclass=NullPool).begin() as connection:
        connection.execute(text("SELECT set_config('app.actor', 'x', true), set_config('app.request_id', 'y', true)"))
        new = connection.scalar(
            text(
                "INSERT INTO registry.registered_models (name, created_at, updated_at, created_by) "
                "VALUES ('another', now(), now(), 'x') RETURNING id"
            )
        )

    assert new == SIZE.models + 1
    assert place.seal() > SIZE.events


@pytest.mark.parametrize("size", [SIZE, population.SMALL, population.TINY])
def test_a_size_has_the_versions_it_promises(size: Size) -> None:
    assert sum(map(size.count, range(size.models))) == size.versions
    for index in (0, 1, size.models - 1):
        in_rounds = [number for part in range(population.ROUNDS) for number in size.in_round(index, part)]
        times = [size.at(index, number, step) for number in in_rounds for step in range(4)]
        assert in_rounds == list(range(1, size.count(index) + 1))
        assert times == sorted(set(times))
        assert size.created(index) < times[0]


def test_a_size_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="3 versions each"):
        Size("thin", models=20, versions=50)


def test_rows_are_read_in_pieces_of_any_size() -> None:
    rows = Rows((number, "x") for number in range(20_000))

    read = b"".join(iter(lambda: rows.read(1_000), b""))

    assert read.split(b"\n")[:2] == [b"0\tx", b"1\tx"]
    assert read.count(b"\n") == rows.count == 20_000


def test_a_log_that_was_sealed_in_one_batch_tells_no_rate(place: Place) -> None:
    place.seal()
    [(batches, size)] = place.ask("SELECT count(*), max(size) FROM audit.checkpoint")

    assert batches == 1
    assert audit_log.sealing_rate(place.url, 0, size) == 0
