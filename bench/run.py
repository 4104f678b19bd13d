"""One run: databases, services, rounds, the audit log, and the report."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import audit_log, contenders, grants, log_cost, lookup, rounds, servers, statements
from bench.findings import AIMED_AT, Audit, Disk, Findings
from bench.load import mlflow as mlflow_loader
from bench.load import registry as registry_loader
from bench.machine import description
from bench.population import Size
from bench.questions import OURS, Known, Question
from bench.report import report
from bench.rounds import BARE, MLFLOW, US, Asked
from registry import embedded, schema
from registry.app import create_app
from registry.config import Settings
from registry.db import db
from registry.sealer.place import PUBLIC

EXPORTED = 1_000_000
SEALED = 10_000
COST = "bench_cost"
LOADED = "loaded"
"""What is said of a database that is whole; behind it the seconds that it took."""
SCHEMA_SIZE = (
    "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relkind IN ('r', 'm', 'S')"
)
READY = {
    US: "registry serve, on a database that is there",
    BARE: "bare Flask route",
    MLFLOW: "mlflow server, on a database that is there",
}


def tell(text: str) -> None:
    """Print at once, also into a file."""
    print(text, flush=True)


@dataclass(frozen=True)
class Plan:
    """What is to be measured."""

    directory: Path
    sizes: list[Size]
    mlflow: str | None
    server: str | None
    rounds: int
    seconds: int
    quick: bool = False
    say: Callable[[str], object] = tell

    def ours(self, size: Size) -> Path:
        """Where our service on a registry of this size keeps its files."""
        return self.directory / size.name


def run(plan: Plan, *, load_only: bool = False) -> str:
    """Do all of it and return the report."""
    with servers.server(plan.directory, plan.server) as server:
        found = Findings(plan.sizes, description(servers.database(server, "postgres"), plan.mlflow))
        for size in plan.sizes:
            load(plan, server, size, found)
        if load_only:
            return "Loaded."
        try:
            found.noise.look()
            measure_log(plan, server, found)
            measure_requests(plan, server, found)
            measure_grants(plan, server, found)
            found.noise.look()
        except KeyboardInterrupt:
            plan.say("Interrupted: the report has what was measured until now.")
    return report(found, plan.rounds)


# Databases


def load(plan: Plan, server: str, size: Size, found: Findings) -> None:
    """Load what is not there yet: our registry, sealed, and MLflow's."""
    name = ours(size)
    if not is_loaded(server, name):
        plan.say(f"Loading a {size.name} registry: {size.models:,} models, {size.versions:,} versions ...")
        began = time.monotonic()
        shutil.rmtree(plan.ours(size), ignore_errors=True)
        url = servers.create(server, name)
        schema.upgrade(url)
        registry_loader.load(url, size, plan.say)
        seconds = time.monotonic() - began
        seal_all(plan, size, url)
        mark(server, name, seconds)
    found.loaded[size.name] = seconds_of(server, name)
    schema.upgrade(servers.database(server, name))
    if plan.mlflow and not is_loaded(server, theirs(size)):
        plan.say(f"Loading the same models for MLflow, {size.name} ...")
        mlflow_loader.load(plan.mlflow, servers.create(server, theirs(size)), size, plan.say)
        mark(server, theirs(size), 0)


def seal_all(plan: Plan, size: Size, url: str) -> None:
    """Seal what was loaded, and say how fast that went at the beginning of the log and at its end."""
    contenders.seal(url, plan.ours(size))
    last = size.events // 10
    for start in (0, size.events - last):
        if rate := audit_log.sealing_rate(url, start, start + last):
            plan.say(f"  sealed {rate:,.0f} events per second, from {start:,} to {start + last:,}")


def ours(size: Size) -> str:
    """The name of our database."""
    return f"bench_{size.name}"


def theirs(size: Size) -> str:
    """The name of MLflow's database."""
    return f"bench_mlflow_{size.name}"


def is_loaded(server: str, name: str) -> bool:
    """Whether a database is there, whole."""
    return said_of(server, name).startswith(LOADED)


def seconds_of(server: str, name: str) -> float:
    """How long it took to load; 0 if nobody knows any more."""
    return float(said_of(server, name).removeprefix(LOADED) or 0)


def said_of(server: str, name: str) -> str:
    """The remark that a database has, if it is there and has one."""
    remark = "SELECT coalesce(max(shobj_description(oid, 'pg_database')), '') FROM pg_database WHERE datname = %s"
    return str(servers.ask(servers.database(server, "postgres"), remark, name))


def mark(server: str, name: str, seconds: float) -> None:
    """Say that a database is whole, and how long it took to load."""
    servers.command(server, f"COMMENT ON DATABASE {name} IS '{LOADED} {seconds:.0f}'")


# The audit log, without the service


