"""The rows of a registry of some size, table by table, as COPY takes them."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime

from bench import population
from bench.population import PROMOTED, Size

ACTORS = 20
NULL = r"\N"


def rfc3339(seconds: int) -> str:
    """A time as JSON from PostgreSQL has it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def actor(index: int) -> str:
    """Who looks after a model: one of the principals 1 to ACTORS."""
    return f"principal:{index % ACTORS + 1}"


def salt(index: int) -> bytes:
    """The salt of a model's description, 32 bytes."""
    return hashlib.sha256(f"salt {index}".encode()).digest()


def models(size: Size) -> Iterator[tuple[object, ...]]:
    """registered_models (id, name, description, last_number, created_at, updated_at, created_by)."""
    for index in range(size.models):
        count = size.count(index)
        changed = rfc3339(size.at(index, count, 3))
        made = rfc3339(size.created(index))
        yield index + 1, population.name(index), population.description(index), count, made, changed, actor(index)


def versions(size: Size) -> Iterator[tuple[object, ...]]:
    """model_versions (model_id, number, stage, source, run_id, created_at, updated_at, created_by)."""
    for index in range(size.models):
        by = actor(index)
        for number in range(1, size.count(index) + 1):
            made, changed = size.at(index, number, 0), stage_spans(size, index, number)[-1][1]
            yield (
                index + 1, number, population.stage(size, index, number), population.source(index, number),
                population.run_id(index, number), rfc3339(made), rfc3339(changed), by,
            )  # fmt: skip


def stage_spans(size: Size, index: int, number: int) -> list[tuple[str, int, int]]:
    """Where a version has stood: stage, since when, and the number in the stream of the event that put it there."""
    count, seq = size.count(index), population.before(size, index, number)
    spans = [("None", size.at(index, number, 0), seq + 1), ("Staging", size.at(index, number, 1), seq + 2)]
    if number > count - PROMOTED:
        others = number > count - PROMOTED + 1  # one before it is archived first
        spans.append(("Production", size.at(index, number, 2), seq + 3 + others))
        if number < count:
            spans.append(("Archived", size.at(index, number + 1, 2), population.before(size, index, number + 1) + 3))
    return spans


def stage_intervals(size: Size) -> Iterator[tuple[object, ...]]:
    """stage_intervals (model_id, number, stage, since, until, opened_seq, closed_seq)."""
    for index in range(size.models):
        for number in range(1, size.count(index) + 1):
            spans = stage_spans(size, index, number)
            for span, (stage, since, seq) in enumerate(spans, 1):
                until = (rfc3339(spans[span][1]), spans[span][2]) if span < len(spans) else (NULL, NULL)
                yield index + 1, number, stage, rfc3339(since), until[0], seq, until[1]


def name_intervals(size: Size) -> Iterator[tuple[object, ...]]:
    """name_intervals (model_id, name, since, opened_seq)."""
    for index in range(size.models):
        yield index + 1, population.name(index), rfc3339(size.created(index)), 1


def aliases(size: Size) -> Iterator[tuple[object, ...]]:
    """Aliases (model_id, alias, number)."""
    for index in range(size.models):
        yield index + 1, "champion", size.count(index)


def alias_intervals(size: Size) -> Iterator[tuple[object, ...]]:
    """alias_intervals (model_id, alias, number, since, opened_seq)."""
    for index in range(size.models):
        count = size.count(index)
        seq = population.before(size, index, count) + 5
        yield index + 1, "champion", count, rfc3339(size.at(index, count, 3)), seq


def model_tags(size: Size) -> Iterator[tuple[object, ...]]:
    """registered_model_tags (model_id, key, value)."""
    for index in range(size.models):
        for key, value in population.tags(size, index).items():
            yield index + 1, key, value


def version_tags(size: Size) -> Iterator[tuple[object, ...]]:
    """model_version_tags (model_id, number, key, value)."""
    for index in range(size.models):
        yield index + 1, size.count(index), "validated", "yes"


TABLES = {
    "registry.registered_models (id, name, description, last_number, created_at, updated_at, created_by)": models,
    "registry.model_versions (model_id, number, stage, source, run_id, created_at, updated_at, created_by)": versions,
    "registry.registered_model_tags (model_id, key, value)": model_tags,
    "registry.model_version_tags (model_id, number, key, value)": version_tags,
    "registry.aliases (model_id, alias, number)": aliases,
    "registry.stage_intervals (model_id, number, stage, since, until, opened_seq, closed_seq)": stage_intervals,
    "registry.alias_intervals (model_id, alias, number, since, opened_seq)": alias_intervals,
    "registry.name_intervals (model_id, name, since, opened_seq)": name_intervals,
}
