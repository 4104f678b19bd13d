"""Which tables are in a bundle, in which order their rows stand there, and what is left out, with the reason.

Every row stands behind what it refers to, so that a bundle is brought in from top to bottom. Rows of one table are in
the order of their keys. The texts of an event follow it, and a checkpoint follows the last event that it covers: a
reader verifies chain, texts and tree while the lines go by.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import Table

from registry.bundle.kinds import kind_of, rule_of
from registry.tables import FROM_BODY, Base

Row = Mapping[str, Any]
Rank = tuple[Any, ...]
"""Where a row stands in its stage; comparable with that of every other row there."""


@dataclass(frozen=True)
class Section:
    """A table in a bundle. Its lines are `{"<name>":{<column>:<value>, …}}`, with its columns in their order."""

    table: Table

    @property
    def name(self) -> str:
        """What its lines begin with: the name of the table without its schema."""
        return self.table.name

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """All that does not follow from the others."""
        return tuple(column.name for column in self.table.columns if column.name not in self.following)

    @cached_property
    def following(self) -> Mapping[str, str]:
        """The columns that repeat what another one says, each with the SQL that makes it."""
        return {column.name: column.info[FROM_BODY] for column in self.table.columns if FROM_BODY in column.info}

    @cached_property
    def rules(self) -> Mapping[str, Callable[[Any], bool]]:
        """For each column, what says whether it can hold a value."""
        return {name: rule_of(self.table.columns[name]) for name in self.columns}

    @cached_property
    def key(self) -> tuple[str, ...]:
        """The columns that name a row, in the order in which rows are sorted."""
        return tuple(column.name for column in self.table.primary_key.columns)

    @cached_property
    def counts(self) -> bool:
        """Whether its rows take their ids from a sequence, which has to go on behind them."""
        return any(column.identity is not None for column in self.table.columns)

    @cached_property
    def kinds(self) -> tuple[tuple[str, str], ...]:
        """The columns of the key, each with the kind of its values."""
        return tuple((name, kind_of(self.table.columns[name])) for name in self.key)

    def rank(self, row: Row) -> Rank:
        """Where a row stands in its stage."""
        key = tuple(comparable(row[name], kind) for name, kind in self.kinds)
        return RANKS[self.name](key) if self.name in RANKS else key


def comparable(value: Any, kind: str) -> Any:
    """A value as the database compares it: texts bytewise, times as such."""
    if kind == "text":
        return value.encode()
    return datetime.fromisoformat(value) if kind == "time" else value


RANKS: Mapping[str, Callable[[Rank], Rank]] = {
    "event": lambda key: (key[0], 0),
    "private": lambda key: (key[0], 1, *key[1:]),
    "seal": lambda key: (key[0] + 1, 0),  # the size of the log with it
    "checkpoint": lambda key: (key[1], 1, key[0]),
}
"""Where rows of two tables take turns: an event and its texts; a seal, and the checkpoints of the size it makes."""

STAGES: tuple[tuple[Section, ...], ...] = tuple(
    tuple(Section(Base.metadata.tables[kind]) for kind in stage)
    for stage in (
        ("registry.principals",),
        ("registry.tokens",),
        ("registry.registered_models",),
        ("registry.grants",),
        ("registry.model_versions",),
        ("registry.registered_model_tags",),
        ("registry.model_version_tags",),
        ("registry.aliases",),
        ("registry.comments",),
        ("registry.stage_intervals",),
        ("registry.alias_intervals",),
        ("registry.name_intervals",),
        ("audit.event", "audit.private"),
        ("audit.seal", "audit.checkpoint"),
    )
)
SECTIONS = {section.name: section for stage in STAGES for section in stage}
STAGE_OF = {section.name: number for number, stage in enumerate(STAGES) for section in stage}

LEFT_OUT = {
    "registry.model_words": "follows from the names and descriptions of models",
    "registry.idempotency_keys": "answers kept for a day to requests that were sent to the old place; no state",
    "registry.failed_attempts": "counts failed attempts for a minute; no state",
    "audit.stream": "the last event of each stream says it; its transaction numbers are the old server's",
    "audit.pending": "follows from which events have a position",
    "audit.subtree": "follows from the leaf hashes; made anew",
    "audit.sealer": "how the sealer of the old place is just now",
    "audit.noted": "counts what is noted of an actor in a minute; what is noted stands in the log",
}
"""Tables that are not in a bundle. The revision of the schema, `registry.alembic_version`, stands in the first line."""
