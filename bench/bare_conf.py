"""Gunicorn's configuration of the bare route: as for our service, without what needs our application."""

import os

from registry import server
from registry.config import from_env

OURS_ALONE = ("post_fork", "post_worker_init", "when_ready", "on_starting")
globals().update(
    {name: value for name, value in server.options(from_env(os.environ)).items() if name not in OURS_ALONE}
)
