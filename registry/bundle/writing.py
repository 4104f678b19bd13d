"""Writes a registry as a bundle: one snapshot, line by line, in constant memory, and checked like one that is read.

So no bundle is ever written that could not be brought in: where the log does not hold together, that is found here.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from uuid import uuid4

from psycopg2 import errorcodes
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from registry import __version__, telling
from registry.bundle import database
from registry.bundle.errors import BundleError
from registry.bundle.form import FORMAT, Header, closing
from registry.bundle.reading import Reading, Whole
from registry.bundle.sections import SECTIONS, STAGES
from registry.db import Actor

NOTE = text("""SELECT audit.note('audit.export', '{"format": [null, "bundle"]}')""")


def told(actor: Actor) -> Mapping[str, str]:
    """What the database has to know of who acts."""
    return {"actor": actor.id, "credential": actor.credential, "request_id": str(uuid4()), "reason": ""}


def note(engine: Engine, actor: Actor) -> bool:
    """Put on record that the registry is taken away; return whether this server, unlike a standby, takes it down."""
    with database.in_words(), engine.connect() as connection:
        try:
            with connection.begin():
                connection.exec_driver_sql(telling.SAY, told(actor))
                connection.execute(NOTE)
        except DBAPIError as error:
            if getattr(error.orig, "pgcode", None) != errorcodes.READ_ONLY_SQL_TRANSACTION:
                raise
            return False
    return True


def write(engine: Engine, put: Callable[[bytes], object], *, tokens: bool = True) -> Whole:
    """Hand over the lines of a bundle one after the other, and say what it is.

    :raises BundleError: the registry does not hold together, or is of another release.
    :raises NotAble: the database does not let us.
    """
    reading = Reading()
    with database.in_words(), database.snapshot(engine) as connection:
        digest, number = hashlib.sha256(), 0
        for line in lines(connection, tokens=tokens):
            check(reading, line)
            put(line)
            digest.update(line)
            number += 1
    last = closing(number, digest.hexdigest())
    check(reading, last)
    put(last)
    return reading.whole()


def check(reading: Reading, line: bytes) -> None:
    """Read what was just written.

    :raises BundleError: it could not be brought in.
    """
    try:
        reading.take(line)
    except BundleError as error:
        raise BundleError(
            f"this registry cannot be written as a bundle: {error}. `registry audit verify --db` says more."
        ) from None


def lines(connection: Connection, *, tokens: bool) -> Iterator[bytes]:
    """Yield all lines but the last."""
    yield header(connection, tokens=tokens).line()
    for stage in STAGES:
        for row in database.rows(connection, stage, tokens=tokens):
            yield f'{{"{row.section.name}":{row.text}}}\n'.encode()


def header(connection: Connection, *, tokens: bool) -> Header:
    """What the first line says."""
    revision = database.revision(connection)
    origin, checkpoint = database.latest_checkpoint(connection)
    return Header(
        format=FORMAT,
        release=__version__,
        schema=revision,
        made_at=datetime.now(UTC).isoformat(timespec="microseconds"),
        tokens=tokens,
        origin=origin,
        checkpoint=checkpoint,
        counts={name: database.count(connection, section) for name, section in SECTIONS.items()},
        sequences={name: database.highest(connection, one) for name, one in SECTIONS.items() if one.counts},
    )
