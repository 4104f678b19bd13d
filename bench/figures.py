"""Figures with their spread: what was measured in several rounds, and how two of them compare."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One thing measured in rounds. A single round says nothing about what lies within the noise."""

    rounds: tuple[float, ...]

    @classmethod
    def of(cls, rounds: Sequence[float]) -> "Figure":
        """Make one from its rounds.

        :raises ValueError: there is none.
        """
        if not rounds:
            raise ValueError("a figure needs at least one round")
        return cls(tuple(rounds))

    @property
    def median(self) -> float:
        """What stands for all rounds."""
        return statistics.median(self.rounds)

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest round."""
        return min(self.rounds), max(self.rounds)

    def inverted(self, unit: float = 1.0) -> "Figure":
        """Return rates as durations, or the other way round: `unit` is 1000 for milliseconds.

        A round in which nothing was done took for ever.
        """
        return Figure(tuple(unit / value if value else float("inf") for value in self.rounds))

    def __str__(self) -> str:
        low, high = self.spread
        return f"{short(self.median)} ({short(low)}-{short(high)})"


def ratio(ours: Figure, theirs: Figure) -> Figure:
    """Compare what was measured side by side, round by round: what slowed a whole round down cancels out.

    Where one of the two has fewer rounds, each of ours is compared with the median of theirs.
    """
    others = theirs.rounds if len(theirs.rounds) == len(ours.rounds) else (theirs.median,) * len(ours.rounds)
    return Figure(tuple(one / other if other else float("inf") for one, other in zip(ours.rounds, others, strict=True)))


def short(value: float) -> str:
    """Write a number with no more digits than it deserves."""
    if value == float("inf"):
        return "∞"
    if value >= 100:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"  # noqa: PLR2004
