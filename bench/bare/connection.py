"""The connections of the bare route: one for each thread."""

import os
import threading
from typing import Any

import psycopg2

from bench.servers import plain

URL = plain(os.environ["REGISTRY_DATABASE_URL"]) if "REGISTRY_DATABASE_URL" in os.environ else ""
_local = threading.local()


def connection() -> Any:
    """Return this thread's connection, opened when it is first needed."""
    if not hasattr(_local, "connection"):
        _local.connection = psycopg2.connect(URL)
        _local.connection.autocommit = True
    return _local.connection
