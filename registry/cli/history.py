"""`registry history`: who stood in the stages of a model."""

from itertools import islice

import click

from registry.cli.connection import json_option, with_client
from registry.cli.kinds import MODEL, STAGE
from registry.cli.listing import documents, limit_option, page_size
from registry.cli.output import say, show_json, show_table
from registry.cli.text import stamp
from registry.client import Client, Tenure
from registry.vocabulary import Stage

HEADER = ("stage", "version", "since (utc)", "until (utc)", "by", "reason")


@click.command()
@click.argument("name", type=MODEL)
@click.argument("stage", type=STAGE, required=False)
@limit_option
@json_option
@with_client
def history(client: Client, name: str, stage: str | None, limit: int, *, as_json: bool) -> None:
    """Say which versions of the model NAME stood in STAGE (or in every stage) from when until when; latest first."""
    found = [tenure for one in ([stage] if stage else Stage) for tenure in tenures(client, name, one, limit)]
    found.sort(key=lambda tenure: (tenure.since, tenure.version), reverse=True)
    shown = found[: limit or None]
    if as_json:
        show_json(documents(shown))
    else:
        show_table(HEADER, map(row, shown), empty=f"No version of {name} ever stood there.")
    if len(found) > len(shown):
        say(f"These are the latest {limit}; --limit 0 shows all.")


def tenures(client: Client, name: str, stage: str, limit: int) -> list[Tenure]:
    """The latest tenures of a stage, one more than wanted."""
    wanted = limit + 1 if limit else None
    return list(islice(client.history(name, stage, page_size=page_size(limit)), wanted))


def row(tenure: Tenure) -> tuple[str, ...]:
    """A tenure as the cells of its line."""
    return (
        tenure.stage,
        str(tenure.version),
        stamp(tenure.since),
        stamp(tenure.until) if tenure.until else "now",
        tenure.by.name,
        tenure.reason or "",
    )
