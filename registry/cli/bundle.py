"""`registry export` and `registry import`: a whole registry as a file, written from a database or brought into one."""

import os
import shutil
import stat
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click
from sqlalchemy import Engine

from registry import config, embedded
from registry.bundle import comparing, database, loading, writing
from registry.bundle.errors import BundleError, Differs, NotAble
from registry.bundle.reading import Whole, verified
from registry.cli.faults import CONFLICT, FAULT, REFUSED, Failure
from registry.cli.output import say
from registry.cli.running import InWords, require_schema, with_database
from registry.domain.access import OPERATOR

OWN = stat.S_IRUSR | stat.S_IWUSR
STREAM = "-"


@click.command("export", cls=InWords)
@click.argument("file")
@click.option("--without-tokens", is_flag=True, help="Leave out what tokens are recognised by: none opens the copy.")
def export_bundle(file: str, *, without_tokens: bool) -> None:
    """Write the whole registry to FILE, a bundle for `registry import`; to standard output where FILE is -.

    Everything is in it as of one moment: models, versions, numbers, stages and their history, tags, aliases, comments,
    grants, principals, tokens (as digests), what was deleted, and the audit log byte for byte with its positions and
    checkpoints. Keep it like a backup: texts that only readers may see are in it. The sealer's key is not.

    It works on the database, beside a running service; that the registry was taken away goes into its audit log.
    """
    with failing(), opened(embedded.SERVICE) as engine:
        if not writing.note(engine, OPERATOR):
            say("This server takes no writes, so its audit log does not say that the registry was exported.")
        with target(file) as put:
            whole = writing.write(engine, put.write, tokens=not without_tokens)
    say(f"Exported {described(whole)}.")


@click.command("import", cls=InWords)
@click.argument("file")
def import_bundle(file: str) -> None:
    """Bring the bundle FILE into an empty registry; read it from standard input where FILE is -.

    The registry has to be there (`registry db upgrade`), of the same schema as the bundle, and nothing in it yet. The
    bundle is verified to its end first; then all of it comes in, or nothing. Numbers, ids, times and authors stay what
    they were, and the audit log goes on behind its last event. Importing the same bundle again changes nothing.

    It needs a superuser of the database or, where one role owns everything, that role; stop service and sealer before.
    """
    with failing(), opened(embedded.SUPERUSER) as engine, source(file) as bundle:
        whole = verified(bundle)
        fits(engine, whole)
        bundle.seek(0)
        if is_empty(engine):
            loading.bring(engine, bundle, whole, OPERATOR)
            say(f"Imported {described(whole)}.")
            say("Before the sealer starts, bring the old sealer's directory here: see docs/operations.md.")
        else:
            since = comparing.compare(engine, bundle, whole)
            say(f"All of it is here already, and {since} events have come since. Nothing was changed.")


@contextmanager
def failing() -> Iterator[None]:
    """Let what can be expected to go wrong end the command in words."""
    try:
        yield
    except BundleError as error:
        raise Failure(f"{sentence(str(error))}\nNothing was imported or written.", REFUSED) from error
    except Differs as error:
        raise Failure(
            f"This registry is not empty: {error}\nImport into an empty one. Nothing was changed.", CONFLICT
        ) from error
    except NotAble as error:
        raise Failure(str(error), FAULT) from error


def sentence(text: str) -> str:
    """A message as a sentence."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


@contextmanager
def opened(role: str) -> Iterator[Engine]:
    """The database that the settings name, as the code needs it."""
    with with_database(config.from_env(os.environ), role, direct=True) as settings:
        require_schema(settings)
        yield database.connect(config.database_url(settings), settings.connect_timeout_seconds)


def fits(engine: Engine, whole: Whole) -> None:
    """See that the registry has the schema that the bundle was made from.

    :raises BundleError: it has another one.
    """
    with database.in_words(), engine.connect() as connection:
        ours, given = database.revision(connection), whole.header.schema
    if given != ours:
        older = "into a registry that it has made, and then run `registry db upgrade` of the release that you want"
        newer = "or a newer one, after its `registry db upgrade`"
        raise BundleError(
            f"the bundle is of schema {given}, and this registry is at {ours}: import it with the release that wrote "
            f"it, {whole.header.release}, {older if given < ours else newer}."
        )


def is_empty(engine: Engine) -> bool:
    """Whether there is anything in the registry."""
    with database.in_words(), engine.connect() as connection:
        return database.is_empty(connection)


@contextmanager
def target(file: str) -> Iterator[BinaryIO]:
    """Standard output, or a file that only we may read and that is there only when it is whole."""
    if file == STREAM:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    output = Path(file)
    part = output.with_name(f".{output.name}.{uuid.uuid4()}")
    try:
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWN), "wb") as opened:
                yield opened
                opened.flush()
                os.fsync(opened.fileno())
            part.replace(output)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise Failure(f"{output} cannot be written: {error.strerror}.") from None


@contextmanager
def source(file: str) -> Iterator[BinaryIO]:
    """A bundle that can be read twice: first to see that it is whole, then to bring it in.

    One that comes through a pipe is kept on disk meanwhile, in a file without a name.
    """
    try:
        with open_source(file) as given:
            if given.seekable():
                yield given
                return
            with tempfile.TemporaryFile() as kept:
                shutil.copyfileobj(given, kept)
                kept.seek(0)
                yield kept
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}.") from None


@contextmanager
def open_source(file: str) -> Iterator[BinaryIO]:
    """Standard input, or a file."""
    if file == STREAM:
        yield sys.stdin.buffer
        return
    with Path(file).open("rb") as opened:
        yield opened


def described(whole: Whole) -> str:
    """What is in a bundle."""
    counts = whole.header.counts
    log = f"{counts['event']} events"
    sealed = (
        f"{counts['seal']} of them sealed as {whole.header.origin}" if whole.header.origin else "none of them signed"
    )
    models = f"{counts['registered_models']} models, {counts['model_versions']} versions"
    return f"{models}, {log}, {sealed}; SHA-256 {whole.sha256}"
