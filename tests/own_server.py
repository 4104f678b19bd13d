"""A PostgreSQL server of a test's own, which it may kill, promote or put something in front of."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaos.postgres import DATABASE, SUPERUSER, Server
from registry import schema
from registry.config import with_driver
from registry.database_url import DatabaseUrl


@contextmanager
def migrated(**options: str) -> Iterator[Server]:
    """A server with the registry's schema and roles, in a directory that is gone afterwards, with all beside it."""
    directory = Path(tempfile.mkdtemp(prefix="registry-server-"))
    directory.chmod(0o755)  # root's substitute must get through
    server = Server(directory / "server", fsync="off", **options)
    try:
        server.initialise()
        server.start()
        server.ask(f"CREATE DATABASE {DATABASE}", database="postgres")
        schema.upgrade(with_driver(DatabaseUrl.parse(server.url(SUPERUSER))))
        yield server
    finally:
        server.kill()
        shutil.rmtree(directory, ignore_errors=True)
