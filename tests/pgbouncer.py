"""PgBouncer in transaction mode before a PostgreSQL of our own, with fewer connections than there are callers."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from chaos.postgres import DATABASE, SUPERUSER, as_user, free_port

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
CONNECTIONS = 2
ROLES = (SUPERUSER, "registry_app")
SECONDS_TO_START = 20
needs_pgbouncer = pytest.mark.skipif(
    PROGRAM is None and "REGISTRY_TEST_PGBOUNCER" not in os.environ,  # CI sets it, so as to miss no test unnoticed
    reason="no PgBouncer is installed (Debian: apt install pgbouncer)",
)


class PgBouncer:
    """One pooler; `server` is the port of what it leads to, `ignored` the startup parameters that it drops."""

    def __init__(self, directory: Path, server: int, ignored: str = "") -> None:
        self.port = free_port()
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": directory / "users",
            "pool_mode": "transaction",
            "default_pool_size": CONNECTIONS,
            "max_client_conn": 200,
            "ignore_startup_parameters": ignored,
        }
        lines = [f"{name} = {value}" for name, value in settings.items()]
        (directory / "users").write_text("".join(f'"{role}" ""\n' for role in ROLES))
        (directory / "ini").write_text(
            "\n".join(["[databases]", f"* = host=127.0.0.1 port={server}", "[pgbouncer]", *lines, ""])
        )

    def url(self, user: str) -> str:
        """Where the registry's database is, for one of its roles."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{DATABASE}"

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        assert PROGRAM is not None, "apt-get install pgbouncer"
        log = self._directory / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [PROGRAM, self._directory / "ini"], stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/",
                **as_user(),
            )  # fmt: skip
        deadline = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.02)
        raise AssertionError(log.read_text()[-2000:])

    def kill(self) -> None:
        """End it at once, with all connections through it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(20)
            self._process = None


@contextmanager
def pooled(server: int, ignored: str = "") -> Iterator[PgBouncer]:
    """A pooler that runs; it is gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="registry-pooler-"))
    directory.chmod(0o755)  # root's substitute must get through
    pooler = PgBouncer(directory, server, ignored)
    try:
        pooler.start()
        yield pooler
    finally:
        pooler.kill()
        shutil.rmtree(directory, ignore_errors=True)
