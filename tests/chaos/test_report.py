"""What is good, and what is not."""

import pytest

from chaos.report import Outcome, table


@pytest.mark.parametrize(
    ("outcome", "good", "verdict"),
    [
        (Outcome("a"), True, "0"),
        (Outcome("a", faults=("x",)), False, "1"),
        (Outcome("a", must_be_seen="x"), False, "NOT SEEN"),
        (Outcome("a", must_be_seen="x", faults=("an x", "y")), True, "seen (1)"),
        (Outcome("a", must_be_seen="x", faults=("y",)), False, "NOT SEEN"),
        (Outcome.of_nothing("a", "no disk"), True, "not played: no disk"),
    ],
)
def test_a_run_is_good_where_nothing_is_wrong_or_what_was_spoilt_was_seen(
    outcome: Outcome, good: bool, verdict: str
) -> None:
    assert (outcome.good, outcome.verdict) == (good, verdict)
    assert verdict in str(outcome)
    assert verdict in table([outcome], 1.0, "")
