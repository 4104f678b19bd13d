"""The routes of the contract: every route that says of itself what it is."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from flask import Flask
from marshmallow import Schema
from werkzeug.routing import Rule

from registry.faces.contract import Operation, operation_of

VERBS = ("get", "post", "put", "patch", "delete")
TWICE = "/ajax-api/"
"""MLflow's routes answer under this prefix, too; the contract has them once."""
PART = re.compile(r"<(?:(\w+):)?(\w+)>")


@dataclass(frozen=True, slots=True)
class Route:
    """One verb on one path."""

    verb: str
    rule: Rule
    operation: Operation
    module: str
    """The module of the view: its subject."""
    is_readable: bool
    """Whether there is a GET of the same path."""

    @property
    def path(self) -> str:
        """The path as OpenAPI writes it."""
        return PART.sub(r"{\2}", self.rule.rule)

    @property
    def id(self) -> str:
        """A name for programs that are generated from the contract, such as `createModel`."""
        view: str = self.rule.endpoint.rpartition(".")[2]
        words = [*(["mlflow"] if self.is_mlflow else []), *view.split("_"), *([self.verb] if self.is_twofold else [])]
        return words[0] + "".join(word.capitalize() for word in words[1:])

    @property
    def parts(self) -> list[tuple[str, str]]:
        """The variable parts of the path, each with its converter, which may be empty."""
        return PART.findall(self.rule.rule)

    @property
    def is_mlflow(self) -> bool:
        """Whether it belongs to the MLflow face."""
        return "/mlflow/" in self.rule.rule

    @property
    def is_rest(self) -> bool:
        """Whether it belongs to our own face."""
        return self.rule.rule.startswith("/api/v1/")

    @property
    def writes(self) -> bool:
        """Whether it changes something. MLflow's route with two verbs does not."""
        return self.verb != "get" and not self.is_twofold

    @property
    def is_twofold(self) -> bool:
        """Whether one view answers two verbs."""
        return {"GET", "POST"} <= (self.rule.methods or set())

    @property
    def is_conditional(self) -> bool:
        """Whether it heeds `If-Match` and `If-None-Match`: our own face does, where there is something to read."""
        return self.is_rest and self.is_readable and not self.is_text

    @property
    def is_text(self) -> bool:
        """Whether the answer is a text or a file and never JSON; such answers have no ETag."""
        return isinstance(self.operation.answer, str)

    @property
    def is_idempotent_by_key(self) -> bool:
        """Whether it heeds `Idempotency-Key`: both faces do, on every POST."""
        return self.verb == "post" and self.operation.secured

    @property
    def is_secret(self) -> bool:
        """Whether the answer holds a secret, so that nothing is made of it or kept."""
        answer = self.operation.answer
        return isinstance(answer, type) and "secret" in answer().fields

    @property
    def query(self) -> type[Schema] | None:
        """The schema of the query, if it takes one. MLflow's route with two verbs reads either query or body."""
        return self.operation.query or (self.operation.body if self.verb == "get" else None)

    @property
    def body(self) -> type[Schema] | None:
        """The schema of the body, if it takes one."""
        return None if self.verb == "get" else self.operation.body


def routes(app: Flask) -> Iterator[Route]:
    """Every route of the contract, by path and verb."""
    rules = sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule)
    readable = {rule.rule for rule in rules if "GET" in (rule.methods or ())}
    for rule in rules:
        view = app.view_functions[rule.endpoint]
        operation = operation_of(view)
        if operation is None or rule.rule.startswith(TWICE):
            continue
        module = view.__module__.rpartition(".")[2]
        for verb in VERBS:
            if verb.upper() in (rule.methods or ()):
                yield Route(verb, rule, operation, module, rule.rule in readable)
