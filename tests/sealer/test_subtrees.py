"""The kept roots of complete subtrees: all of them, whatever was there before."""

from pathlib import Path

import pytest
from sqlalchemy import text

from registry.sealer.subtrees import heights
from tests.sealer.logs import CONTEXT, Place, assert_subtrees, assert_whole, grow


@pytest.fixture
def place(empty_database_url: str, tmp_path: Path) -> Place:
    return Place(empty_database_url, tmp_path / "sealer")


def leaves(place: Place) -> list[bytes]:
    return [bytes(leaf) for (leaf,) in place.ask("SELECT leaf FROM audit.seal ORDER BY position")]


@pytest.mark.parametrize("count", [255, 256, 257, 1100])
def test_a_batch_keeps_what_it_completes(place: Place, count: int) -> None:
    place.write(count)
    place.seal()
    assert_whole(place)
    place.write(300)
    place.seal()
    assert_whole(place)


def test_what_is_missing_is_made_with_the_next_batch(place: Place) -> None:
    place.write(1000)
    place.seal()
    with place.engine.begin() as connection:
        connection.execute(text("DELETE FROM audit.subtree WHERE number > 0"))
    place.write(1)
    place.seal()
    assert_whole(place)


def test_a_new_epoch_makes_them_anew(place: Place) -> None:
    place.write(600)
    place.seal()
    place.tamper(
        "DELETE FROM audit.seal WHERE position >= 300",
        "INSERT INTO audit.pending SELECT id FROM audit.event e WHERE id NOT IN (SELECT event_id FROM audit.seal)",
        "UPDATE audit.subtree SET hash = sha256('other')",
    )
    with place.sealer() as sealer:
        sealer.new_epoch(CONTEXT)
    assert_subtrees(place, leaves(place))


def test_a_larger_one_is_made_from_256_smaller_ones(place: Place) -> None:
    with place.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        fill = "INSERT INTO audit.seal SELECT n, n, sha256(int8send(n)) FROM generate_series(0, :last) n"
        connection.execute(text(fill), {"last": 65_535})
        grow(connection, 65_536)
    kept = place.ask("SELECT height, count(*) FROM audit.subtree GROUP BY height ORDER BY height")
    assert kept == [(8, 256), (16, 1)] == [(height, 65_536 >> height) for height in heights(65_536)]
