"""Audit events as lines for people."""

import json
import re
from typing import Any

from registry.cli.text import stamp
from registry.client import Event

HEADER = ("time (utc)", "actor", "action", "subject", "what")
HEADER_IN_MODEL = ("time (utc)", "actor", "action", "version", "what")
REPEATED = frozenset(
    {"id", "name", "key", "alias", "author", "number", "model_id", "principal_id", "created_at", "created_by"}
)
"""Fields that the line tells already, or that say little: shown only where they have changed."""
PART = re.compile(r"(?:^|/)(tag|alias|comment|token|principal):(.*)", re.DOTALL)
BOTH_SIDES = 2


def cells_in_model(event: Event) -> tuple[str, ...]:
    """The same where the model is known, which was perhaps renamed."""
    time, actor, action, _, said = cells(event)
    return (time, actor, action, str(event.version or ""), said)


def cells(event: Event) -> tuple[str, ...]:
    """An event as the cells of its line."""
    return (
        stamp(event.at),
        event.actor.name,
        event.action,
        "/".join(str(part) for part in (event.model, event.version) if part is not None),
        what(event),
    )


def what(event: Event) -> str:
    """What changed, and why, in few words."""
    part = PART.search(event.subject or "")
    told = [" ".join(part.groups())] if part else []
    told += [told_of(name, sides) for name, sides in event.changes.items()]
    said = [f'"{event.reason}"'] if event.reason else []
    return "; ".join([*filter(None, told), *said])


def told_of(name: str, sides: Any) -> str:
    """One change in words; nothing where there is nothing to say."""
    if not isinstance(sides, list) or len(sides) != BOTH_SIDES or all(side in (None, "") for side in sides):
        return ""
    before, after = sides
    if name in REPEATED and None in (before, after):
        return ""
    return f"{name}: {word(after)}" if before is None else f"{name}: {word(before)} → {word(after)}"


def word(value: Any) -> str:
    """A value in a line."""
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
