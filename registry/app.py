"""Puts the service together."""

import os
from collections.abc import Callable
from typing import Any

from flask import Flask

from registry import config, db, faces, prepared, tracing
from registry.config import ConfigError, Settings
from registry.faces import kept
from registry.identity.believing import believed
from registry.metrics.board import Board
from registry.metrics.meters import Meters, counted
from registry.metrics.workers import parts
from registry.replica import Replica


class Service(Flask):
    """The application. None of its functions is a coroutine, so it need not look at each of them at each request."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """The function as it is."""
        return func


def create_app(settings: Settings | None = None) -> Flask:
    """Build one registry; gunicorn calls it bare, commands and tests pass their own settings.

    :raises ConfigError: a setting is missing or not right.
    """
    settings = settings or config.from_env(os.environ)
    if settings.database_url is None:
        raise ConfigError(
            "REGISTRY_DATABASE_URL is not set. 'registry serve' brings a database of its own; this does not."
        )
    app = Service("registry", static_folder=None)
    app.url_map.merge_slashes = False  # it would redirect, with a page, where there is nothing to be found
    app.config["REGISTRY"] = settings
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.json.compact = True  # type: ignore[attr-defined]
    meters = app.extensions["meters"] = Meters(Board(parts(settings.workers)))
    app.extensions["watchers"] = [meters.happened]
    db.init(app, settings, settings.database_url, counted(lambda: meters.board))
    if settings.replica_url is not None:
        show = lambda fresh: meters.board.show_replica(fresh)  # noqa: E731, PLW0108 (a worker may get another board)
        app.extensions["replica"] = Replica(settings, show=show)
    traced = tracing.install(app, os.environ)
    with app.app_context():  # behind the traces, which show the statements themselves
        prepared.install(db.db.engine)
    app.extensions["issuers"] = believed(settings.oidc_file)
    faces.register(app)
    kept.install(app, 0 if traced else settings.kept_answers_mb)  # each request that is traced has its spans
    return app
