"""`registry register`: a new model, or the next version of one."""

from contextlib import suppress
from typing import Any

import click

from registry.cli.connection import json_option, with_client
from registry.cli.kinds import HOLDER, MODEL, STAGE, TAG, expectation
from registry.cli.output import say, show, show_json
from registry.client import Client, Conflict, Model, Version


@click.command()
@click.argument("name", type=MODEL)
@click.argument("source", required=False)
@click.option("--create", is_flag=True, help="Register the model too, if there is none of this name.")
@click.option("--description", help="What it is.")
@click.option("--tag", "tags", type=TAG, multiple=True, help="A tag; may be given several times.")
@click.option("--run-id", help="The run that made it.")
@click.option("--run-link", help="Where that run can be looked at.")
@click.option("--logged-model-id", help="The logged model that it is.")
@click.option("--digest", help="The digest of its files.")
@click.option("--stage", type=STAGE, help="Put it there, in the same transaction.")
@click.option("--archive-existing", is_flag=True, default=None, help="Archive the versions that stand in that stage.")
@click.option("--expected-current", type=HOLDER, help="Only if this version, or `none`, stands in that stage.")
@click.option("--reason", help="Why; kept in the audit log.")
@json_option
@with_client
def register(
    client: Client,
    name: str,
    source: str | None,
    tags: tuple[tuple[str, str], ...],
    expected_current: int | None,
    *,
    create: bool,
    as_json: bool,
    description: str | None,
    reason: str | None,
    **of_version: Any,
) -> None:
    """Register the next version of the model NAME, from SOURCE; without SOURCE, register the model itself.

    SOURCE says where the version comes from, such as runs:/RUN/model, models:/m-ID or s3://BUCKET/PATH.
    """
    said: dict[str, Any] = {"description": description, "tags": dict(tags), "reason": reason}
    made: Model | Version
    if source is None:
        if any(given is not None for given in (expected_current, *of_version.values())):
            raise click.UsageError("These options are for a version, and a version needs a SOURCE.")
        made = client.register_model(name, **said)
    else:
        if create:
            see_to_model(client, name, reason)
        expected = expectation(expected_current)
        made = client.register_version(name, source, expected_current=expected, **said, **of_version)
    tell(made, as_json=as_json)


def see_to_model(client: Client, name: str, reason: str | None) -> None:
    """Register the model unless it is there."""
    with suppress(Conflict):
        client.register_model(name, reason=reason)
        say(f"Registered the model {name}.")


def tell(made: Model | Version, *, as_json: bool) -> None:
    """Print what was registered."""
    if as_json:
        show_json(made.document)
    elif isinstance(made, Model):
        show(f"Registered the model {made.name}.")
    else:
        stage = f", in {made.stage}" if made.stage != "None" else ""
        show(f"Registered {made.name} version {made.version}{stage}.")
