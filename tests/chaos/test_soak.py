"""What counts as growth."""

import pytest

from chaos.scenarios.soak import Sample, growth

FLAT = [Sample(100, 8, 0.1)] * 12


@pytest.mark.parametrize(
    ("last", "word"),
    [(Sample(130, 8, 0.1), "memory"), (Sample(100, 8, 0.2), "latency"), (Sample(100, 99, 0.1), "connections")],
)
def test_growth_is_seen(last: Sample, word: str) -> None:
    [found] = growth([*FLAT[:8], *[last] * 4], 12)
    assert word in found


def test_warming_up_is_none() -> None:
    assert growth([*[Sample(50, 1, 0.01)] * 4, *FLAT[:8]], 12) == []
