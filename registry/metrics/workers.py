"""Gunicorn's hooks by which each worker has a part of the board to itself."""

from typing import Any

from flask import Flask

from registry.metrics.meters import Meters

SPARE = 8
"""Parts beyond two for each worker: at a reload, the new ones are there before the old ones have gone."""


def parts(workers: int) -> int:
    """How many parts a board needs."""
    return 2 * workers + SPARE


def meters_of(application: Flask) -> Meters:
    """What the application counts with."""
    meters: Meters = application.extensions["meters"]
    return meters


def choose_part(arbiter: Any, worker: Any) -> None:
    """Before the fork, in the parent: give the worker a part that no living one has."""
    taken = {other.part for other in arbiter.WORKERS.values()}
    free = set(range(meters_of(arbiter.app.wsgi()).board.parts)) - taken
    worker.part = min(free, default=None)
    if worker.part is None:
        arbiter.log.warning("There are too many workers to count what they do: this one is left out of /metrics.")


def take_part(worker: Any) -> None:
    """After the fork, in the worker: write there. One without a part of its own writes where nobody reads."""
    meters = meters_of(worker.app.wsgi())
    if worker.part is None:
        meters.board = type(meters.board)(1)
    meters.begin(worker.part or 0)


def leave_part(arbiter: Any, worker: Any) -> None:
    """In the parent, when a worker is gone, however it went: what only a living one has is no more."""
    if worker.part is not None:
        meters_of(arbiter.app.wsgi()).board.wipe(worker.part)
