"""An hour at about half of what the service can do: nothing may grow."""

import statistics
import time
from dataclasses import dataclass

from chaos.box import Box

SECONDS_BETWEEN_SAMPLES = 15
PACE_SECONDS = 0.25
MEMORY_MAY_GROW, LATENCY_MAY_GROW = 1.15, 1.6
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'model-registry'"
THIRDS = 3


@dataclass(frozen=True)
class Sample:
    """How things were at a moment."""

    memory: int
    connections: int
    latency: float


def soak(box: Box, seconds: int) -> None:
    """Let clients work at their pace, and compare the end with the beginning, after a third of the time to warm up."""
    box.load.pace = PACE_SECONDS
    until = time.monotonic() + seconds
    samples = []
    while time.monotonic() < until:
        before = len(box.journal.waits)
        time.sleep(min(SECONDS_BETWEEN_SAMPLES, max(1.0, seconds / 12)))
        latency = statistics.median(box.journal.waits[before:] or [0.0])
        memory = sum(service.memory() for service in box.services)
        samples.append(Sample(memory, int(box.server.ask(CONNECTIONS)[0][0]), latency))
    box.counts["seconds soaked"] += seconds
    for fault in growth(samples, box.plan.instances * box.plan.workers * box.plan.pool):
        box.journal.fault(fault)
    box.counts["memory at the end, MB"] = samples[-1].memory // 1024**2
    box.counts["connections at the end"] = samples[-1].connections


def growth(samples: list[Sample], most_connections: int) -> list[str]:
    """What has grown from the second third of the samples to the last one, by their medians."""
    third = len(samples) // THIRDS
    middle, end = samples[third : 2 * third], samples[2 * third :]
    found = []
    for what, allowed in (("memory", MEMORY_MAY_GROW), ("latency", LATENCY_MAY_GROW)):
        before, after = (statistics.median(getattr(one, what) for one in part) for part in (middle, end))
        if after > before * allowed:
            found.append(f"{what} has grown from {before:g} to {after:g}")
    if (most := max(sample.connections for sample in samples)) > most_connections + 2:
        found.append(f"there were {most} connections, of {most_connections} that the pools may have")
    return found
