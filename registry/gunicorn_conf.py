"""Gunicorn's configuration file: `gunicorn -c python:registry.gunicorn_conf 'registry.app:create_app()'`.

For those who run gunicorn themselves, with a database of their own; `registry serve` needs no such file.
"""

import os
import sys

from registry import limits, schema, server
from registry.config import ConfigError, database_url, from_env

try:
    SETTINGS = from_env(os.environ)
    PROBLEMS = schema.check(database_url(SETTINGS), connect_timeout=SETTINGS.connect_timeout_seconds)
    PROBLEMS = PROBLEMS or limits.check(SETTINGS)
except ConfigError as error:
    PROBLEMS = [str(error)]
if PROBLEMS:
    sys.exit("\n".join(PROBLEMS))

globals().update(server.options(SETTINGS))  # gunicorn reads each name here that is one of its options
