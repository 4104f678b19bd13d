"""An hour at half of what the service can do for these clients: nothing may grow.

What it can do is measured first, by clients that rest never, and again after each third of the time: the share that
they ask for is known, and not assumed. Other work on the machine makes answers late without anything having grown; so
it is measured too, and so is the processor time that a change takes, which other work hardly touches.
"""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chaos import usage
from chaos.box import Box
from registry.config import Settings

SHARE = 0.5
SECONDS_BETWEEN_SAMPLES, SECONDS_FLAT_OUT, SECONDS_TO_SETTLE = 15.0, 20.0, 10.0
MEMORY_MAY_GROW, LATENCY_MAY_GROW, WORK_MAY_GROW = 1.1, 1.6, 1.3
CORES_MORE_OF_OTHERS = 0.2
"""Others that take so much more than before are reason enough for answers to be later."""
CONNECTIONS_MAY_GROW = 2
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'model-registry%'"
OF_THE_SEALER = 2
THIRDS, PERIODS = 3, 12
MB = 1024**2
HEAD = (
    "| minutes | changes a second | latency: quartiles, ms | service, MB | sealer, MB | database, MB | connections "
    "| processor time of a change, ms | cores that others took |\n|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Sample:
    """How things were for some seconds."""

    seconds: float
    changes: int
    waits: tuple[float, ...]
    """Seconds that each answer took."""
    service: int
    """Bytes (PSS) of all processes of all instances; so are the next two."""
    sealer: int
    database: int
    connections: int
    work: float
    """Processor seconds of service, sealer and database."""
    others: float
    """Processor seconds of everybody else on the machine but the clients."""

    @property
    def latency(self) -> float:
        """The median, in seconds."""
        return statistics.median(self.waits or [0.0])

    @property
    def work_of_a_change(self) -> float:
        """Processor seconds."""
        return self.work / max(1, self.changes)

    @property
    def cores_of_others(self) -> float:
        """How many cores they kept busy."""
        return self.others / self.seconds


def take_usual_limits(box: Box) -> None:
    """Give the service the time that it has by itself: in an hour a disk may stand still for a second."""
    usual = Settings()
    box.environ |= {
        "REGISTRY_STATEMENT_TIMEOUT_MS": str(usual.statement_timeout_ms),
        "REGISTRY_LOCK_TIMEOUT_MS": str(usual.lock_timeout_ms),
    }


def soak(box: Box, seconds: float) -> None:
    """Let clients ask for half of what they can get, for so long, and compare the end with what was before."""
    measuring = min(SECONDS_FLAT_OUT, seconds / 6)
    time.sleep(min(SECONDS_TO_SETTLE, measuring))
    could = [flat_out(box, measuring)]
    wanted = could[0] * SHARE
    parts: list[list[Sample]] = []
    for _ in range(THIRDS):
        box.load.pace = box.plan.writers / wanted
        time.sleep(min(SECONDS_TO_SETTLE, measuring))
        parts.append(samples(box, seconds / THIRDS))
        could.append(flat_out(box, measuring))
    taken = [sample for part in parts for sample in part]
    done = sum(sample.changes for sample in taken) / sum(sample.seconds for sample in taken)
    box.counts["seconds soaked"] += round(sum(sample.seconds for sample in taken))
    box.counts["changes a second"] = round(done)
    box.counts["share of what it can do, %"] = round(100 * done / statistics.mean(could))
    box.notes.append(f"Flat out, before and after each third: {', '.join(f'{rate:.1f}' for rate in could)} a second.")
    box.notes.append(table(taken))
    box.notes.append(from_first_to_last(parts))
    faults, remarks = growth(parts, box.plan.instances * box.plan.workers * box.plan.pool + OF_THE_SEALER)
    box.notes += remarks
    for fault in faults:
        box.journal.fault(fault)


def flat_out(box: Box, seconds: float) -> float:
    """How many changes a second the clients get done when none of them rests."""
    box.load.pace = 0.0
    before, begun = len(box.journal.changes), time.monotonic()
    time.sleep(seconds)
    return max(1, len(box.journal.changes) - before) / (time.monotonic() - begun)


def samples(box: Box, seconds: float) -> list[Sample]:
    """Look now and then, for so long."""
    until = time.monotonic() + seconds
    taken = []
    while time.monotonic() < until:
        taken.append(sample(box, min(SECONDS_BETWEEN_SAMPLES, max(1.0, seconds / 4))))
    return taken


def sample(box: Box, seconds: float) -> Sample:
    """Look at what happens for so long."""
    services, ours = [service.pid for service in box.services], [box.sealer.pid, box.server.pid]
    waits, changes, begun = len(box.journal.waits), len(box.journal.changes), time.monotonic()
    before = usage.processor([*services, *ours]), usage.processor([os.getpid()]), usage.busy()
    time.sleep(seconds)
    after = usage.processor([*services, *ours]), usage.processor([os.getpid()]), usage.busy()
    work, _, machine = (later - earlier for later, earlier in zip(after, before, strict=True))
    return Sample(
        time.monotonic() - begun,
        len(box.journal.changes) - changes,
        tuple(box.journal.waits[waits:]),
        usage.memory(services),
        usage.memory(ours[:1]),
        usage.memory(ours[1:]),
        int(box.server.ask(CONNECTIONS)[0][0]),
        work,
        max(0.0, machine - (after[1] - before[1])),
    )


def growth(parts: Sequence[Sequence[Sample]], most_connections: int) -> tuple[list[str], list[str]]:
    """What has grown from the middle third to the last one, by their medians: faults, and what is no fault but said.

    The first third is there to warm up. Later answers are a fault if nobody else took more of the machine, or if a
    change takes more processor time as well.
    """
    _, middle, end = parts
    faults: list[str | None] = []
    remarks: list[str] = []

    def grown(what: str, of: Callable[[Sample], float], allowed: float) -> str | None:
        before, after = (statistics.median(of(one) for one in part) for part in (middle, end))
        return f"{what} has grown from {before:.3g} to {after:.3g}" if after > before * allowed else None

    faults.append(grown("memory of the service, MB,", lambda one: one.service / MB, MEMORY_MAY_GROW))
    faults.append(grown("memory of the sealer, MB,", lambda one: one.sealer / MB, MEMORY_MAY_GROW))
    work = grown("processor time of a change, s,", lambda one: one.work_of_a_change, WORK_MAY_GROW)
    faults.append(work)
    before, after = (statistics.median(one.cores_of_others for one in part) for part in (middle, end))
    if (latency := grown("latency, s,", lambda one: one.latency, LATENCY_MAY_GROW)) is not None:
        others = f"{latency}, while others took {before:.2f} cores and then {after:.2f}"
        (remarks if after > before + CORES_MORE_OF_OTHERS and work is None else faults).append(others)
    more = max(one.connections for one in end) - max(one.connections for one in middle)
    if more > CONNECTIONS_MAY_GROW:
        faults.append(f"there are {more} connections more than there were")
    if (most := max(one.connections for part in parts for one in part)) > most_connections:
        faults.append(f"there were {most} connections, of {most_connections} that there may be")
    return [fault for fault in faults if fault is not None], remarks


def from_first_to_last(parts: Sequence[Sequence[Sample]]) -> str:
    """What became of the first third's medians by the last: with what it took to warm up, so none of it is judged."""
    looked_at: dict[str, Callable[[Sample], float]] = {
        "service, MB": lambda one: one.service / MB,
        "sealer, MB": lambda one: one.sealer / MB,
        "latency, ms": lambda one: 1000 * one.latency,
        "processor time of a change, ms": lambda one: 1000 * one.work_of_a_change,
    }
    told = []
    for what, of in looked_at.items():
        first, last = (statistics.median(of(one) for one in part) for part in (parts[0], parts[-1]))
        told.append(f"{what}: {first:.1f}, {last:.1f}")
    return f"Medians of the first third and of the last: {'; '.join(told)}."


def table(taken: Sequence[Sample]) -> str:
    """How it went, period by period."""
    size = max(1, round(len(taken) / PERIODS))
    periods = [taken[first : first + size] for first in range(0, len(taken), size)]
    return "\n".join([HEAD, *(row(taken[: number * size], period) for number, period in enumerate(periods))])


def row(before: Sequence[Sample], period: Sequence[Sample]) -> str:
    """One of its lines; times begin where clients began to rest, and leave out when they did not."""
    begun, seconds = (sum(one.seconds for one in part) for part in (before, period))
    waits = sorted(wait for one in period for wait in one.waits) or [0.0]
    quartiles = ", ".join(f"{1000 * waits[len(waits) * part // 4]:.0f}" for part in (1, 2, 3))
    memory = [max(getattr(one, what) for one in period) / MB for what in ("service", "sealer", "database")]
    changes = sum(one.changes for one in period)
    work = 1000 * sum(one.work for one in period) / max(1, changes)
    cells = [f"{begun / 60:.1f}-{(begun + seconds) / 60:.1f}", f"{changes / seconds:.1f}", quartiles]
    cells += [*(f"{size:.0f}" for size in memory), str(max(one.connections for one in period)), f"{work:.1f}"]
    return f"| {' | '.join([*cells, f'{sum(one.others for one in period) / seconds:.2f}'])} |"
