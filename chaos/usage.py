"""What processes take of the machine."""

from collections.abc import Iterable
from contextlib import suppress

import psutil

from chaos.postgres import processes


def memory(pids: Iterable[int]) -> int:
    """What these processes and their children take, in bytes (PSS); what they share is counted once."""
    total = 0
    for pid in pids:
        for process in processes(pid):
            with suppress(psutil.Error):
                total += int(process.memory_full_info().pss)
    return total


def processor(pids: Iterable[int]) -> float:
    """Processor seconds that these processes have taken so far, with their children, those that ended too."""
    total = 0.0
    for pid in pids:
        for process in processes(pid):
            with suppress(psutil.Error):
                taken = process.cpu_times()
                total += taken.user + taken.system + taken.children_user + taken.children_system
    return total


def busy() -> float:
    """Processor seconds that the whole machine has worked so far."""
    now = psutil.cpu_times()
    return float(now.user + now.system + getattr(now, "nice", 0.0) + getattr(now, "irq", 0.0)) + float(
        getattr(now, "softirq", 0.0) + getattr(now, "steal", 0.0)
    )
