"""All that one run has found, and what the figures were meant to be."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bench import questions
from bench.audit_log import Export
from bench.figures import Figure, ratio
from bench.grants import Cost as CostOfGrants
from bench.log_cost import AIMED, Cost
from bench.machine import Noise
from bench.population import Size
from bench.rounds import BARE, MLFLOW, US, Results

AIMED_APPLICATION_MS = 2
MILLISECONDS = 1_000


@dataclass
class Audit:
    """The audit log of one size."""

    exported: list[Export] = field(default_factory=list)
    verified: list[float] = field(default_factory=list)
    sealed: list[float] = field(default_factory=list)
    written: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Disk:
    """Bytes that a database takes: all of it, what the registry is, and its log; and how many there are in them."""

    whole: int
    registry: int
    audit: int
    versions: int
    events: int


@dataclass
class Findings:
    """What was found. What could not be measured here is missing."""

    sizes: list[Size]
    machine: dict[str, str]
    noise: Noise = field(default_factory=lambda: Noise([]))
    loaded: dict[str, float] = field(default_factory=dict)
    """Seconds, of what was loaded in this run."""
    results: Results = field(default_factory=Results)
    costs: list[Cost] = field(default_factory=list)
    grants: dict[str, list[CostOfGrants]] = field(default_factory=dict)
    """By the size of the registry."""
    audit: dict[str, Audit] = field(default_factory=dict)
    memory: dict[tuple[str, str], float] = field(default_factory=dict)
    """Megabytes after load: of whom, with a registry of which size."""
    ready: dict[str, float] = field(default_factory=dict)
    messages: dict[tuple[str, str], int] = field(default_factory=dict)
    """To the database: by question, with a registry of which size."""
    disk: dict[str, Disk] = field(default_factory=dict)
    generator: list[float] = field(default_factory=list)
    """What share of a processor the load generator took, at the first question."""

    @property
    def largest(self) -> Size:
        """The size that counts most."""
        return self.sizes[-1]

    def compared(
        self, question: str, theirs: str, size: Size, their_question: str = "", *, who: str = US
    ) -> Figure | None:
        """Our rate, or that of somebody else, as a multiple of somebody's."""
        ours = self.results.figure(who, size.name, question)
        others = self.results.figure(theirs, size.name, their_question or question)
        return ratio(ours, others) if ours and others else None

    def milliseconds(self, question: str, size: Size, who: str = US) -> Figure | None:
        """How long one caller waits."""
        found = self.results.figure(who, size.name, question)
        return found.inverted(MILLISECONDS) if found else None

    def slower(self, question: str, than: str, size: Size) -> Figure | None:
        """How many times as long one question takes as another one."""
        one, other = self.milliseconds(question, size), self.milliseconds(than, size)
        return ratio(one, other) if one and other else None

    def growth_of_the_log(self) -> list[tuple[str, Figure]]:
        """The same for what is done with the log."""
        if len(self.sizes) < 2 or not {self.sizes[0].name, self.largest.name} <= self.audit.keys():  # noqa: PLR2004
            return []
        first, last = self.audit[self.sizes[0].name], self.audit[self.largest.name]
        done = {
            "a logged write": (first.written, last.written), "an event sealed": (first.sealed, last.sealed),
            "an event verified": (first.verified, last.verified),
            "an event exported": ([one.rate for one in first.exported], [one.rate for one in last.exported]),
        }  # fmt: skip
        return [(what, ratio(Figure.of(a), Figure.of(b))) for what, (a, b) in done.items() if a and b]

    def growth(self, question: str) -> Figure | None:
        """How many times as long a question takes in the largest registry as in the smallest."""
        first, last = (self.results.figure(US, size.name, question) for size in (self.sizes[0], self.largest))
        return ratio(first, last) if first and last and len(self.sizes) > 1 else None


