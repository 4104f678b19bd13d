"""`registry doctor`: how well the audit log is kept, what else is wrong or weak, and what would make it better."""

import json
import os
import sys

import click

from registry import config, posture, sealing
from registry.checkup import of_database, of_replica, of_settings
from registry.checkup.findings import Finding, Grade
from registry.cli.running import InWords, require_schema, with_database
from registry.posture import Level, Posture
from registry.sealing import Sealing, State


@click.command(cls=InWords)
@click.option("--json", "as_json", is_flag=True, help="Print it for programs.")
def doctor(as_json: bool) -> None:
    """Look at settings and database as the service does, and say whether its audit log could be changed, and is sealed.

    Prints the posture (enforced, trigger-only or broken), then one line for each reason with what to do about it; then
    how the sealer is (sealing, refusing or silent), and why; then what else is wrong or weak: release and durability of
    the database, indexes, clock, connections, settings, replica. Exit code 0 if the log is enforced, the sealer does
    not refuse and nothing is wrong, 1 if not; what is weak is advice.
    """
    with with_database(config.from_env(os.environ)) as settings:
        require_schema(settings)
        url, timeout = config.database_url(settings), settings.connect_timeout_seconds
        found, sealer = posture.at(url, connect_timeout=timeout), sealing.at(url, connect_timeout=timeout)
        findings = [*of_database.look(settings), *of_settings.look(settings), *of_replica.look(settings)]
    click.echo(as_object(found, sealer, findings) if as_json else as_lines(found, sealer, findings))
    wrong = any(finding.grade is Grade.WRONG for finding in findings)
    if wrong or found.level is not Level.ENFORCED or sealer.state is State.REFUSING:
        sys.exit(1)


def as_object(found: Posture, sealer: Sealing, findings: list[Finding]) -> str:
    """Return it as one JSON object."""
    reasons = [{"posture": one.level, "why": one.what, "to_do": one.to_do} for one in found.weaknesses]
    others = [{"grade": one.grade, "why": one.what, "to_do": one.to_do} for one in findings]
    sealed = {"state": sealer.state, "why": sealer.why}
    return json.dumps({"posture": found.level, "reasons": reasons, "sealer": sealed, "findings": others})


def as_lines(found: Posture, sealer: Sealing, findings: list[Finding]) -> str:
    """Return it in words."""
    lines = [f"audit log: {found.level}", *(f"- {one.what}: {one.to_do}" for one in found.weaknesses)]
    lines += [f"sealer: {sealer.state}", *([f"- {sealer.why}"] if sealer.why else [])]
    grades = [grade for grade in Grade if any(one.grade is grade for one in findings)]
    lines += [f"database and settings: {grades[0] if grades else 'well'}"]
    return "\n".join([*lines, *(f"- {one.grade}: {one.what}: {one.to_do}" for one in findings)])
