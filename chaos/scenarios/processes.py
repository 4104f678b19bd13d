"""Workers and servers that are killed."""

import signal
import time
from collections.abc import Callable
from contextlib import suppress

import psutil

from chaos.box import Box


def kill_workers(box: Box, times: int) -> None:
    """`kill -9` of a worker, whatever it is at; its parent starts another one."""
    with box.journal.losing_answers():
        for _ in range(times):
            time.sleep(box.chance.uniform(0.08, 0.22))
            service = box.chance.choice(box.services)
            if workers := service.workers():
                with suppress(psutil.NoSuchProcess):
                    box.chance.choice(workers).kill()
                    box.counts["workers killed"] += 1
        box.become_ready()


def kill_postgres(box: Box, times: int) -> None:
    """`kill -9` of all processes of the database, as a power cut; after every third time also an immediate stop."""
    for number in range(times):
        end_postgres(box, box.server.kill, "database killed")
        if number % 3 == 2:  # noqa: PLR2004
            end_postgres(box, lambda: box.server.stop(signal.SIGQUIT), "database stopped at once")


def end_postgres(box: Box, how: Callable[[], object], counted: str) -> None:
    """End the database in some way, start it again, and wait for the service."""
    time.sleep(box.chance.uniform(0.3, 1.2))
    with box.journal.away():
        how()
        time.sleep(box.chance.uniform(0, 0.5))
        box.server.start()
        box.become_ready()
    box.counts[counted] += 1


def kill_sealer(box: Box, times: int) -> None:
    """`kill -9` of the sealer, whatever it is at; a new one goes on."""
    for _ in range(times):
        time.sleep(box.chance.uniform(0.1, 1.0))
        box.sealer.kill()
        box.start_sealer()
        box.counts["sealer killed"] += 1