@dataclass(frozen=True)
class Aim:
    """Something that is to be reached: at least so much, or at most."""

    matter: str
    bound: float
    found: Callable[[Findings, Size], Figure | None]
    at_most: bool = False
    unit: str = ""
    added: bool = False
    """Whether it was set later than the others, to tell more."""
    stack: Callable[[Findings, Size], Figure | None] = lambda found, size: None
    """What the stack alone reaches, the bare route: an aim above that is out of reach however we are written."""

    def met(self, figure: Figure) -> bool:
        """Whether the median reaches it."""
        return figure.median <= self.bound if self.at_most else figure.median >= self.bound

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.bound:,g}{self.unit}{' *' if self.added else ''}"


def times(question: str, theirs: str, bound: float, against: str = "", *, added: bool = False) -> Aim:
    """An aim to be so many times as fast as somebody."""
    whom = {MLFLOW: "MLflow", BARE: "the bare route"}[theirs]
    bare = against or question

    def stack(found: Findings, size: Size) -> Figure | None:
        return found.compared(bare, theirs, size, question, who=BARE) if theirs != BARE else None

    return Aim(
        f"{question}, against {whom}",
        bound,
        lambda found, size: found.compared(question, theirs, size, against),
        unit=" ×",
        added=added,
        stack=stack,
    )


def within(question: str, milliseconds: float) -> Aim:
    """An aim to let nobody wait longer."""
    return Aim(question, milliseconds, lambda found, size: found.milliseconds(question, size), at_most=True, unit=" ms")


def no_slower(question: str, than: str, bound: float) -> Aim:
    """An aim to be no slower where there is more."""
    return Aim(
        f"{question}, against {than}", bound,
        lambda found, size: found.slower(question, than, size), at_most=True, unit=" ×",
    )  # fmt: skip


def single(value: float | None) -> Figure | None:
    """A figure of one round."""
    return None if value is None else Figure.of([value])


def memory_of_ours(found: Findings, size: Size) -> Figure | None:
    """Megabytes of all processes of the service."""
    return single(found.memory.get((US, size.name)))


def cost_of_the_log(found: Findings, _: Size) -> Figure | None:
    """What is left of the writes that keep a plain log, where it matters."""
    wanted = (AIMED, AIMED_APPLICATION_MS)
    return next((one.ratio_plain for one in found.costs if (one.writers, one.application_ms) == wanted), None)


def verification(found: Findings, size: Size) -> Figure | None:
    """Events that are verified in a second."""
    rates = found.audit[size.name].verified if size.name in found.audit else []
    return Figure.of(rates) if rates else None


AIMS = (
    times(questions.RESOLVE, MLFLOW, 15),
    times(questions.RESOLVE, BARE, 0.7),
    times(questions.NEVER_ASKED, MLFLOW, 15, added=True),
    times(questions.NEVER_ASKED, BARE, 0.7, questions.RESOLVE, added=True),
    times(questions.UNCHANGED, BARE, 0.8, questions.RESOLVE),
    times("create a version", MLFLOW, 6),
    times("create a version", BARE, 0.5, added=True),
    times(questions.TRANSITION, MLFLOW, 6),
    times(questions.TRANSITION, BARE, 0.5, added=True),
    times("set a tag", MLFLOW, 6),
    no_slower(questions.LARGEST, questions.TEN, 1.2),
    within("search by tag", 20),
    within("search by run id", 5),
    no_slower(questions.PAGE_900, questions.FIRST_PAGE, 1.2),
    Aim("memory of the whole service", 200, memory_of_ours, at_most=True, unit=" MB"),
    Aim("writes with the audit log, against a plain one, 4 writers, 2 ms each", 0.8, cost_of_the_log, unit=" ×"),
    Aim("events verified on one core", 100_000, verification, unit=" /s"),
)


AIMED_AT = frozenset(one.name for one in questions.QUESTIONS if any(one.name in aim.matter for aim in AIMS))
"""The questions that an aim is about."""


def judged(found: Findings) -> Iterator[tuple[Aim, Figure]]:
    """Yield each aim with what was found, on the largest registry."""
    for aim in AIMS:
        figure = aim.found(found, found.largest)
        if figure is not None:
            yield aim, figure
