"""What commands share that list things: their options, and as many items as are wanted, with a word on the rest."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import click

from registry.cli.output import say, show_json, show_table
from registry.cli.text import pairs, stamp
from registry.client import Answer, Model, Pages, Version
from registry.client.reading import Read

LARGEST_PAGE = 1000
PROMPTS = ("exclude", "include", "only")

limit_option = click.option(
    "--limit", type=click.IntRange(min=0), default=100, show_default=True, help="How many at most; 0 means all."
)


def search_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a search."""
    for option in (
        click.option("--filter", "filter_", metavar="FILTER", help="Such as: stage = 'Production' AND tag.team = 'x'"),
        click.option("--order-by", metavar="FIELDS", help="Such as: created_at desc, name"),
        click.option("--prompts", type=click.Choice(PROMPTS), help="Also MLflow's prompts, or only these."),
        limit_option,
    ):
        command = option(command)
    return command


def page_size(limit: int) -> int:
    """The page size with which to ask for so many."""
    return min(limit or LARGEST_PAGE, LARGEST_PAGE)


def limited(pages: Pages[Read], limit: int) -> Iterator[Read]:
    """Yield so many items (0: all), then say on standard error if there are more."""
    yield from islice(pages, limit or None)
    if limit and next(pages, None) is not None:
        say(f"These are the first {limit}; --limit 0 shows all.")


def taken(pages: Pages[Read], limit: int) -> list[Read]:
    """The same as a list."""
    return list(limited(pages, limit))


def documents(items: list[Any]) -> list[Any]:
    """Answers as the service wrote them."""
    return [item.document for item in items if isinstance(item, Answer)]


def show_models(pages: Pages[Model], limit: int, *, as_json: bool) -> None:
    """Print models."""
    found = taken(pages, limit)
    if as_json:
        show_json(documents(found))
        return
    header = ("name", "production", "staging", "newest", "updated (utc)", "description")
    show_table(header, map(model_row, found), empty="No models.")


def model_row(model: Model) -> tuple[str, ...]:
    """A model as the cells of its line."""
    standing = {version.stage: str(version.version) for version in model.latest_versions}
    newest = max((version.version for version in model.latest_versions), default=None)
    return (
        model.name,
        standing.get("Production", "-"),
        standing.get("Staging", "-"),
        str(newest or "-"),
        stamp(model.updated_at),
        model.description or "",
    )


def show_versions(pages: Pages[Version], limit: int, *, as_json: bool, with_name: bool) -> None:
    """Print versions, with the names of their models where they are of several."""
    found = taken(pages, limit)
    if as_json:
        show_json(documents(found))
        return
    header = ("name", "version", "stage", "aliases", "created (utc)", "source", "tags", "description")
    first = 0 if with_name else 1
    show_table(header[first:], [version_row(version)[first:] for version in found], empty="No versions.")


def version_row(version: Version) -> tuple[str, ...]:
    """A version as the cells of its line."""
    return (
        version.name,
        str(version.version),
        version.stage,
        ", ".join(version.aliases),
        stamp(version.created_at),
        version.source,
        pairs(version.tags),
        version.description or "",
    )
