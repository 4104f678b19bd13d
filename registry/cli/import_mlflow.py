"""`registry import-mlflow`: everything that a running MLflow server has registered, brought into the database."""

import base64
import dataclasses
import os
from collections.abc import Iterable, Mapping

import click

from registry.cli.faults import REFUSED, UNREACHABLE, Failure
from registry.cli.operator import as_operator
from registry.cli.output import say, show_json, show_table
from registry.cli.running import InWords
from registry.domain.access import OPERATOR
from registry.importing.bringing import NOT_TOLD, Bringing, Report
from registry.importing.mlflow import Found, MlflowError, Server


@click.command("import-mlflow", cls=InWords)
@click.argument("url")
@click.option("--model", "only", multiple=True, metavar="NAME", help="Only this model; may be given more than once.")
@click.option("--dry-run", is_flag=True, help="Say what would come, and bring nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def import_mlflow(url: str, only: tuple[str, ...], *, dry_run: bool, as_json: bool) -> None:
    """Bring models, versions, stages, tags, aliases, descriptions and times over from the MLflow server at URL.

    Numbers and times stay what they were; prompts come too. It works on the database (REGISTRY_DATABASE_URL, or the
    embedded one), beside a running service or without one, and only reads from MLflow, which may go on working. Run it
    again whenever it stopped, or to bring what has come since: what is here already is left alone. Credentials for
    MLflow come in the URL or from MLFLOW_TRACKING_USERNAME and _PASSWORD, or MLFLOW_TRACKING_TOKEN.

    Exit code 0: all has come; 3: something could not come, the report says what and why.
    """
    server = server_at(url, os.environ)
    with as_operator():
        try:
            found: Iterable[Found] = [server.model(name) for name in only] if only else server.models()
            report = Bringing(server, OPERATOR, say, dry_run=dry_run).bring(found)
        except MlflowError as error:
            raise Failure(
                f"{error}\nWhat has come so far is kept. Run the command again to go on.", UNREACHABLE
            ) from error
    tell(report, dry_run=dry_run, as_json=as_json)


def server_at(url: str, environ: Mapping[str, str]) -> Server:
    """The server, with the credentials that MLflow's own clients would send."""
    if not url.startswith(("http://", "https://")):
        raise click.BadParameter("must be the http:// or https:// address of an MLflow server", param_hint="URL")
    user, token = environ.get("MLFLOW_TRACKING_USERNAME"), environ.get("MLFLOW_TRACKING_TOKEN")
    if user:
        pair = f"{user}:{environ.get('MLFLOW_TRACKING_PASSWORD', '')}"
        return Server(url.rstrip("/"), "Basic " + base64.b64encode(pair.encode()).decode())
    return Server(url.rstrip("/"), f"Bearer {token}" if token else None)


def tell(report: Report, *, dry_run: bool, as_json: bool) -> None:
    """Print the report; what could not come ends the command with an exit code of its own."""
    if as_json:
        show_json(dataclasses.asdict(report) | {"problems": [*map(as_object, report.problems)], "dry_run": dry_run})
    else:
        show_table(["model", "could not come"], report.problems, empty="Everything came that MLflow tells of.")
        for line in ("What MLflow does not tell over its API, and so cannot come:", *NOT_TOLD):
            say(line if line.endswith(":") else f"  - {line}")
    verb = "would come" if dry_run else "came"
    say(
        f"{report.models} models, {report.versions} versions and {report.aliases} aliases {verb}; "
        f"{report.present} were here already. Request id in the audit log: {report.request_id}"
    )
    if report.problems:
        raise click.exceptions.Exit(REFUSED)


def as_object(problem: tuple[str, str]) -> dict[str, str]:
    """A problem as JSON has it."""
    return {"model": problem[0], "problem": problem[1]}
