"""The report of a run, Markdown."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from bench.figures import Figure, ratio
from bench.findings import Findings, judged
from bench.grants import Cost as CostOfGrants
from bench.population import Size
from bench.questions import MANY, QUESTIONS, Question
from bench.rounds import BARE, MLFLOW, PGBENCH, US

HEAD = """# What `make bench` found

Figures are medians of {rounds} rounds in which all contenders took turns, with the lowest and the highest round;
ratios are taken round by round. Absolute numbers mean nothing on another machine, ratios do. `bench/questions.py` says
what is asked, `bench/population.py` what there is.
"""

ADDED = """Aims with a * were set later than the others, to tell more. What the bare route itself does not reach,
or hardly, no service reaches with the same stack: Flask, gunicorn, psycopg2, and a log that the database writes.
That concurrent promotions with archiving leave one version in Production is no figure: `tests/test_processes.py`
shows it.
"""
QUIET = 0.1
"""The share of the processors that others may use before figures are worth little."""
DISTURBED = """**Others kept the processors busy during this run. Its rates and times say nothing about the service, and
its verdicts on aims little; ratios of what was measured side by side, and what grows with the registry, say something.
Take it again on a machine that does nothing else.**
"""


def report(found: Findings, rounds: int) -> str:
    """All of it."""
    parts = [
        HEAD.format(rounds=rounds), *machine(found), *aims(found), *requests(found), *floor(found), *growth(found),
        *log_cost(found), *audit_log(found), *processes(found), *messages(found), *grants(found), *disk(found),
        *refusals(found),
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Lines of a table, and an empty one."""
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join('' if cell is None else str(cell) for cell in row)} |"
    yield ""


def machine(found: Findings) -> Iterator[str]:
    """Where and when, and how busy it was."""
    yield "## Machine\n"
    rows = [*found.machine.items(), ("day", f"{datetime.now(UTC):%Y-%m-%d}")]
    if found.generator:
        shares = Figure.of([100 * share for share in found.generator])
        rows.append(("of one processor, wrk took while it asked who is in a stage", f"{shares} %"))
    if found.noise.shares:
        rows.append(("processors in use while nothing was asked", str(found.noise)))
    yield from table(["", ""], rows)
    if found.noise.usual > QUIET:
        yield DISTURBED
    sizes = [
        (f"{size.name}", f"{size.models:,}", f"{size.versions:,}", f"{size.largest:,}", f"{size.events:,}",
         f"{found.loaded[size.name]:.0f} s" if found.loaded.get(size.name) else "before")
        for size in found.sizes
    ]  # fmt: skip
    yield from table(["registry", "models", "versions", "largest model", "audit events", "loaded in"], sizes)


def aims(found: Findings) -> Iterator[str]:
    """What was meant to be reached."""
    yield f"## Aims, on the {found.largest.name} registry\n"
    rows = [
        (aim.matter, aim, figure, "yes" if aim.met(figure) else "**no**", aim.stack(found, found.largest))
        for aim, figure in judged(found)
    ]
    yield from table(["matter", "aim", "found", "met", "the bare route itself"], rows)
    yield ADDED


def requests(found: Findings) -> Iterator[str]:
    """All questions: of us, and of MLflow's server."""
    yield f"## Requests per second, {MANY} connections\n"
    many = [one for one in QUESTIONS if one.connections == MANY]
    yield from questions_table(found, many, per_second=True)
    yield "## Milliseconds that one caller waits, with a new connection for each request\n"
    yield from questions_table(found, [one for one in QUESTIONS if one.connections != MANY], per_second=False)


def questions_table(found: Findings, asked: Sequence[Question], *, per_second: bool) -> Iterator[str]:
    """Questions against sizes."""
    head = ["question", *(f"{who}, {size.name}" for size in found.sizes for who in ("registry", "MLflow", "ratio"))]
    rows = [
        [one.name, *(cell for size in found.sizes for cell in cells(found, one, size, per_second))] for one in asked
    ]
    yield from table(head, (row for row in rows if any(row[1:])))


def cells(found: Findings, question: Question, size: Size, per_second: bool) -> list[Figure | str | None]:
    """Our figure, theirs, and how many times faster we are."""
    ours, theirs = (found.results.figure(who, size.name, question.name) for who in (US, MLFLOW))
    times = found.compared(question.name, MLFLOW, size)
    shown = [figure if per_second or figure is None else figure.inverted(1_000) for figure in (ours, theirs)]
    return [*shown, times]


def floor(found: Findings) -> Iterator[str]:
    """What the stack can do at most."""
    yield "## What the stack costs: the same by hand, behind a bare Flask route (`bench/bare`) and without any\n"
    yield "The bare route looks up no credential, checks and explains nothing. The database writes the same for it.\n"
    names = {US: "registry, MLflow interface", BARE: "bare Flask route", MLFLOW: "mlflow server", PGBENCH: "pgbench"}
    rows = [
        (one.name, name, size.name, figure, of_bare, found.compared(one.name, MLFLOW, size, who=who))
        for one in QUESTIONS
        for who, name in names.items()
        for size in found.sizes
        if (figure := found.results.figure(who, size.name, one.name))
        and (of_bare := found.compared(one.name, BARE, size, who=who))
    ]
    yield from table(["question", "who", "registry", "per second", "of the bare route", "against MLflow"], rows)


