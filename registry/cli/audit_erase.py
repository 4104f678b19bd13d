"""`registry audit erase`: erase a text that somebody has a right to have erased, on the database itself.

The login needs to be a member of `registry_app`, for the row where the text still stands, and of `audit_eraser`;
on the embedded database the command is its superuser.
"""

import re

import click

from registry import embedded
from registry.cli.kinds import MODEL, NUMBER
from registry.cli.operator import as_operator
from registry.cli.output import say
from registry.cli.running import faults_in_words
from registry.db import transaction
from registry.domain import erasure
from registry.domain.access import OPERATOR
from registry.domain.erasure import Erasure

ELSEWHERE = "It may still be in backups, archived WAL, replicas, exports and with readers: see docs/audit.md, Erasure."
RECEIPT = re.compile(r"(.+)/([1-9][0-9]{0,17})(?:/[0-9a-f]{64})?")


@click.command("erase")
@click.option("--comment", type=NUMBER, metavar="ID", help="All that a comment says and said.")
@click.option("--model-description", type=MODEL, metavar="NAME", help="What describes or described a model.")
@click.option(
    "--version-description", type=(MODEL, NUMBER), metavar="NAME N", help="What describes or described a version."
)
@click.option("--reason", metavar="STREAM/SEQ", help="The reason given for one change, such as model:42/7.")
@click.option("--basis", required=True, metavar="TEXT", help="The legal basis; it goes into the log and stays there.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(
    comment: int | None,
    model_description: str | None,
    version_description: tuple[str, int] | None,
    reason: str | None,
    basis: str,
    yes: bool,
) -> None:
    """Erase a text from the database: its row, and every event that has it. The log verifies before and after.

    Nothing brings the text back. That it was there, when and by whom it was written stays on record.
    """
    given = [one for one in (comment, model_description, version_description, reason) if one is not None]
    if len(given) != 1:
        raise click.UsageError(
            "Say what to erase: one of --comment, --model-description, --version-description, --reason."
        )
    if not yes:
        click.confirm("The text cannot be brought back. Erase it?", abort=True, err=True)
    with faults_in_words(), as_operator(embedded.SUPERUSER), transaction(OPERATOR) as session:
        if comment is not None:
            done = erasure.comment(session, OPERATOR, comment, basis=basis)
        elif model_description is not None:
            done = erasure.model_description(session, OPERATOR, model_description, basis=basis)
        elif version_description is not None:
            done = erasure.version_description(session, OPERATOR, *version_description, basis=basis)
        else:
            done = erasure.reason(session, OPERATOR, *place(str(reason)), basis=basis)
    tell(done)


def place(written: str) -> tuple[str, int]:
    """The stream and number of an event; a whole receipt will do."""
    matched = RECEIPT.fullmatch(written)
    if matched is None:
        raise click.UsageError("--reason takes STREAM/SEQ, such as model:42/7.")
    return matched[1], int(matched[2])


def tell(done: Erasure) -> None:
    """Say what was erased."""
    say(f"Erased: {done.texts} texts in the log, {done.rows} of a row, {done.answers} kept answers.")
    say(ELSEWHERE)
