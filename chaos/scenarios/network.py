"""A network that cuts, swallows, delays and stalls."""

import signal
import time

from chaos.box import Box
from chaos.proxy import Cut

ONE_IN = {Cut.BEFORE: 10, Cut.AT: 10, Cut.AFTER: 10, Cut.HOLE_BEFORE: 40, Cut.HOLE_AFTER: 40}
"""A hole keeps a worker's thread for seconds: more of them would leave nobody to make COMMITs."""
LONGEST_SECONDS = 300


def cut_commits(box: Box, times: int) -> None:
    """Cut connections at COMMITs, each way in turn, until it has happened so often in all."""
    each = max(1, times // len(Cut))
    for cut in Cut:
        with box.journal.away():
            want, deadline = box.proxy.cuts[cut] + each, time.monotonic() + LONGEST_SECONDS
            box.proxy.set(cut=cut, one_in=ONE_IN[cut])
            while box.proxy.cuts[cut] < want and time.monotonic() < deadline:
                time.sleep(0.05)
            box.proxy.clear()
            box.become_ready()
        box.counts[f"COMMITs cut, {cut.value}"] = box.proxy.cuts[cut]


def cut_connections(box: Box, times: int) -> None:
    """Cut all connections at once, and refuse new ones for a moment."""
    for _ in range(times):
        time.sleep(box.chance.uniform(0.5, 1.5))
        with box.journal.away():
            box.proxy.set(refusing=True)
            time.sleep(box.chance.uniform(0, 1))
            box.proxy.clear()
            box.become_ready()
        box.counts["connections cut"] += 1


def slow_down(box: Box, times: int) -> None:
    """Make every answer of the database late, by more and more."""
    for number in range(times):
        with box.journal.away():
            box.proxy.set(latency=(0.05, 0.25, 0.6)[number % 3])
            time.sleep(4)
            box.proxy.clear()
            box.become_ready()
        box.counts["slowed down"] += 1


def stall(box: Box, times: int) -> None:
    """Let the network carry nothing any more, or the database's processes stand still; connections stay open."""
    for number in range(times):
        time.sleep(1)
        with box.journal.away():
            if number % 2:
                box.server.signal_all(signal.SIGSTOP)
            else:
                box.proxy.set(stalled=True)
            time.sleep(8)
            box.server.signal_all(signal.SIGCONT)
            box.proxy.clear()
            box.become_ready()
        box.counts["stalled"] += 1
