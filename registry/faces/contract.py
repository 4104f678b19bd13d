"""What the contract says of a route, written on the route itself; `openapi.py` collects it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from marshmallow import Schema

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of summary, and the schemas of what goes in and what comes out."""

    summary: str
    body: type[Schema] | None = None
    query: type[Schema] | None = None
    answer: type[Schema] | None = None
    status: int = 200
    secured: bool = True


def operation(summary: str, **parts: Any) -> Callable[[View], View]:
    """Write an `Operation` on a view."""

    def write(view: View) -> View:
        view.__operation__ = Operation(summary, **parts)  # type: ignore[attr-defined]
        return view

    return write


def operation_of(view: Callable[..., Any]) -> Operation | None:
    """What the contract says of a view; None if it is not part of the contract."""
    found: Operation | None = getattr(view, "__operation__", None)
    return found
