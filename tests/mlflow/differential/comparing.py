"""Two answers side by side: what may differ is put in the same words first, what is left is a difference."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.mlflow.differential.requests import Answer, Step

UNORDERED = frozenset({"tags", "aliases", "latest_versions"})
TIMES = frozenset({"creation_timestamp", "last_updated_timestamp"})
TOKEN = "next_page_token"
SET = re.compile(r"\{[^{}]*\}")
SQL = re.compile(r"\((raised as a result of|psycopg2\.).*", re.DOTALL)
"""A statement in a message, with its parameters: they have timestamps, and nobody should rely on any of it."""
LONGEST_VALUE = 1_000
FEW = 6
ABSENT = "(absent)"
MISSING: Any = object()


@dataclass(frozen=True)
class Told:
    """An answer in comparable words: times as the step they come from, unordered lists sorted, tokens as a mark."""

    status: int
    content_type: str
    body: Any

    def line(self) -> str:
        """The answer on one line: `404 RESOURCE_DOES_NOT_EXIST Registered ...`, `200 {...}`, `404 an HTML page`."""
        if isinstance(self.body, dict) and "error_code" in self.body:
            return f"{self.status} {self.body['error_code']} {self.body.get('message', '')}"
        shown = self.body if isinstance(self.body, str) else json.dumps(self.body, ensure_ascii=False, sort_keys=True)
        return f"{self.status} {shown}"

    def facts(self) -> dict[str, Any]:
        """Every value of the answer by its path."""
        return {"status": self.status, "content type": self.content_type, **dict(leaves(self.body, ""))}


def told(steps: Sequence[Step], answers: Sequence[Answer]) -> list[Told]:
    """Put one server's answers into comparable words."""
    moments = Moments(steps, answers)
    return [
        Told(answer.status, answer.content_type, neutral(answer.body, moments, sort=latest(step)))
        for step, answer in zip(steps, answers, strict=True)
    ]


def latest(step: Step) -> bool:
    """Whether the answer is a list of versions in no particular order."""
    return "/get-latest-versions" in step.path


class Moments:
    """Times of one server, named by the step during which they were taken: servers differ in speed, not in this."""

    def __init__(self, steps: Sequence[Step], answers: Sequence[Answer]) -> None:
        self._steps = [
            (f"step {number} ({step.label})", answer)
            for number, (step, answer) in enumerate(zip(steps, answers, strict=True), 1)
            if answer.writes
        ]
        self._taken: dict[str, list[int]] = {}
        for time in sorted({time for answer in answers for time in times(answer.body)}):
            self._taken.setdefault(self._step(time), []).append(time)

    def name(self, time: int) -> str:
        """Return 'at step 3 (...)'; if one step took several times, also which of them."""
        step = self._step(time)
        rank = self._taken[step].index(time)
        return f"at {step}" + (f", time {rank + 1}" if rank else "")

    def _step(self, time: int) -> str:
        return next((name for name, answer in self._steps if answer.began <= time <= answer.ended), "no step")


def times(body: Any) -> Iterator[int]:
    """All timestamps in a body."""
    if isinstance(body, list):
        for one in body:
            yield from times(one)
    elif isinstance(body, dict):
        for key, value in body.items():
            if key in TIMES and type(value) is int:
                yield value
            else:
                yield from times(value)


def neutral(body: Any, moments: Moments, *, sort: bool = False) -> Any:
    """The body without what differs between any two servers."""
    if isinstance(body, list):
        items = [neutral(one, moments) for one in body]
        return sorted(items, key=lambda item: json.dumps(item, sort_keys=True)) if sort else items
    if isinstance(body, dict):
        return {key: neutral_value(key, value, moments, sort=sort) for key, value in body.items()}
    return body


def neutral_value(key: str, value: Any, moments: Moments, *, sort: bool) -> Any:
    """One field of a body without what differs between any two servers."""
    if key in TIMES and type(value) is int:
        return moments.name(value)
    if key == TOKEN and isinstance(value, str):
        return "a token"
    if key == "message" and isinstance(value, str):
        return SQL.sub("(SQL)", SET.sub(lambda found: in_order(found.group()), value))
    return neutral(value, moments, sort=sort or key in UNORDERED)


def in_order(braced: str) -> str:
    """A set as Python prints it, in alphabetical order: mlflow's messages show sets in whatever order they have."""
    return "{" + ", ".join(sorted(braced[1:-1].split(", "))) + "}"


def leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """All scalars, empty lists and empty objects below a value, by their paths."""
    if isinstance(value, dict) and value:
        for key, one in value.items():
            yield from leaves(one, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        for index, one in enumerate(value):
            yield from leaves(one, f"{path}[{index}]")
    else:
        yield path or "body", value


def unlike(theirs: Told, ours: Told) -> dict[str, tuple[Any, Any]]:
    """What differs: path → (theirs, ours). True is not 1 here, and neither is "1"."""
    left, right = theirs.facts(), ours.facts()
    pairs = {path: (left.get(path, MISSING), right.get(path, MISSING)) for path in [*left, *right]}
    return {path: shown(pair) for path, pair in pairs.items() if repr(pair[0]) != repr(pair[1])}


def shown(pair: tuple[Any, Any]) -> tuple[Any, Any]:
    """A pair with a word for what is not there."""
    left, right = (ABSENT if value is MISSING else value for value in pair)
    return left, right


def report(case: str, step: Step, theirs: Told, ours: Told) -> str:
    """A difference for people: the two answers, or only what differs where there is little of that."""
    found = unlike(theirs, ours)
    if theirs.status != ours.status or len(found) > FEW:
        found = {"answer": (theirs.line(), ours.line())}
    lines = [case, f"    {step}"]
    for path, (left, right) in found.items():
        lines += [f"    {path}", f"        mlflow  {cut(left)}", f"        ours    {cut(right)}"]
    return "\n".join(lines)


def cut(value: Any) -> str:
    """A value, if need be its beginning."""
    text = value if isinstance(value, str) and value.isprintable() else repr(value)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + " ..."
