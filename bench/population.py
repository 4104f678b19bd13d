"""What a registry that is measured holds: closed formulas of a model's index, so that every table can be made apart.

Model `i` has `count(i)` versions, which come in ten rounds, all models taking turns: the events of one model lie as far
apart in the log as they do in life. A version is created, goes to Staging, and if it is one of the last three, to
Production, where it archives the one before. The last one gets an alias and a tag.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

START = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())
SLOT = 10
"""Seconds that a model has in each round."""
ROUNDS = 10
PROMOTED = 3
"""So many versions of each model, its last ones, have been in Production."""
PER_MODEL, PER_VERSION = 10, 2
"""Events: see `Size.events`."""


@dataclass(frozen=True)
class Size:
    """How much there is. The first model has `largest` versions; the others share the rest evenly."""

    name: str
    models: int
    versions: int
    largest: int = 10

    def __post_init__(self) -> None:
        if self.versions < self.largest + PROMOTED * (self.models - 1) or self.models < ROUNDS:
            raise ValueError(f"at least {ROUNDS} models, of {PROMOTED} versions each")

    @property
    def events(self) -> int:
        """A model: itself, two tags, three promotions, two archivings, alias, tag; a version: itself, Staging."""
        return PER_MODEL * self.models + PER_VERSION * self.versions

    @property
    def teams(self) -> int:
        """So many values the tag `team` has: ten models of each, whatever the size."""
        return self.models // 10

    def count(self, index: int) -> int:
        """How many versions a model has."""
        if index == 0:
            return self.largest
        each, more = divmod(self.versions - self.largest, self.models - 1)
        return each + (index <= more)

    def in_round(self, index: int, number: int) -> range:
        """The versions of a model that come in a round."""
        count = self.count(index)
        return range(count * number // ROUNDS + 1, count * (number + 1) // ROUNDS + 1)

    def created(self, index: int) -> int:
        """When a model was made, in seconds since the epoch."""
        return START + index * SLOT

    def at(self, index: int, version: int, step: int) -> int:
        """When something was done to a version: 0 it was created, 1 to Staging, 2 to Production, 3 alias and tag."""
        count = self.count(index)
        number = (version * ROUNDS - 1) // count  # the round that has it
        first = count * number // ROUNDS + 1
        return START + ((number + 1) * self.models + index) * SLOT + 4 * (version - first) + step


SMALL = Size("small", 1_000, 10_000)
LARGE = Size("large", 100_000, 1_000_000, 10_000)
TINY = Size("small", 200, 2_000)
"""For `make bench-quick`."""


def name(index: int) -> str:
    """The name of a model."""
    return f"model-{index:06d}"


def description(index: int) -> str:
    """What its makers say about a model."""
    return f"Scores number {index} of the risk family, retrained weekly"


def run_id(index: int, version: int) -> str:
    """The run that made a version."""
    return hashlib.md5(f"{index}/{version}".encode(), usedforsecurity=False).hexdigest()


def source(index: int, version: int) -> str:
    """Where a version lies."""
    return f"s3://models/{name(index)}/{version}/artifacts"


def tags(size: Size, index: int) -> dict[str, str]:
    """The tags of a model."""
    return {"team": f"team-{index % size.teams:05d}", "framework": ("sklearn", "xgboost", "torch")[index % 3]}


def stage(size: Size, index: int, version: int) -> str:
    """Where a version stands in the end."""
    left = size.count(index) - version
    return "Production" if left == 0 else "Archived" if left < PROMOTED else "Staging"


def before(size: Size, index: int, version: int) -> int:
    """How many events the stream of a model has before those of a version."""
    promoted = max(0, version - 1 - (size.count(index) - PROMOTED))
    return 3 + PER_VERSION * (version - 1) + max(0, 2 * promoted - 1)
