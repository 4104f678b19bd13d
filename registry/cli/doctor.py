"""`registry doctor`: how well the audit log is kept, and what would keep it better."""

import json
import os
import sys

import click

from registry import config, posture
from registry.cli.operator import InWords, require_schema, with_database
from registry.posture import Level, Posture


@click.command(cls=InWords)
@click.option("--json", "as_json", is_flag=True, help="Print it for programs.")
def doctor(as_json: bool) -> None:
    """Look at the database as the service does, and say whether its audit log could be changed.

    Prints the posture (enforced, trigger-only or broken), then one line for each reason with what to do about it. Exit
    code 0 if it is enforced, 1 if not.
    """
    with with_database(config.from_env(os.environ)) as settings:
        require_schema(settings)
        found = posture.at(config.database_url(settings), connect_timeout=settings.connect_timeout_seconds)
    click.echo(as_object(found) if as_json else as_lines(found))
    if found.level is not Level.ENFORCED:
        sys.exit(1)


def as_object(found: Posture) -> str:
    """Return it as one JSON object."""
    reasons = [{"posture": one.level, "why": one.what, "to_do": one.to_do} for one in found.weaknesses]
    return json.dumps({"posture": found.level, "reasons": reasons})


def as_lines(found: Posture) -> str:
    """Return it in words."""
    return "\n".join([f"audit log: {found.level}", *(f"- {one.what}: {one.to_do}" for one in found.weaknesses)])
