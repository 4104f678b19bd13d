"""Workers and servers that are killed."""

import signal
import time
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
    """`kill -9` of all processes of the database, as a power cut; every fourth time an immediate stop instead."""
    for number in range(times):
        time.sleep(box.chance.uniform(0.3, 1.2))
        with box.journal.away():
            if number % 4 == 3:  # noqa: PLR2004
                box.server.stop(signal.SIGQUIT)
            else:
                box.server.kill()
            time.sleep(box.chance.uniform(0, 0.5))
            box.server.start()
            box.become_ready()
        box.counts["database killed"] += 1


def kill_sealer(box: Box, times: int) -> None:
    """`kill -9` of the sealer, whatever it is at; a new one goes on."""
    for _ in range(times):
        time.sleep(box.chance.uniform(0.1, 1.0))
        box.sealer.kill()
        box.start_sealer()
        box.counts["sealer killed"] += 1
