"""Which answers may be, and when."""

import pytest

from chaos.journal import Attempt, Journal


def at(begun: float, status: int | None, lasted: float = 0.1) -> Attempt:
    return Attempt("r", begun, begun + lasted, status)


@pytest.mark.parametrize(
    ("status", "lasted", "wrong"),
    [
        (200, 0.1, None),
        (409, 0.1, None),
        (500, 0.1, "a fault"),
        (502, 0.1, "a fault"),
        (503, 0.1, "503 though the database is there"),
        (None, 0.1, "no answer"),
        (200, 16.0, "took 16.0 s"),
    ],
)
def test_while_nothing_is_broken(status: int | None, lasted: float, wrong: str | None) -> None:
    assert Journal().wrong_with(at(100.0, status, lasted)) == wrong


def test_503_may_be_while_the_database_is_away_and_some_seconds_more(monkeypatch: pytest.MonkeyPatch) -> None:
    journal, now = Journal(), [100.0]
    monkeypatch.setattr("chaos.journal.time.monotonic", lambda: now[0])
    with journal.away():
        assert journal.wrong_with(at(1000.0, 503)) is None
        assert journal.wrong_with(at(101.0, 500)) == "a fault"
        assert journal.wrong_with(at(101.0, None)) == "no answer"
        now[0] = 110.0
    assert journal.wrong_with(at(114.0, 503)) is None
    assert journal.wrong_with(at(116.0, 503)) is not None
    assert journal.wrong_with(at(98.0, 503)) is not None


def test_answers_may_fail_to_come_while_processes_are_killed() -> None:
    journal = Journal()
    with journal.losing_answers():
        assert journal.wrong_with(at(10.0**9, None)) is None
        assert journal.wrong_with(at(10.0**9, 503)) is not None
