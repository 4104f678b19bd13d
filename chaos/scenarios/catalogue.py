"""All scenarios: in which box each is played, and how often in the full and in the short form."""

from collections.abc import Callable
from dataclasses import dataclass

from chaos.box import Box, Plan
from chaos.scenarios import contention, failover, network, places, processes, releases, rewinding, soak
from chaos.scenarios.mutations import MUTATIONS

PLAIN = Plan(instances=2, workers=2)
KEEPING = Plan(instances=2, workers=2, writers=8)
"""A box of its own in the short form as well: the clients of one before have stopped by then."""
CROWDED = Plan(workers=2, threads=8, pool=1, writers=24)
TWO_HOSTS = Plan(change=failover.name_two_hosts)
FEW_WALS = (("max_wal_size", "80MB"), ("min_wal_size", "80MB"))
SOAK = "soak"
IN_SHORT = {"commits that are forgotten", "faults of the service"}
"""What is spoilt on purpose in the short form, too."""


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
    must_be_seen: str = ""
    """Where something is spoilt on purpose: the words by which it is seen, without which the run is not good."""


SCENARIOS = [
    Scenario("workers killed", processes.kill_workers, 1000, 10),
    Scenario("database killed", processes.kill_postgres, 50, 2),
    Scenario("sealer killed", processes.kill_sealer, 10, 1),
    Scenario("COMMITs cut", network.cut_commits, 400, 5),
    Scenario("connections cut", network.cut_connections, 10, 1),
    Scenario("database slow", network.slow_down, 3, 1),
    Scenario("database hanging", network.stall, 3, 1),
    Scenario("locks held", contention.hold_locks, 5, 1),
    Scenario("pool exhausted", contention.hold_locks, 5, 0, CROWDED),
    Scenario("instances replaced", releases.roll, 8, 1),
    Scenario("instances replaced, connections kept", releases.roll_kept, 8, 1, KEEPING),
    Scenario("schema upgraded", releases.upgrade, 1, 0, Plan()),
    Scenario("failover", failover.fail_over, 3, 1, TWO_HOSTS),
    Scenario("asynchronous failover", rewinding.fail_over, 3, 0, TWO_HOSTS),
    Scenario(
        "disk of the tables full", places.fill_disk, 2, 0, Plan(change=places.data_on_small_disk), places.cannot_mount
    ),
    Scenario(
        "disk of the write-ahead log full", places.fill_disk, 2, 0,
        Plan(change=places.log_on_small_disk, options=FEW_WALS), places.cannot_mount,
    ),
    Scenario("clock jumping", places.jump, 24, 0, Plan(change=places.false_clock), places.cannot_compile),
    Scenario(SOAK, soak.soak, 3600, 0, Plan(instances=2, workers=2, change=soak.take_usual_limits)),
    *(
        Scenario(name, play, 2, 2 * (name in IN_SHORT), Plan(mutate=mutate, models=2), must_be_seen=words)
        for name, (mutate, play, words) in MUTATIONS.items()
    ),
]  # fmt: skip
"""The soak's number is seconds; it is played only if asked for."""
