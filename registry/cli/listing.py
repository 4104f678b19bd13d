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
OF_ONE_MODEL = ("version", "stage", "aliases", "created (utc)", "source", "tags", "description")
OF_ALL_MODELS = ("name", "version", "stage", "aliases", "source", "tags", "description")
PROMPTS = ("exclude", "include", "only")

limit_option = click.option(
    "--limit", metavar="N", type=click.IntRange(min=0), default=100, help="How many at most (100); 0 means all."
)


def search_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a search."""
    for option in (
        limit_option,
        click.option("--prompts", type=click.Choice(PROMPTS), help="Also MLflow's prompts, or only these."),
        click.option("--order-by", metavar="FIELDS", help="Such as: created_at desc, name"),
        click.option("--filter", "filter_", metavar="FILTER", help="Such as: stage = 'Production' AND tag.team = 'x'"),
    ):
        command = option(command)  # the last one stands first in the help
    return command


def page_size(limit: int) -> int:
    """The page size with which to ask for so many."""
    return min(limit or LARGEST_PAGE, LARGEST_PAGE)


def limited(pages: Pages[Read], limit: int) -> Iterator[Read]:
    """Yield so many items (0: all), then say on standard error if there are more."""
    yield from islice(pages, limit or None)
    if limit and next(pages, None) is not None:
        say("There are more; --limit 0 shows all.")


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
    header, row = (OF_ALL_MODELS, row_of_all) if with_name else (OF_ONE_MODEL, row_of_one)
    show_table(header, map(row, found), empty="No versions.")


def row_of_one(version: Version) -> tuple[str, ...]:
    """A version as the cells of its line among those of its model."""
    stage, aliases, *what = said_of(version)
    return (str(version.version), stage, aliases, stamp(version.created_at), *what)


def row_of_all(version: Version) -> tuple[str, ...]:
    """A version as the cells of its line among those of other models."""
    return (version.name, str(version.version), *said_of(version))


def said_of(version: Version) -> tuple[str, ...]:
    """What both lines say."""
    aliases = ", ".join(version.aliases)
    return (version.stage, aliases, version.source, pairs(version.tags), version.description or "")
