"""Gunicorn's configuration file: `gunicorn -c python:registry.gunicorn_conf 'registry.app:create_app()'`.

For those who run gunicorn themselves, with a database of their own; `registry serve` needs no such file.
"""

import os
import sys

from registry import config, schema, server

try:
    SETTINGS = config.from_env(os.environ)
    PROBLEMS = schema.check(config.database_url(SETTINGS), connect_timeout=SETTINGS.connect_timeout_seconds)
except config.ConfigError as error:
    PROBLEMS = [str(error)]
if PROBLEMS:
    sys.exit("\n".join(PROBLEMS))

globals().update(server.options(SETTINGS))
