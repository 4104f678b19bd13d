"""All that is broken, in one place: a database, the proxy before it, the service, its sealer, and its clients."""

import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chaos import checking
from chaos.journal import Journal
from chaos.load import Load
from chaos.postgres import DATABASE, SUPERUSER, Server
from chaos.proxy import Proxy
from chaos.service import ROOT, Program, Service, run

APP, SEALER = "registry_app", "audit_sealer"
SECONDS_TO_SEAL = 30.0
AT_WORK = "Sealing the audit log"


@dataclass(frozen=True)
class Plan:
    """How a box is furnished."""

    instances: int = 1
    workers: int = 3
    threads: int = 4
    pool: int = 4
    writers: int = 6
    models: int = 4
    options: tuple[tuple[str, str], ...] = ()
    """Of the database."""
    change: Callable[["Box"], None] | None = None
    """What is done to it before it starts: another place for its files, another clock."""
    mutate: Callable[["Box"], None] | None = None
    """What is spoilt on purpose once everything runs, and before clients come."""


class Box:
    """One database with all that belongs to it."""

    def __init__(self, directory: Path, template: Server, plan: Plan, seed: str) -> None:
        directory.mkdir()
        directory.chmod(0o755)
        self.directory = directory
        self.plan = plan
        self.counts: Counter[str] = Counter()
        self.notes: list[str] = []
        """Paragraphs for the report."""
        self.slowest_ready = 0.0
        self.chance = random.Random(seed)
        self.journal = Journal()
        self.server = template.copy(directory / "data", **dict(plan.options))
        self.proxy = Proxy(self.server.port, seed=seed)
        self.services: list[Service] = []
        self.environ: dict[str, str] = {}
        """Of the programs of the service."""
        self.port: Callable[[], int] = self._some_port
        """Where clients go."""
        self.url_of: Callable[[str], str] = lambda role: self.server.url(role, self.proxy.port)
        """Where the programs of the service find the database, by role: behind the proxy."""
        self.root = ROOT
        """The release that knows the schema."""
        self.other_port = 0
        """Where a second server of the database is, or will be."""
        self.need_room: Callable[[], None] = lambda: None
        """What makes the database need more room on its disk than clients do."""
        self.cleanup: list[Callable[[], object]] = []
        """What is to be done in the end."""
        self.sealer = Program(directory, "sealer", {})
        self._seed = seed
        self.load = self.make_load()

    def make_load(self, called: str = "model") -> Load:
        """Clients, not yet at work, on models that are called so."""
        where = lambda: self.port()  # noqa: E731, PLW0108 (a scenario may set another one)
        plan, seed = self.plan, f"{self._seed}-{called}"
        return Load(where, self.journal, writers=plan.writers, models=plan.models, seed=seed, called=called)

    def _some_port(self) -> int:
        return self.services[time.monotonic_ns() // 1000 % len(self.services)].port

    def open(self) -> None:
        """Start everything."""
        if self.plan.change is not None:
            self.plan.change(self)
        self.server.start()
        self.proxy.start()
        for number in range(self.plan.instances):
            self.services.append(self.make_service(f"service-{number}"))
        for service in self.services:
            service.start()
        place = {"REGISTRY_DATABASE_URL": self.url_of(SEALER), "REGISTRY_SEALER_DIR": str(self.directory / "sealer")}
        self.sealer = Program(self.directory, "sealer", place | self.environ)
        self.start_sealer()
        if self.plan.mutate is not None:
            self.plan.mutate(self)
        self.load.prepare()
        self.load.start()

    def make_service(self, name: str) -> Service:
        """An instance on this database, not yet started."""
        given = {
            "REGISTRY_DATABASE_URL": self.url_of(APP),
            "REGISTRY_WORKERS": str(self.plan.workers),
            "REGISTRY_THREADS": str(self.plan.threads),
            "REGISTRY_POOL_SIZE": str(self.plan.pool),
            "REGISTRY_DATA_DIR": str(self.directory / name),
        }
        return Service(self.directory, name, given | self.environ)

    def start_sealer(self) -> None:
        """Start it and wait until it is at work: one that finds no database when it starts ends, for others to see."""
        at_work = self.sealer.said.read_text().count(AT_WORK) if self.sealer.said.exists() else 0
        self.sealer.begin("sealer")
        deadline = time.monotonic() + SECONDS_TO_SEAL
        while time.monotonic() < deadline and self.sealer.said.read_text().count(AT_WORK) == at_work:
            time.sleep(0.05)

    def become_ready(self) -> None:
        """Wait until the service is ready again, now that the database is there; note how long that took."""
        begun = time.monotonic()
        waiting = list(self.services)
        while waiting and time.monotonic() < begun + 60:
            waiting = [service for service in waiting if not service.is_ready()]
            time.sleep(0.02)
        self.slowest_ready = max(self.slowest_ready, time.monotonic() - begun)

    def settle(self) -> None:
        """Let everybody finish, the log be sealed, and look at everything."""
        self.proxy.clear()
        self.load.stop()
        if not self.sealer.runs:
            self.journal.fault(f"the sealer has ended: {self.sealer.said.read_text()[-500:]}")
        self._let_seal()
        while self.sealer.runs and self.load.follower.read(0):
            pass
        checking.check(self)
        for trace in (trace for service in self.services for trace in service.traces()):
            self.journal.fault(f"a fault of the service was written down: {trace}")

    def _let_seal(self) -> None:
        deadline = time.monotonic() + SECONDS_TO_SEAL
        while self.sealer.runs and time.monotonic() < deadline:
            if not self.server.ask("SELECT 1 FROM audit.pending LIMIT 1"):
                time.sleep(0.5)  # the checkpoint follows the seals
                return
            time.sleep(0.1)
        self.journal.fault("not everything was sealed")

    def close(self) -> None:
        """End everything that was started."""
        self.load.stopping.set()
        for program in [*self.services, self.sealer]:
            program.terminate()
        for program in [*self.services, self.sealer]:
            if program.wait(20) != 0:
                self.journal.fault(f"{program.said.stem} did not stop well: {program.said.read_text()[-500:]}")
        self.proxy.stop()
        self.server.stop(signal.SIGINT)
        for clean in self.cleanup:
            clean()


@contextmanager
def opened(box: Box) -> Iterator[Box]:
    """Open a box, with clients at work; nothing of it is left afterwards."""
    try:
        box.open()
        yield box
    finally:
        box.close()
        shutil.rmtree(box.directory, ignore_errors=True)


def make_template(directory: Path) -> Server:
    """A server with a registry in it that nobody has used, stopped."""
    server = Server(directory)
    server.initialise()
    server.start()
    server.ask(f"CREATE DATABASE {DATABASE}", database="postgres")
    done = run("db", "upgrade", REGISTRY_DATABASE_URL=server.url(SUPERUSER))
    if done.returncode:
        raise RuntimeError(f"The database cannot be made: {done.stderr}")
    server.stop()
    return server
