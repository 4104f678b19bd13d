"""What the contract says of a route, written on the route itself; `registry.faces.openapi` collects it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from marshmallow import Schema

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class MayBeOld:
    """That an answer may come from the replica, and `why` that is good enough for who asks.

    `about_the_past`: only where the query names the moment `at`, of which all is known for good. `but_with`: never
    where the query has one of these.
    """

    why: str
    about_the_past: bool = False
    but_with: tuple[str, ...] = ()


PAST = MayBeOld("Of a moment of which all is known for good the answer stays the same.", about_the_past=True)


@dataclass(frozen=True, slots=True)
class Operation:
    """What a view does, what goes in and comes out, and what does not follow from that."""

    summary: str
    description: str = ""
    body: type[Schema] | None = None
    query: type[Schema] | None = None
    answer: type[Schema] | str | None = None
    """The schema of a JSON answer, or the media type of a text."""
    status: int = 200
    """The status of success."""
    files: tuple[str, ...] = ()
    """Media types in which the route answers besides JSON, where it is asked to."""
    secured: bool = True
    """Whether it takes a credential."""
    creates: bool = False
    """Whether it makes a thing whose name can be taken."""
    also: tuple[int, ...] = ()
    """Statuses of refusals that do not follow from verb, path and input; see `registry.faces.openapi.refusals`."""
    replica: MayBeOld | None = None
    """That the replica may answer; None where only what is true now will do."""
    otherwise: Mapping[int, type[Schema]] = field(default_factory=dict)
    """Answers by status that are neither the success nor a refusal in the face's own form."""


def operation(summary: str, description: str = "", **parts: Any) -> Callable[[View], View]:
    """Write an `Operation` on a view."""

    def write(view: View) -> View:
        view.__operation__ = Operation(summary, description, **parts)  # type: ignore[attr-defined]
        return view

    return write


def operation_of(view: Callable[..., Any]) -> Operation | None:
    """What the contract says of a view; None if it is not part of the contract."""
    found: Operation | None = getattr(view, "__operation__", None)
    return found
