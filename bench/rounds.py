"""Rounds in which all contenders take turns: question by question, each of them is asked, and then the next one."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench import pgbench, wrk
from bench.bare.app import SELECT
from bench.contenders import Contender
from bench.figures import Figure
from bench.machine import Noise
from bench.population import Size
from bench.questions import BY_NAME, MANY, QUESTIONS, RESOLVE, Known, Question
from bench.wrk import Request

Key = tuple[str, str, str]
"""Who, the name of the size, the name of the question."""
US, MLFLOW, BARE, PGBENCH = "us", "mlflow", "bare", "pgbench"
WARM_SECONDS = 3
"""How long each question is asked before it is measured: a fleet has asked before, and each worker learns by itself."""
PATIENCE = 30
"""Seconds that a service is asked before it is measured whether it answers or not."""


@dataclass
class Asked:
    """A contender with a registry of some size, and what is known of it."""

    who: str
    size: Size
    contender: Contender
    known: Known
    directory: Path
    sent: dict[str, int] = field(default_factory=dict)
    """Of each question that writes: how many requests it has had, to go on behind them."""
    generator: list[float] = field(default_factory=list)
    """What share of a processor it took to ask who is in a stage, time after time."""

    def questions(self) -> Sequence[Question]:
        """What this one can be asked."""
        if self.who == BARE:
            return [BY_NAME[RESOLVE], *(one for one in QUESTIONS if one.writes)]
        return [one for one in QUESTIONS if one.both or self.who == US]

    def requests(self, question: Question) -> Sequence[Request]:
        """The requests of a question, as this one takes them."""
        found = question.requests(self.size, self.known)
        if self.who != BARE or question.writes:
            return found
        return [Request(f"/{one.body['name']}") for one in found if isinstance(one.body, dict)]

    def ask(self, question: Question, seconds: int) -> float:
        """Requests per second. One caller alone hangs up after each answer, since MLflow's keep-alive idles 40 ms."""
        alone = question.connections != MANY
        hang_up = {"Connection": "close"} if alone else {}
        lua = self.directory / "requests.lua"
        sent = self.sent.get(question.name, 0)
        lua.write_text(wrk.script(self.requests(question), {**self.contender.headers, **hang_up}, sent))
        more = 1 if alone and self.who == MLFLOW else 0  # of what takes half a second, there would be one
        load = wrk.load(self.contender.port, lua, question.connections, seconds + more)
        self.sent[question.name] = sent + load.answered
        if question.name == RESOLVE:
            self.generator.append(load.share)
        return load.rate


@dataclass
class Results:
    """All rates: who, of which size, at which question."""

    rates: dict[Key, list[float]] = field(default_factory=dict)
    refused: dict[Key, str] = field(default_factory=dict)

    def add(self, key: Key, rate: float) -> None:
        """Add a round."""
        self.rates.setdefault(key, []).append(rate)

    def figure(self, who: str, size: str, question: str) -> Figure | None:
        """The figure of all rounds, if there are any."""
        rates = self.rates.get((who, size, question))
        return Figure.of(rates) if rates else None


def run(
    asked: Sequence[Asked],
    databases: Sequence[tuple[Size, str]],
    rounds: int,
    seconds: int,
    noise: Noise,
    say: Callable[[str], object],
    results: Results,
) -> None:
    """Ask everybody everything. `databases`: those that pgbench asks."""
    warm_up(asked)
    for number in range(rounds):
        noise.look()
        for question in QUESTIONS:
            for one in asked:
                if question in one.questions():
                    measure(one, question, seconds, results)
        for size, url in databases:
            results.add((PGBENCH, size.name, RESOLVE), without_service(size, url, asked[0].directory, seconds))
        say(f"  round {number + 1} of {rounds}")


def measure(one: Asked, question: Question, seconds: int, results: Results) -> None:
    """Ask one contender one question; what it refuses is on record, and the others go on."""
    key = (one.who, one.size.name, question.name)
    try:
        results.add(key, one.ask(question, seconds))
    except wrk.Refused as refused:
        results.refused[key] = str(refused)


def warm_up(asked: Sequence[Asked]) -> None:
    """Let every worker have answered something, with every connection open; a first answer can take seconds."""
    for one in asked:
        for _ in range(PATIENCE):
            if answered(one, BY_NAME[RESOLVE]):
                break
        for question in one.questions():
            if not question.writes and question.connections == MANY:
                for _ in range(WARM_SECONDS):
                    answered(one, question)


def answered(one: Asked, question: Question) -> bool:
    """Ask for a second; say whether anything was answered."""
    with suppress(wrk.Refused):
        return one.ask(question, 1) > 0
    return False


def without_service(size: Size, url: str, directory: Path, seconds: int) -> float:
    """Questions per second that pgbench asks of the database: the bare route's."""
    script = directory / "select.sql"
    name = "('model-' || lpad(:index::text, 6, '0'))"
    script.write_text(f"\\set index random(1, {size.models - 1})\n{SELECT.replace('%s', name)};\n")
    return pgbench.rate(url, script, MANY, seconds)
