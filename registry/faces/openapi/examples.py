"""The examples of the contract: what was really exchanged with a service. `make examples` writes the file."""

import functools
import json
from pathlib import Path
from typing import Any

REFUSED = 400
FILE = Path(__file__).parent / "examples.json"
Exchange = dict[str, Any]
"""One request and its answer; `operation` is the id that the contract has for it."""


@functools.cache
def exchanges() -> dict[str, list[Exchange]]:
    """All examples, by operation."""
    found: dict[str, list[Exchange]] = {}
    for exchange in json.loads(FILE.read_text()):
        found.setdefault(exchange["operation"], []).append(exchange)
    return found


def refusal_example(status: int, *, mlflow: bool) -> dict[str, Any]:
    """What a refusal with this status may look like on a face, as a part of its content; nothing if there is none."""
    for operation, found in exchanges().items():
        for exchange in found:
            if exchange["status"] == status and operation.startswith("mlflow") == mlflow:
                return {"example": exchange["answer"]}
    return {}


def add_examples(operation: dict[str, Any], refusal: Any) -> dict[str, Any]:
    """Put the examples of an operation where OpenAPI has them: with its parameters, its body and its answers.

    `refusal` tells what a refusal of this status looks like, for an answer that has been a mere reference.
    """
    for exchange in exchanges().get(operation["operationId"], []):
        status = str(exchange["status"])
        if isinstance(operation["responses"].get(status), str):
            operation["responses"][status] = refusal(exchange["status"])
        add_parameters(operation, exchange)
        add_body(operation, exchange)
        add_answer(operation["responses"].get(status, {}), exchange)
    return operation


def add_parameters(operation: dict[str, Any], exchange: Exchange) -> None:
    """The first example that succeeds shows what parameters look like."""
    given = exchange["path"] | exchange["query"]
    for parameter in operation["parameters"]:
        if isinstance(parameter, dict) and parameter.get("name") in given and exchange["status"] < REFUSED:
            parameter.setdefault("example", given[parameter["name"]])


def add_body(operation: dict[str, Any], exchange: Exchange) -> None:
    """What was sent; also what was refused for its content, since the reader sees how it was answered."""
    if exchange["body"] is not None and "requestBody" in operation and exchange["status"] < REFUSED:
        [content] = operation["requestBody"]["content"].values()
        add(content, exchange, exchange["body"])


def add_answer(response: dict[str, Any], exchange: Exchange) -> None:
    """What was answered."""
    content = response.get("content", {}).get(exchange["media_type"])
    if content is not None and exchange["answer"] is not None:
        add(content, exchange, exchange["answer"])


def add(content: dict[str, Any], exchange: Exchange, value: Any) -> None:
    """One example, under a number and its title."""
    examples = content.setdefault("examples", {})
    examples[f"example{len(examples) + 1}"] = {"summary": exchange["title"], "value": value}
