"""Medians, spreads and ratios."""

import pytest

from bench.figures import Figure, ratio, short


def test_a_figure_is_its_median_with_the_lowest_and_the_highest_round() -> None:
    figure = Figure.of([100, 300, 110])

    assert (figure.median, *figure.spread) == (110, 100, 300)
    assert str(figure) == "110 (100-300)"


def test_a_figure_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one round"):
        Figure.of([])


def test_what_slowed_a_whole_round_down_cancels_out_of_a_ratio() -> None:
    ours, theirs = Figure.of([200, 100, 220]), Figure.of([100, 50, 110])

    assert ratio(ours, theirs).rounds == (2, 2, 2)


def test_a_ratio_to_fewer_rounds_is_one_to_their_median() -> None:
    assert ratio(Figure.of([20, 30, 40]), Figure.of([10])).rounds == (2, 3, 4)


def test_a_rate_of_nothing_takes_for_ever() -> None:
    assert Figure.of([0.0, 200.0]).inverted(1000).rounds == (float("inf"), 5.0)
    assert ratio(Figure.of([1]), Figure.of([0])).rounds == (float("inf"),)


@pytest.mark.parametrize(("value", "written"), [(0.123, "0.12"), (12.34, "12.3"), (1234.5, "1,234"), (1e999, "∞")])
def test_numbers_have_no_more_digits_than_they_deserve(value: float, written: str) -> None:
    assert short(value) == written
