"""What schemathesis cannot guess: which things are there. It loads this module by itself; see test_fuzz.py.

Most requests that are otherwise right ask for something that exists, so that they get beyond 404; those that are made
wrong on purpose stay as they are. Which ones do follows from a count, so that every run is the same.
"""

import atexit
import itertools
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.core.parameters import ParameterLocation

WORLD = json.loads(os.environ.get("FUZZ_WORLD", "{}"))
DESTRUCTIVE = {"deleteModel", "amendModel", "mlflowDeleteModel", "mlflowRenameModel"}
NOBODYS = 1_000_000
LONG = 1_000
CONDITIONS = ("If-Match", "If-None-Match", "Idempotency-Key")
count = itertools.count()
seen: Counter[str] = Counter()


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Name things that exist, three times in four; set conditions, which hardly ever hold, once in four."""
    turn = next(count)
    operation = case.operation.definition.raw.get("operationId", "")
    # What is deleted is gone for all that follow, so that less is deleted than is asked for.
    if (turn % 4 == 1 or (turn % 4 and case.method != "DELETE")) and operation not in DESTRUCTIVE:
        for location, values in parts(case):
            if not case.meta or not case.meta.is_negative_at(location):
                replace(values, turn)
    if turn % 4:
        for header in CONDITIONS:
            case.headers.pop(header, None)
    if operation == "versionAudit" and str(case.path_parameters.get("number")).lstrip("-0") == "":
        case.path_parameters["number"] = 1  # the log of a version that never was is empty, whatever its number
    keep_the_door_open(case)
    shorten(case.query)


def parts(case: Case[Any]) -> list[tuple[ParameterLocation, Any]]:
    """The parts of a request in which things are named."""
    return [
        (ParameterLocation.PATH, case.path_parameters),
        (ParameterLocation.QUERY, case.query),
        (ParameterLocation.BODY, case.body),
    ]


def replace(values: Any, turn: int) -> None:
    """Put in names of things that are there."""
    if not isinstance(values, dict):
        return
    for name, known in WORLD["known"].items():
        if name in values:
            kind = type(values[name])
            values[name] = kind(known[turn % len(known)]) if kind in {int, str} else known[turn % len(known)]


def keep_the_door_open(case: Case[Any]) -> None:
    """Do not let the run revoke the token that it comes with."""
    if str(case.path_parameters.get("token_id")) == str(WORLD["token_id"]):
        case.path_parameters["token_id"] = NOBODYS


def shorten(query: Any) -> None:
    """Keep the request line within the 8190 bytes beyond which the web server itself refuses it, with 414."""
    for name, value in dict(query or {}).items():
        if isinstance(value, str):
            query[name] = value[:LONG]


@schemathesis.hook
def after_call(context: HookContext, case: Case[Any], response: Response) -> None:
    """Count the answers."""
    seen[f"{case.operation.definition.raw.get('operationId')} {response.status_code}"] += 1


@schemathesis.check
def everybody_is_asked_for_a_credential(ctx: Any, response: Response, case: Case[Any]) -> None:
    """Without a credential there is no answer but 401, except where the contract says so."""
    if case.operation.definition.raw.get("security") != [] and not WORLD["token_id"]:
        assert response.status_code == 401


@atexit.register
def write_down() -> None:
    """Leave the counts to the test."""
    if "FUZZ_COUNTS" in os.environ:
        Path(os.environ["FUZZ_COUNTS"]).write_text(json.dumps(seen))
