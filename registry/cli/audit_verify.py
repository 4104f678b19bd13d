"""`registry audit verify --db`: see whether the log in the database is whole, and the tables say what it says.

Exit codes as those of `registry-audit`: 0 verified, 1 something does not hold, 2 it could not be verified.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from sqlalchemy.exc import DBAPIError

from registry import config
from registry.cli.audit_report import show_report
from registry.cli.faults import Failure
from registry.cli.output import say, show_json
from registry.cli.running import FAULTS, require_schema, with_database
from registry.config import Settings
from registry.ledger.note import NoteError, Verifier
from registry.ownership import READER
from registry.sealer.place import PUBLIC
from registry.verification import database
from registry.verification.keys import Keys
from registry.verification.seals import Signed, outside
from registry.verification.verify import LATE_SECONDS, Report, Verification

DIVERGENCE, CANNOT = 1, 2


@click.command("verify")
@click.option("--db", "of_database", is_flag=True, help="Verify the database that REGISTRY_DATABASE_URL names.")
@click.option(
    "--key",
    metavar="K",
    multiple=True,
    help="The log's public key, or a file with it; again for each that it had before, the latest first.  "
    "[default: from the sealer's directory]",
)
@click.option(
    "--previous",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="OLD",
    multiple=True,
    help="A checkpoint kept elsewhere; repeatable.",
)
@click.option(
    "--keep",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="F",
    help="A file that keeps the last verified checkpoint: compared with first, replaced only when all holds.",
)
@click.option(
    "--sealed-within",
    type=click.FloatRange(min=0),
    default=LATE_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How old an event may be that is not sealed yet.",
)
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
@click.pass_context
def verify(
    ctx: click.Context,
    of_database: bool,
    key: tuple[str, ...],
    previous: tuple[Path, ...],
    keep: Path | None,
    sealed_within: float,
    as_json: bool,
) -> None:
    """Verify the audit log in the database, and the tables against it. Reads only, as of one moment."""
    if not of_database:
        raise click.UsageError("Say --db to verify the database. An export is verified by registry-audit verify.")
    with failing_with(CANNOT), with_database(config.from_env(os.environ), READER, direct=True) as settings:
        require_schema(settings)
        known = public_keys(settings, key)
        kept = [*previous, *([keep] if keep and keep.exists() else [])]
        verification = Verification(known, checkpoints(kept, known), sealed_within)
        report = verification.run(database.connect(config.database_url(settings), settings.connect_timeout_seconds))
    with failing_with(CANNOT):
        show_json(report.document()) if as_json else show_report(report)
    if not report.verified:
        ctx.exit(DIVERGENCE)
    if keep:
        remember(keep, report)


@contextmanager
def failing_with(code: int) -> Iterator[None]:
    """Let whatever keeps us from verifying, or from saying so, end the command with this exit code, in a line."""
    try:
        yield
    except DBAPIError as error:
        said = str(error.orig).strip().splitlines() or ["no reason given"]
        raise Failure(f"The database does not let itself be verified: {said[0]}", code) from error
    except (*FAULTS, NoteError, OSError) as error:
        raise Failure(str(error), code) from error


def public_keys(settings: Settings, given: tuple[str, ...]) -> Keys | None:
    """The keys that were named, as texts or files, or else that of the sealer on this machine."""
    if not given:
        path = (settings.sealer_dir or settings.data_dir / "sealer") / PUBLIC
        if not path.is_file():
            say("There is no key here (--key), so that no checkpoint counts as signed.")
            return None
        given = (str(path),)
    with naming("The key"):
        return Keys([public_key(one) for one in given])


def public_key(given: str) -> Verifier:
    """A key, as a text or a file."""
    path = Path(given)
    return Verifier.parse(path.read_text(encoding="utf-8").strip() if path.is_file() else given)


def checkpoints(files: list[Path], keys: Keys | None) -> list[Signed]:
    """The checkpoints that were kept."""
    found = []
    for file in files:
        with naming(f"The checkpoint {file}"):
            if keys is None:
                raise NoteError("it can be compared with a key only")
            found.append(outside(file.read_text(encoding="utf-8"), keys, str(file)))
    return found


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Let an error say what it is about."""
    try:
        yield
    except (OSError, ValueError) as error:  # also a NoteError, and what is not text
        raise NoteError(f"{what} is none that can be used: {error}") from None


def remember(keep: Path, report: Report) -> None:
    """Keep the last checkpoint in the place of the one before, in one step."""
    if not report.checkpoint:
        return
    new = keep.with_name(f"{keep.name}.new")
    try:
        new.write_text(report.checkpoint, encoding="utf-8")
        new.replace(keep)
    except OSError as error:
        raise Failure(f"{keep} cannot be written: {error.strerror}.", CANNOT) from None
