"""What one more grant costs: the same requests by callers who have one grant, ten, a hundred and a thousand.

The grant that counts is the last one that such a caller was given, so that all others are looked at before it.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask

from bench import contenders, statements, wrk
from bench.figures import Figure
from bench.population import Size
from bench.questions import BY_NAME, RESOLVE, TRANSITION, Known
from bench.wrk import Request
from registry import embedded
from registry.app import create_app
from registry.config import Settings
from registry.db import db, transaction
from registry.domain import grants, tokens
from registry.domain.access import OPERATOR
from registry.domain.grants import Wanted
from registry.vocabulary import Role

COUNTS = (1, 10, 100, 1_000)
ASKED_AGAIN = 20
"""Models that are asked for again and again: their answers are soon kept, where answers are."""
AT_ONCE = 100
"""Grants that are made in one transaction."""
ASKED_BEFORE = 2
"""So often something has to be asked until its answer is kept."""
MILLISECONDS = 1_000
KEPT, ANEW = "resolve a stage, the answer kept", "resolve a stage, no answers kept"
ROOM: Mapping[str, int] = {KEPT: 8, ANEW: 0, TRANSITION: 8}
"""Megabytes for answers where it is asked."""


@dataclass(frozen=True)
class Cost:
    """Of one question, by a caller with so many grants."""

    question: str
    grants: int
    milliseconds: Figure
    """That one caller waits, on a connection that stays open."""
    statements: int


@dataclass
class Asking:
    """Requests that take turns, whoever sends them: each transition moves something that is not there yet."""

    requests: Sequence[Request]
    changes: bool = False
    sent: int = 0

    def script(self, secret: str) -> str:
        """For wrk, from where the one before has ended."""
        return wrk.script(self.requests, {"Authorization": f"Bearer {secret}"}, self.sent)

    def some(self, count: int) -> Sequence[Request]:
        """So many of them; the same one again and again where that changes nothing."""
        if not self.changes:
            return [self.requests[0]] * count
        self.sent += count
        return [self.requests[number % len(self.requests)] for number in range(self.sent - count, self.sent)]


def measure(
    admin_url: str, size: Size, directory: Path, rounds: int, seconds: int, say: Callable[[str], object]
) -> list[Cost]:
    """Make the callers, and let them take turns."""
    again = list(BY_NAME[RESOLVE].requests(size, Known()))[:ASKED_AGAIN]
    moves = BY_NAME[TRANSITION].requests(size, Known())
    asked = {KEPT: Asking(again), ANEW: Asking(again), TRANSITION: Asking(moves, changes=True)}
    with application(admin_url) as app:
        callers = {count: caller(app, count) for count in COUNTS}
    counted = {question: count_statements(admin_url, ROOM[question], one, callers) for question, one in asked.items()}
    found: dict[tuple[str, int], list[float]] = {}
    with (
        contenders.registry(admin_url, directory) as keeping,
        contenders.registry(admin_url, directory / "anew", REGISTRY_KEPT_ANSWERS_MB="0") as plain,
    ):
        for number in range(rounds):
            for question, one in asked.items():
                for count, secret in callers.items():
                    port = (keeping if ROOM[question] else plain).port
                    found.setdefault((question, count), []).append(wait(port, one, secret, directory, seconds))
            say(f"  cost of grants: round {number + 1} of {rounds}")
    return [Cost(one, count, Figure.of(waits), counted[one][count]) for (one, count), waits in found.items()]


def wait(port: int, asking: Asking, secret: str, directory: Path, seconds: int) -> float:
    """Milliseconds that a caller waits for an answer, on average."""
    lua = directory / "grants.lua"
    lua.write_text(asking.script(secret))
    load = wrk.load(port, lua, 1, seconds)
    asking.sent += load.answered
    return MILLISECONDS / load.rate


@contextmanager
def application(admin_url: str, **settings: Any) -> Iterator[Flask]:
    """The service in this process, as the role that it has in the database."""
    app = create_app(Settings(database_url=embedded.as_role(admin_url, embedded.SERVICE), **settings))
    try:
        yield app
    finally:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


def caller(app: Flask, count: int) -> str:
    """The token of somebody new who has so many grants, of which the last one lets it promote what is measured."""
    name = f"caller-{secrets.token_hex(4)}"
    with app.app_context():
        with transaction(OPERATOR) as session:
            made = tokens.create(session, OPERATOR, name=name, role=Role.APPROVER)
            grants.delete(session, OPERATOR, int(made.grant_id or 0))
        patterns = [*(f"other-{number}-*" for number in range(1, count)), "model-*"]
        for first in range(0, count, AT_ONCE):
            with transaction(OPERATOR) as session:
                for pattern in patterns[first : first + AT_ONCE]:
                    grants.create(session, OPERATOR, Wanted(principal=name, role=Role.APPROVER, pattern=pattern))
    return made.secret


def count_statements(admin_url: str, room: int, asking: Asking, callers: Mapping[int, str]) -> dict[int, int]:
    """How many statements the question takes each of them, once they have asked before."""
    with application(admin_url, kept_answers_mb=room) as app:
        client = app.test_client()
        return {
            count: [statements.count(client, one, secret) for one in asking.some(ASKED_BEFORE + 1)][-1]
            for count, secret in callers.items()
        }
