"""How gunicorn runs the service, whether `registry serve` starts it or `gunicorn -c python:registry.gunicorn_conf`."""

import gc
import os
import queue
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from registry.access_log import JsonLogger
from registry.config import Settings, is_loopback
from registry.db import db
from registry.door import close_at_stop
from registry.metrics.workers import choose_part, leave_part, take_part
from registry.watch import Watch
from registry.worker import Worker

KEEPALIVE_SECONDS = 65
"""Longer than the 60 s after which load balancers drop an idle connection, so that it is never us who hang up first."""
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108


def options(settings: Settings) -> dict[str, Any]:
    """Return gunicorn's options for these settings."""
    return {
        "bind": [address(settings)],
        "worker_class": Worker,
        "workers": settings.workers,
        "threads": settings.threads,
        # The application is made once and then forked: the workers share its memory. It opens no connection before.
        "preload_app": True,
        "pre_fork": before_fork,
        "post_fork": begin_worker,
        "child_exit": leave_part,
        "post_worker_init": begin_work(settings),
        "when_ready": when_ready,
        "on_starting": refuse_open_door(settings),
        "timeout": settings.worker_timeout_seconds,
        "graceful_timeout": settings.graceful_timeout_seconds,
        "keepalive": KEEPALIVE_SECONDS,
        "max_requests": settings.max_requests,
        "max_requests_jitter": settings.max_requests_jitter,
        "limit_request_line": 8190,
        "limit_request_fields": 64,
        "limit_request_field_size": 8190,
        "forwarder_headers": "",  # SCRIPT_NAME and PATH_INFO come from no header: it would be anybody's
        # A worker shows that it lives by touching a file; on a disk, a busy disk would make it look dead.
        "worker_tmp_dir": str(SHARED_MEMORY) if os.access(SHARED_MEMORY, os.W_OK) else None,
        "umask": 0o077,
        "logger_class": JsonLogger,
        "accesslog": "-",
        "errorlog": "-",
        "loglevel": settings.log_level,
        "proc_name": "model-registry",
        "control_socket_disable": True,
    }


def address(settings: Settings) -> str:
    """Return what gunicorn binds to."""
    return f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"


def url(settings: Settings) -> str:
    """Return where this machine finds the service: one that listens everywhere is here, too."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    return f"http://{address(replace(settings, host=here))}"


class Server(BaseApplication):  # type: ignore[misc] # gunicorn has no types
    """Gunicorn in this process, serving an application that is there already.

    `ready` is called once it listens, `beside` about every second while it does, to look after other processes.
    """

    def __init__(
        self,
        application: Flask,
        settings: Settings,
        ready: Callable[[], None],
        beside: Callable[[], None] = lambda: None,
    ) -> None:
        self._application = application
        self._options = options(settings)
        self._ready = ready
        self._beside = beside
        super().__init__()

    def load_config(self) -> None:
        """Take our options; gunicorn's own variables and files are not read."""
        for name, value in self._options.items():
            if name in self.cfg.settings:  # older versions know fewer
                self.cfg.set(name, value)
        self.cfg.set("when_ready", self.announce)

    def announce(self, arbiter: Any) -> None:
        """Say that the service listens."""
        when_ready(arbiter)
        self._ready()

    def load(self) -> Flask:
        """Return the application, for gunicorn."""
        return self._application

    def run(self) -> None:
        """Serve until told to stop."""
        try:
            AttentiveArbiter(self, self._beside).run()
        except RuntimeError as error:  # as gunicorn does
            sys.exit(f"Error: {error}")


class AttentiveArbiter(Arbiter):  # type: ignore[misc]
    """Gunicorn's parent process, which looks after one thing more than its workers."""

    def __init__(self, server: Server, beside: Callable[[], None]) -> None:
        self._beside = beside
        super().__init__(server)

    def manage_workers(self) -> None:
        """Start what is missing; gunicorn calls this about every second. Workers, once forked, do not return here."""
        super().manage_workers()
        self._beside()


def when_ready(arbiter: Any) -> None:
    """Have gunicorn, which listens by now, stop so that nobody is kept waiting and nobody lost."""
    close_at_stop(arbiter)
    stop_gracefully(arbiter)


def stop_gracefully(arbiter: Any) -> None:
    """Have Ctrl-C stop the service as SIGTERM does, and closing its terminal too, which gunicorn takes for a reload.

    Gunicorn's quick stop on Ctrl-C can hang until the graceful timeout: its workers get the terminal's signal and the
    parent's one, and the second handler may wait for a lock that the first one holds.
    """
    stopping = [signal.SIGINT, signal.SIGHUP] if sys.stderr.isatty() else [signal.SIGINT]
    for number in stopping:
        signal.signal(number, lambda _, frame: arbiter.signal(signal.SIGTERM, frame))


def before_fork(arbiter: Any, worker: Any) -> None:
    """Let workers share what is there now, for good: a garbage collection writes into all objects that it looks at.

    Without this each worker has a copy of nearly everything as soon as it has collected once.
    """
    gc.collect()
    gc.freeze()
    choose_part(arbiter, worker)


def begin_worker(arbiter: Any, worker: Any) -> None:
    """Start a worker without its parent's database connections, should there be any: two may not speak on one."""
    application: Flask = worker.app.wsgi()
    with application.app_context():
        db.engine.dispose(close=False)
    application.extensions["stopping"] = lambda: not worker.alive
    take_part(worker)
    board = application.extensions["meters"].board
    worker.show, worker.fewest = board.show_callers, board.fewest_callers
    worker.request_seconds = application.config["REGISTRY"].request_timeout_seconds
    worker.parent = arbiter


def heed_the_parent_alone(worker: Any) -> None:
    """Let a worker stop when its parent says so, also when it did so before the worker could hear it.

    Until its own handlers are there, a new worker has its parent's, which only put a signal into a queue that nobody
    in the worker reads: the parent would wait for it until the graceful timeout. The terminal speaks to the parent.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with suppress(queue.Empty):
        while True:
            if worker.parent.SIG_QUEUE.get_nowait() in {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}:
                worker.alive = False


def begin_work(settings: Settings) -> Callable[[Any], None]:
    """Return a hook for a worker that is ready: from now on one of them says how well the audit log is kept."""
    watch = Watch(settings.database_url) if settings.database_url else None

    def begin(worker: Any) -> None:
        heed_the_parent_alone(worker)
        if watch is not None:
            watch.begin()

    return begin


def refuse_open_door(settings: Settings) -> Callable[[Any], None]:
    """Return a hook that checks where gunicorn really listens, since its command line can say otherwise than we do."""

    def check(arbiter: Any) -> None:
        for where in arbiter.address:
            if not settings.auth and isinstance(where, tuple) and not is_loopback(where[0]):
                sys.exit(f"REGISTRY_AUTH=off is refused on {where[0]}: listen on 127.0.0.1 only.")

    return check
