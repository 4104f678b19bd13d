"""What the commands share that act on the database as the operator, by way of the application."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask

from registry import config, embedded
from registry.app import create_app
from registry.cli.running import require_schema, with_database
from registry.config import Settings
from registry.db import db


@contextmanager
def as_operator(role: str = embedded.SERVICE) -> Iterator[Flask]:
    """Yield the application in its context, on a database that is as the code needs it; `role` as in with_database.

    :raises ConfigError: a setting is not right.
    :raises EmbeddedError: the embedded database cannot run here.
    :raises SchemaError: the database is not as the code needs it.
    """
    with with_database(config.from_env(os.environ), role) as settings, application(settings) as app:
        yield app


@contextmanager
def application(settings: Settings) -> Iterator[Flask]:
    """Yield the application in its context; afterwards it holds no connection any more, so that it can be forked.

    :raises SchemaError: the database is not as the code needs it.
    """
    require_schema(settings)
    app = create_app(settings)
    with app.app_context():
        try:
            yield app
        finally:
            db.session.remove()
            db.engine.dispose()
