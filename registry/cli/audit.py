"""`registry audit`: the audit log, as a list, as it grows, or as a file.

`registry audit verify` and `registry audit erase` are commands of their own, which work on the database. A model that
is called so is listed by `registry audit -- verify`.
"""

import sys
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from registry.cli.connection import with_client
from registry.cli.events import HEADER, HEADER_IN_MODEL, cells, cells_in_model
from registry.cli.faults import Failure
from registry.cli.following import Following
from registry.cli.kinds import MODEL, MOMENT, NUMBER
from registry.cli.listing import limit_option, limited, page_size
from registry.cli.output import say, show, show_json_line, show_table
from registry.cli.text import fitted, plain
from registry.client import Client, Event
from registry.vocabulary import Action

WIDTHS = (19, 16, 25, 24)
"""The columns of a list that grows: nobody knows what is still to come."""
SHOWN_BEFORE_FOLLOWING = 10

COMMANDS = {
    "verify": ("registry.cli.audit_verify", "Verify the log in the database, and the tables against it."),
    "erase": ("registry.cli.audit_erase", "Erase a text that somebody has a right to have erased."),
}


class WithCommands(click.Command):
    """A command whose first word may name another one."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Leave it to that one."""
        if args and args[0] in COMMANDS:
            command: click.Command = getattr(import_module(COMMANDS[args[0]][0]), args[0])
            return command.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Say which there are."""
        with formatter.section("Commands, on the database itself"):
            formatter.write_dl([(name, purpose) for name, (_, purpose) in COMMANDS.items()])


@click.command(cls=WithCommands)
@click.argument("name", type=MODEL, required=False)
@click.argument("version", type=NUMBER, required=False)
@click.option("--actor", metavar="WHO", help="By whom: a name or an id.")
@click.option(
    "--action",
    type=click.Choice([action.value for action in Action]),
    metavar="ACTION",
    help="Such as model_version.transition.",
)
@click.option("--subject", metavar="WHAT", help="What it was done to, as events call it: model:42/version:3, token:7.")
@click.option("--since", type=MOMENT, help="From this moment on, such as 2026-11-24 or 3d (ago).")
@click.option("--until", type=MOMENT, help="Before this moment.")
@click.option("--request-id", metavar="ID", help="By this request.")
@click.option("--oldest-first", is_flag=True, help="Begin with the oldest event.")
@limit_option
@click.option("--follow", "-f", is_flag=True, help="Go on showing events as they come, until Ctrl-C.")
@click.option("--every", metavar="SECONDS", type=click.FloatRange(min=0.1), default=2, help="How often to ask (2).")
@click.option("--export", type=click.Choice(["jsonl", "csv"]), help="Write all events, as stored lines or as a table.")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="The file to export to.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines, one for each event.")
@with_client
def audit(
    client: Client,
    oldest_first: bool,
    limit: int,
    follow: bool,
    every: float,
    export: str | None,
    output: Path | None,
    as_json: bool,
    name: str | None,
    since: datetime | None,
    **asked: Any,
) -> None:
    """Show who changed what, when and why: everywhere, in the model NAME, or in its version VERSION."""
    asked["model"] = name
    if output and not export:
        raise click.UsageError("--output goes with --export.")
    if export and (follow or as_json):
        raise click.UsageError("--export goes with neither --follow nor --json.")
    if follow and (asked["until"] or oldest_first):
        raise click.UsageError("--follow goes with neither --until nor --oldest-first.")
    if export:
        write(client.export(**asked, since=since, format=export), output)
    elif follow:
        del asked["until"]
        follow_on(Following(client, asked, every), since, limit, as_json=as_json)
    else:
        order = "oldest" if oldest_first else "newest"
        pages = client.events(**asked, since=since, order=order, page_size=page_size(limit))
        show_list(limited(pages, limit), in_model=name is not None, as_json=as_json)


def show_list(events: Iterator[Event], *, in_model: bool, as_json: bool) -> None:
    """Print events that are all there; as JSON while they come."""
    if not as_json:
        header, row = (HEADER_IN_MODEL, cells_in_model) if in_model else (HEADER, cells)
        show_table(header, map(row, events), empty="No events.")
        return
    some = False
    for event in events:
        some = True
        show_json_line(event.document)
    if not some:
        say("No events.")


def follow_on(following: Following, since: datetime | None, limit: int, *, as_json: bool) -> None:
    """Print events as they come."""
    limit = min(limit, SHOWN_BEFORE_FOLLOWING)
    for events in (following.begin(since, limit), following):
        for event in events:
            show_json_line(event.document) if as_json else show(line(event))


def line(event: Event) -> str:
    """An event as a line of a list that grows."""
    *first, last = map(plain, cells(event))
    return "  ".join([*map(fitted, first, WIDTHS), last]).rstrip()


def write(lines: Iterable[bytes], output: Path | None) -> None:
    """Write an export to standard output, or to a file that is there only when it is whole."""
    if output is None:
        sys.stdout.buffer.writelines(lines)
        sys.stdout.buffer.flush()
        return
    part = output.with_name(f".{output.name}.{uuid.uuid4()}")
    try:
        try:
            with part.open("xb") as file:
                file.writelines(lines)
            part.replace(output)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise Failure(f"{output} cannot be written: {error.strerror}.") from None
