"""How many SQL statements a request takes."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from flask import Flask
from flask.testing import FlaskClient

from bench.population import Size
from bench.questions import QUESTIONS, Known, Question
from bench.wrk import COUNTER, Refused, Request
from registry.silence import WatchedCursor

NUMBERS = itertools.count()
ONCE = ("PREPARE ", "select pg_catalog.version()", "select current_schema()", "show ")
"""How statements begin that are sent once: to prepare others, and to get to know a server."""


def per_request(app: Flask, token: str, size: Size, known: Known) -> dict[str, int]:
    """Ask each question, and count the statements: those that find out who asks are among them, COMMIT is not."""
    client = app.test_client()
    for number in range(2):  # the first time something is looked up that stays
        counts = {one.name: count(client, request(one, size, known, number), token) for one in QUESTIONS}
    return counts


def request(question: Question, size: Size, known: Known, number: int) -> Request:
    """Return one of the requests of a question."""
    found = question.requests(size, known)
    return found[number % len(found)]


def count(client: FlaskClient, sent: Request, token: str) -> int:
    """Send one request and count.

    :raises Refused: it is refused.
    """
    with counted() as statements:
        answer = ask(client, sent, token)
    if answer >= 400:  # noqa: PLR2004
        raise Refused(f"{sent.path}: {answer}")
    return len(statements)


def ask(client: FlaskClient, asked: Request, token: str) -> int:
    """Send a request to the application in this process and return the status."""
    headers = {"Authorization": f"Bearer {token}", **asked.headers}
    body = asked.body
    if isinstance(body, dict):
        body = {
            key: value.replace(COUNTER, f"{next(NUMBERS):010d}") if isinstance(value, str) else value
            for key, value in body.items()
        }
    with client.open(asked.path, method=asked.method, json=body, headers=headers) as answer:
        return answer.status_code


@contextmanager
def counted() -> Iterator[list[str]]:
    """Collect what is sent to the database meanwhile, message by message, but for what a connection begins with."""
    sent: list[str] = []
    execute = WatchedCursor.execute

    def note(cursor: WatchedCursor, statement: str, *values: Any) -> None:
        if not statement.startswith(ONCE):
            sent.append(statement)
        execute(cursor, statement, *values)

    with patch.object(WatchedCursor, "execute", note):
        yield sent
