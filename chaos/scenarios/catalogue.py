"""All scenarios: in which box each is played, and how often in the full and in the short form."""

from collections.abc import Callable
from dataclasses import dataclass

from chaos.box import Box, Plan
from chaos.scenarios import contention, network, processes

PLAIN = Plan()
CROWDED = Plan(workers=2, threads=8, pool=1, writers=24)


@dataclass(frozen=True)
class Scenario:
    """One fault."""

    name: str
    play: Callable[[Box, int], None]
    full: int
    """How often in the full form."""
    quick: int
    """How often in the short form; 0: not at all."""
    plan: Plan = PLAIN
    why_not: Callable[[], str | None] = lambda: None
    """What is missing here, if it cannot be played."""


SCENARIOS = [
    Scenario("workers killed", processes.kill_workers, 1000, 40),
    Scenario("database killed", processes.kill_postgres, 50, 4),
    Scenario("sealer killed", processes.kill_sealer, 20, 2),
    Scenario("COMMITs cut", network.cut_commits, 1500, 60),
    Scenario("connections cut", network.cut_connections, 20, 1),
    Scenario("database slow", network.slow_down, 6, 1),
    Scenario("database hanging", network.stall, 4, 1),
    Scenario("locks held", contention.hold_locks, 10, 1),
    Scenario("pool exhausted", contention.hold_locks, 10, 0, CROWDED),
]
