"""What the doctor has against a database."""

import json
import time

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from registry import ownership
from registry.checkup import of_database
from registry.checkup.findings import Finding, Grade
from registry.config import Settings
from tests.cli.running import registry
from tests.conftest import as_role, execute


def findings(url: str, **settings: int) -> list[Finding]:
    return of_database.look(Settings(database_url=url, **settings))  # type: ignore[arg-type]


def about(word: str, found: list[Finding]) -> Finding:
    [finding] = [one for one in found if word in one.what]
    return finding


def test_every_index_that_the_tables_declare_is_there(database_url: str) -> None:
    assert [one for one in findings(database_url) if one.grade is Grade.WRONG] == []
    assert len(of_database.wanted()) > 40


def test_a_missing_index_is_wrong_and_its_sql_makes_it_again(empty_database_url: str) -> None:
    execute(empty_database_url, "DROP INDEX registry.ix_model_versions_run_id")

    finding = about("ix_model_versions_run_id", findings(empty_database_url))

    assert finding.grade is Grade.WRONG
    assert "is missing" in finding.what
    execute(empty_database_url, finding.to_do.removeprefix("make it again: "))
    assert not [one for one in findings(empty_database_url) if one.grade is Grade.WRONG]


def test_an_invalid_index_is_wrong(empty_database_url: str) -> None:
    execute(
        empty_database_url,
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'registry.ix_model_versions_run_id'::regclass",
    )

    finding = about("ix_model_versions_run_id", findings(empty_database_url))

    execute(empty_database_url, finding.to_do)
    assert not [one for one in findings(empty_database_url) if one.grade is Grade.WRONG]


@pytest.fixture
def careless(empty_database_url: str) -> str:
    """A database whose changes need not survive a crash."""
    engine = create_engine(empty_database_url, poolclass=NullPool)
    with engine.connect() as connection:
        name = connection.scalar(text("SELECT quote_ident(current_database())"))
    execute(empty_database_url, f"ALTER DATABASE {name} SET synchronous_commit = off")
    return empty_database_url


def test_what_may_lose_changes_is_weak(careless: str) -> None:
    finding = about("synchronous_commit = off", findings(careless))

    assert finding.grade is Grade.WEAK
    assert "acknowledged" in finding.what


def test_too_few_connections_for_one_instance_is_wrong(database_url: str) -> None:
    finding = about("max_connections", findings(database_url, workers=200, threads=8))

    assert finding.grade is Grade.WRONG
    assert str(200 * 8 + of_database.SPARE_CONNECTIONS) in finding.what


@pytest.mark.parametrize(("seconds", "order"), [(60, "60 s ahead of"), (-60, "60 s behind")])
def test_a_clock_that_is_off_is_said(
    database_url: str, monkeypatch: pytest.MonkeyPatch, seconds: int, order: str
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + seconds)

    assert order in about("clock", findings(database_url)).what


def test_clocks_that_agree_are_not_mentioned(database_url: str) -> None:
    assert not [one for one in findings(database_url) if "clock" in one.what]


def test_a_release_that_gets_no_more_fixes_is_weak(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_database, "END_OF_FIXES", dict.fromkeys(range(10, 30), "2020-01-01"))

    assert about("no more fixes", findings(database_url)).grade is Grade.WEAK


def test_the_doctor_tells_it_and_ends_with_1_where_something_is_wrong(empty_database_url: str) -> None:
    url = as_role(empty_database_url, ownership.APP)
    well = registry("doctor", "--json", REGISTRY_DATABASE_URL=url)
    execute(empty_database_url, "DROP INDEX registry.ix_model_versions_run_id")
    ill = registry("doctor", REGISTRY_DATABASE_URL=url)

    told = json.loads(well.stdout)["findings"]
    assert well.returncode == 0
    assert {one["grade"] for one in told} == {"weak"}  # tokens without an end, for one
    assert ill.returncode == 1
    assert "database and settings: wrong" in ill.stdout
    assert "- wrong: the index registry.ix_model_versions_run_id is missing: make it again: CREATE INDEX" in ill.stdout
