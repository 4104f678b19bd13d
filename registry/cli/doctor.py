"""`registry doctor`: how well the audit log is kept, and what would keep it better."""

import json
import os
import sys

import click

from registry import config, posture, sealing
from registry.cli.operator import InWords, require_schema, with_database
from registry.posture import Level, Posture
from registry.sealing import Sealing, State


@click.command(cls=InWords)
@click.option("--json", "as_json", is_flag=True, help="Print it for programs.")
def doctor(as_json: bool) -> None:
    """Look at the database as the service does, and say whether its audit log could be changed, and is sealed.

    Prints the posture (enforced, trigger-only or broken), then one line for each reason with what to do about it; then
    how the sealer is (sealing, refusing or silent), and why. Exit code 0 if the log is enforced and the sealer does not
    refuse, 1 if not.
    """
    with with_database(config.from_env(os.environ)) as settings:
        require_schema(settings)
        url, timeout = config.database_url(settings), settings.connect_timeout_seconds
        found, sealer = posture.at(url, connect_timeout=timeout), sealing.at(url, connect_timeout=timeout)
    click.echo(as_object(found, sealer) if as_json else as_lines(found, sealer))
    if found.level is not Level.ENFORCED or sealer.state is State.REFUSING:
        sys.exit(1)


def as_object(found: Posture, sealer: Sealing) -> str:
    """Return it as one JSON object."""
    reasons = [{"posture": one.level, "why": one.what, "to_do": one.to_do} for one in found.weaknesses]
    return json.dumps(
        {"posture": found.level, "reasons": reasons, "sealer": {"state": sealer.state, "why": sealer.why}}
    )


def as_lines(found: Posture, sealer: Sealing) -> str:
    """Return it in words."""
    lines = [f"audit log: {found.level}", *(f"- {one.what}: {one.to_do}" for one in found.weaknesses)]
    return "\n".join([*lines, f"sealer: {sealer.state}", *([f"- {sealer.why}"] if sealer.why else [])])