def growth(found: Findings) -> Iterator[str]:
    """What a hundred times as much costs."""
    rows = [(one.name, figure) for one in QUESTIONS if (figure := found.growth(one.name))]
    rows += found.growth_of_the_log()
    if rows:
        yield "## Growth: how many times as long it takes in the large registry as in the small one\n"
        yield from table(["question", "times"], rows)


def log_cost(found: Findings) -> Iterator[str]:
    """What the audit log costs a write."""
    if not found.costs:
        return
    yield "## Cost of the audit log: the same write without a log, with a plain one, and with ours\n"
    yield "A plain log is one more row for each change, in a table with five indexes; `bench/log_cost.py` has it.\n"
    rows = [
        (
            one.writers, f"{one.application_ms} ms", one.without, one.plain, one.logged, one.sealed,
            one.ratio_plain, one.ratio, one.ratio_sealed,
        )
        for one in found.costs
    ]  # fmt: skip
    rates = ["none, /s", "plain, /s", "ours, /s", "ours and sealed, /s"]
    yield from table(["writers", "application time", *rates, "ours : plain", "ours : none", "sealed : none"], rows)


def audit_log(found: Findings) -> Iterator[str]:
    """The log itself, small and large."""
    if not found.audit:
        return
    yield "## The audit log, small and large\n"
    rows: list[Sequence[object]] = []
    for name, audit in found.audit.items():
        rows += [
            (name, title, Figure.of(rates))
            for title, rates in (
                ("logged writes per second, 4 writers", audit.written),
                ("events sealed per second", audit.sealed),
                ("events verified per second, one core", audit.verified),
            )
            if rates
        ]
        for events in dict.fromkeys(one.events for one in audit.exported):
            same = [one for one in audit.exported if one.events == events]
            memory = (
                f"service {max(one.memory_before for one in same):.0f} MB before, "
                f"{max(one.memory_most for one in same):.0f} MB at most"
            )
            rate = Figure.of([one.rate for one in same])
            rows.append((name, f"export of {events:,} events, per second", f"{rate}; {memory}"))
    yield from table(["registry", "", "found"], rows)


def processes(found: Findings) -> Iterator[str]:
    """Starts and memory."""
    if found.ready:
        yield "## From the start until ready, seconds\n"
        yield from table(["what", "seconds"], [(what, f"{value:.1f}") for what, value in found.ready.items()])
    if found.memory:
        yield "## Memory after load, PSS of all processes but the database's\n"
        names = {US: "registry: gunicorn, 2 workers, sealer", MLFLOW: "mlflow server", BARE: "bare Flask route"}
        rows = [(names[who], size, f"{value:.0f} MB") for (who, size), value in found.memory.items()]
        yield from table(["who", "registry", "memory"], rows)


def messages(found: Findings) -> Iterator[str]:
    """What requests ask of the database."""
    if not found.messages:
        return
    yield "## Messages to the database per request: the token's look-up is one of them, the COMMIT of a change is not\n"
    yield "A message can have several statements: a change is told, locked and made with what belongs together.\n"
    rows = [[one.name, *(found.messages.get((one.name, size.name)) for size in found.sizes)] for one in QUESTIONS]
    yield from table(["question", *(size.name for size in found.sizes)], rows)


def grants(found: Findings) -> Iterator[str]:
    """What it costs to have more of them."""
    if not found.grants:
        return
    yield "## Cost of more grants: one caller on an open connection\n"
    yield "Grants are the only rules there are to measure so: policies and webhooks do not exist yet.\n"
    rows = [row for name, costs in found.grants.items() for row in rows_of_grants(name, costs)]
    head = ["registry", "question", "grants of the caller", "messages", "milliseconds", "of the first"]
    yield from table(head, rows)


def rows_of_grants(name: str, costs: Sequence[CostOfGrants]) -> Iterator[Sequence[object]]:
    """Those of one registry."""
    fewest = {one.question: one.milliseconds for one in reversed(costs)}
    for one in costs:
        of_the_first = ratio(one.milliseconds, fewest[one.question])
        yield name, one.question, f"{one.grants:,}", one.statements, one.milliseconds, of_the_first


def disk(found: Findings) -> Iterator[str]:
    """What a registry takes, and each of its versions and events."""
    if not found.disk:
        return
    yield "## On disk\n"
    rows = [
        (size.name, megabytes(it.whole), megabytes(it.registry), megabytes(it.audit),
         f"{it.registry / it.versions:,.0f}", f"{it.audit / it.events:,.0f}")
        for size in found.sizes if (it := found.disk.get(size.name))
    ]  # fmt: skip
    head = ["registry", "database", "the registry in it", "its log", "bytes for a version", "bytes for an event"]
    yield from table(head, rows)


def megabytes(count: int) -> str:
    """Bytes, to be read."""
    return f"{count / 1_000_000:,.0f} MB"


def refusals(found: Findings) -> Iterator[str]:
    """What could not be measured, and why."""
    if found.results.refused:
        yield "## Not measured: there were refusals, time-outs or hang-ups\n"
        rows = [(*key, " ".join(why.split())[-120:]) for key, why in found.results.refused.items()]
        yield from table(["who", "registry", "question", "wrk said"], rows)
