"""`registry promote` and `registry rollback`: moves between stages, and what each has changed."""

from itertools import dropwhile, islice, takewhile

import click

from registry.cli.connection import json_option, with_client
from registry.cli.kinds import HOLDER, MODEL, NUMBER, STAGE, expectation
from registry.cli.output import painted, say, show, show_json
from registry.cli.text import when
from registry.client import Client, ServiceError, Tenure, Version

expected_option = click.option(
    "--expected-current", type=HOLDER, help="Only if this version, or `none`, stands in the stage now."
)
reason_option = click.option("--reason", help="Why; kept in the audit log.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Check everything, say what would be, change nothing.")


@click.command()
@click.argument("name", type=MODEL)
@click.argument("version", type=NUMBER)
@click.option("--to", type=STAGE, required=True, help="The stage, in any letter case.")
@click.option(
    "--archive-existing/--keep-existing",
    default=False,
    help="Archive the versions that stand in the stage, or keep them there (the default, as in MLflow).",
)
@expected_option
@reason_option
@dry_run_option
@json_option
@with_client
def promote(
    client: Client,
    name: str,
    version: int,
    to: str,
    expected_current: int | None,
    reason: str | None,
    *,
    archive_existing: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Move the version VERSION of the model NAME to a stage."""
    before = client.get_version(name, version) if dry_run else None
    holders = client.holders(name, to) if dry_run else []
    moved = client.transition(
        name,
        version,
        to,
        archive_existing=archive_existing,
        expected_current=expectation(expected_current),
        reason=reason,
        dry_run=dry_run,
    )
    if as_json:
        show_json(moved.document)
    elif before is not None:
        tell_plan(before, moved, [one for one in holders if one.version != version], archive_existing=archive_existing)
    else:
        tell_move(client, moved)


@click.command()
@click.argument("name", type=MODEL)
@click.argument("stage", type=STAGE, default="Production")
@expected_option
@reason_option
@dry_run_option
@json_option
@with_client
def rollback(
    client: Client,
    name: str,
    stage: str,
    expected_current: int | None,
    reason: str | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Give STAGE (Production, or Staging) of the model NAME back to the version that held it before.

    All versions that stand there now are archived. A second rollback returns to where the first came from.
    """
    holders = client.holders(name, stage) if dry_run else []
    expected = expectation(expected_current)
    back = client.rollback(name, stage, expected_current=expected, reason=reason, dry_run=dry_run)
    if as_json:
        show_json(back.document)
    elif dry_run:
        tell_plan(client.get_version(name, back.version), back, holders, archive_existing=True)
    else:
        tell_move(client, back)


def tell_plan(before: Version, after: Version, others: list[Tenure], *, archive_existing: bool) -> None:
    """Print what a move would change."""
    show(f"{after.name} version {after.version} would go from {painted(before.stage)} to {painted(after.stage)}.")
    for other in others:
        fate = "would be archived" if archive_existing else f"would stay in {painted(after.stage)} beside it"
        show(f"  version {other.version}, there since {when(other.since)}, {fate}")
    say("Nothing was changed.")


def tell_move(client: Client, moved: Version) -> None:
    """Print what a move has changed, as the registry has it on record.

    The move is made by then: a registry that cannot be asked any more does not make a failure of it.
    """
    try:
        tell_record(client, moved)
    except ServiceError as error:
        show(f"{moved.name} version {moved.version} stands in {painted(moved.stage)} now.")
        say(f"What else moved along with it cannot be shown: {error.detail}")


def tell_record(client: Client, moved: Version) -> None:
    """Print where a version came from, who made way for it and who stands beside it."""
    [last] = islice(client.transitions(moved.name, moved.version, page_size=1), 1)
    what = f"{moved.name} version {moved.version}"
    if last.at == moved.updated_at:
        show(f"{what}: {painted(last.from_stage or '-')} → {painted(moved.stage)}")
    else:
        show(f"{what} stands in {painted(moved.stage)} already, since {when(last.at)}")
    for other in made_way(client, moved):
        show(f"  archived: version {other.version}")
    for other in client.holders(moved.name, moved.stage) if moved.stage in {"Production", "Staging"} else ():
        if other.version != moved.version:
            show(f"  also in {painted(moved.stage)}: version {other.version}, since {when(other.since)}")


def made_way(client: Client, moved: Version) -> list[Tenure]:
    """The versions that were archived along with a move: all that one transaction moves bears one time."""
    archived = client.history(moved.name, "Archived")
    later_left_out = dropwhile(lambda one: one.since > moved.updated_at, archived)
    together = takewhile(lambda one: one.since == moved.updated_at, later_left_out)
    return [one for one in together if one.version != moved.version]