def measure_log(plan: Plan, server: str, found: Findings) -> None:
    """What the log costs, on a copy that may be spoiled; and logged writes and sealing, by size."""
    url = servers.create(server, COST, template=ours(plan.sizes[0]))
    copied = plan.directory / "cost"
    shutil.rmtree(copied, ignore_errors=True)
    shutil.copytree(plan.ours(plan.sizes[0]) / "sealer", copied / "sealer")
    plan.say("Measuring what the audit log costs ...")
    writers, seconds = ([log_cost.AIMED], plan.seconds) if plan.quick else (log_cost.WRITERS, 2 * plan.seconds)
    found.costs = log_cost.measure(url, copied, writers, plan.rounds, seconds, plan.say)
    servers.drop(server, COST)
    found.audit = {size.name: Audit() for size in plan.sizes}
    for _ in range(0 if plan.quick else plan.rounds):
        for size in plan.sizes:
            at = servers.database(server, ours(size))
            rate = log_cost.write_rate(at, plan.ours(size), log_cost.AIMED, 2 * plan.seconds)
            found.audit[size.name].written.append(rate)
            found.audit[size.name].sealed.append(audit_log.seal_more(at, plan.ours(size), SEALED))


# Services


def measure_requests(plan: Plan, server: str, found: Findings) -> None:
    """Start everybody, let all take turns, and then look at memory and exports."""
    with started(plan, server) as asked:
        for one in asked:
            found.ready[f"{READY[one.who]}{of_size(one)}"] = one.contender.seconds_to_ready
        plan.say("Measuring requests ...")
        databases = [(size, servers.database(server, ours(size))) for size in plan.sizes]
        rounds.run(asked, databases, plan.rounds, plan.seconds, found.noise, plan.say, found.results)
        for one in asked:
            found.memory[one.who, one.size.name] = one.contender.memory
        for one in asked:
            if one.who == US:
                found.generator += one.generator
                found.disk[one.size.name] = room(servers.database(server, ours(one.size)))
                count_statements(server, one, found)
                measure_exports(plan, one, found.audit[one.size.name])
    found.ready |= {} if plan.quick else starts(plan)


def measure_grants(plan: Plan, server: str, found: Findings) -> None:
    """What it costs to have more grants."""
    if plan.quick:
        return
    plan.say("Measuring what grants cost ...")
    for size in plan.sizes:
        url = servers.database(server, ours(size))
        found.grants[size.name] = grants.measure(url, size, plan.ours(size), plan.rounds, plan.seconds, plan.say)


@dataclass
class Hurried(Asked):
    """Is asked nothing but what an aim is about."""

    def questions(self) -> Sequence[Question]:
        """What this one can be asked."""
        return [one for one in super().questions() if one.name in AIMED_AT]


@contextmanager
def started(plan: Plan, server: str) -> Iterator[list[Asked]]:
    """Everybody, each on registries of all sizes."""
    asked: list[Asked] = []
    kind = Hurried if plan.quick else Asked
    with ExitStack() as stack:
        for size in reversed(plan.sizes):
            url, directory = servers.database(server, ours(size)), plan.ours(size)
            us = stack.enter_context(contenders.registry(url, directory))
            sent: dict[str, int] = {}  # both write to one database: each goes on behind the other
            asked.append(kind(US, size, us, lookup.known(lookup.asking(us), size), directory, sent))
            bare = stack.enter_context(contenders.bare(url, directory))
            asked.append(kind(BARE, size, bare, Known(), directory, sent))
            if plan.mlflow:
                other = servers.database(server, theirs(size))
                mlflow = stack.enter_context(contenders.mlflow(plan.mlflow, other, directory))
                asked.append(kind(MLFLOW, size, mlflow, lookup.known_of_mlflow(size), directory))
        yield asked


def count_statements(server: str, one: Asked, found: Findings) -> None:
    """Count statements, in this process."""
    url = servers.database(server, ours(one.size))
    app = create_app(Settings(database_url=embedded.as_role(url, embedded.SERVICE)))
    counts = statements.per_request(app, contenders.TOKEN, one.size, one.known)
    found.messages |= {(question, one.size.name): count for question, count in counts.items()}
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def measure_exports(plan: Plan, one: Asked, audit: Audit) -> None:
    """Take the log away, and verify what was taken."""
    if plan.quick:
        return
    file = plan.directory / "log.jsonl"
    path = f"{OURS}/audit?format=jsonl"
    for _ in range(plan.rounds):
        limit = min(EXPORTED, one.size.events)
        audit.exported.append(audit_log.export(one.contender, f"{path}&limit={limit}", file))
    audit.exported.append(audit_log.export(one.contender, path, file))
    for _ in range(plan.rounds):
        audit.verified.append(audit_log.verification_rate(file, one.directory / "sealer" / PUBLIC))
    file.unlink()


def of_size(one: Asked) -> str:
    """Which registry somebody has, where that matters."""
    return "" if one.who == BARE else f", {one.size.name}"


def room(url: str) -> Disk:
    """What a database takes, indexes included."""
    schemas = (int(servers.ask(url, SCHEMA_SIZE, name)) for name in ("registry", "audit"))
    whole = int(servers.ask(url, "SELECT pg_database_size(current_database())"))
    counts = (int(servers.ask(url, f"SELECT count(*) FROM {of}")) for of in ("registry.model_versions", "audit.event"))
    return Disk(whole, *schemas, *counts)


def starts(plan: Plan) -> dict[str, float]:
    """How long `registry serve` takes with a PostgreSQL of its own: from nothing, and the next time."""
    directory = plan.directory / "own"
    shutil.rmtree(directory, ignore_errors=True)
    names = ("registry serve with its own PostgreSQL, from nothing", "the same, the next time")
    return {name: contenders.start_alone(directory) for name in names}
