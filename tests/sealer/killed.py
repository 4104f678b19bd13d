"""A sealer that ends as if the power failed, the nth time it reaches a point: `python -m tests.sealer.killed …`."""

import os
import signal
import sys
from pathlib import Path

from registry.sealer import seals
from tests.sealer.logs import Place

url, directory, where, times = sys.argv[1:]
reached = {where: int(times)}
seals.BATCH = 10


def reach(point: str) -> None:
    reached[point] = reached.get(point, 0) - 1
    if point == where and reached[point] == 0:
        os.kill(os.getpid(), signal.SIGKILL)


with Place(url, Path(directory)).sealer(reach) as sealer:
    sealer.seal()
