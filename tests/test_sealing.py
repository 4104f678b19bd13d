"""What those who operate the service are told of the sealer."""

from pathlib import Path

import pytest

from registry import ownership, sealing
from registry.config import Settings
from registry.sealer.seals import Refusal
from registry.sealing import State
from tests.cli.running import registry
from tests.conftest import application, as_role
from tests.sealer.logs import Place


@pytest.fixture
def place(empty_database_url: str, tmp_path: Path) -> Place:
    return Place(empty_database_url, tmp_path / "sealer")


def seen(place: Place) -> sealing.Sealing:
    """As the service sees it."""
    return sealing.at(as_role(place.url, ownership.APP))


def test_a_log_that_nobody_seals_says_so(place: Place) -> None:
    found = seen(place)
    assert (found.state, found.seen_at) == (State.SILENT, None)
    assert "never sealed" in str(found.why)


def test_a_sealer_at_work_needs_no_reason(place: Place) -> None:
    place.seal()
    found = seen(place)
    assert (found.state, found.why) == (State.SEALING, None)
    assert found.seen_at is not None


def test_one_that_has_gone_is_silent_after_a_minute(place: Place) -> None:
    place.seal()
    execute(place, "UPDATE audit.sealer SET seen_at = seen_at - interval '61 seconds'")
    found = seen(place)
    assert found.state is State.SILENT
    assert found.seen_at is not None


def test_one_that_refuses_says_why_for_as_long_as_nobody_decides(place: Place) -> None:
    place.write(3)
    place.seal()
    place.tamper("DELETE FROM audit.seal WHERE position = 2")
    with pytest.raises(Refusal):
        place.seal()
    execute(place, "UPDATE audit.sealer SET seen_at = seen_at - interval '1 day'")
    found = seen(place)
    assert found.state is State.REFUSING
    assert "were signed and" in str(found.why)
    said = registry("doctor", REGISTRY_DATABASE_URL=as_role(place.url, ownership.APP))
    assert said.returncode == 1
    assert said.stdout.splitlines()[:2] == ["audit log: enforced", "sealer: refusing"]
    assert said.stdout.splitlines()[2] == f"- {found.why}"


def test_the_service_tells_it_with_its_readiness(place: Place) -> None:
    place.seal()
    with application(Settings(database_url=as_role(place.url, ownership.APP))) as app:
        told = app.test_client().get("/readyz").get_json()["audit"]["sealer"]
    assert told == {"state": "sealing", "why": None}


def test_a_database_that_is_away_is_no_sealer_at_work() -> None:
    found = sealing.at("postgresql+psycopg2://u:hush@127.0.0.1:1/x")
    assert found.state is State.SILENT
    assert "hush" not in str(found)


def execute(place: Place, statement: str) -> None:
    with place.engine.begin() as connection:
        connection.exec_driver_sql(statement)
