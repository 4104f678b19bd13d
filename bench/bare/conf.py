"""Gunicorn's configuration of the bare route: as for our service, without the hooks, which need our application."""

import os
from collections.abc import Iterator

from registry import server
from registry.config import from_env


def kept() -> Iterator[tuple[str, object]]:
    """Yield our options, except for functions; classes, of worker and logger, are none."""
    for name, value in server.options(from_env(os.environ)).items():
        if isinstance(value, type) or not callable(value):
            yield name, value


globals().update(dict(kept()))
