"""The drill of docs/operations.md, on a PostgreSQL of its own: back to a moment from a base backup and the archive."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from registry import embedded, schema
from registry.config import Settings
from registry.db import db, transaction
from registry.domain import references, registered_models
from registry.domain.access import OPERATOR
from registry.errors import ModelNotFound
from registry.ownership import READER
from registry.sealer.seals import Refusal
from registry.vocabulary import Stage
from tests.cli.running import registry
from tests.conftest import application
from tests.factories import make_model, make_version, move
from tests.sealer.logs import CONTEXT, Place

MODEL = "Churn"
URI = f"models:/{MODEL}/Production"


@pytest.fixture
def directory() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="registry-restore-"))
    made.chmod(0o755)  # root's substitute must get through
    yield made
    shutil.rmtree(made, ignore_errors=True)


def ours(path: Path) -> Path:
    """A directory that the server may write to."""
    user = embedded._server_user()
    path.mkdir(mode=0o700)
    os.chown(path, user.uid, user.gid)
    return path


def run(cwd: Path, program: str, *arguments: str) -> None:
    """One of PostgreSQL's programs, as the user that it runs as."""
    ran = embedded._server_user().run([str(embedded._programs() / program), *arguments], cwd=str(cwd))
    assert ran.returncode == 0, ran.stderr


def query(url: str, *statements: str) -> object:
    """Run statements as a superuser; the answer of the last."""
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        found = [connection.execute(text(statement)) for statement in statements]
        return found[-1].scalar() if found[-1].returns_rows else None


def wait_for(url: str, question: str) -> None:
    deadline = time.monotonic() + 60
    while not query(url, question):
        assert time.monotonic() < deadline, question
        time.sleep(0.1)


def last_checkpoint(place: Place, file: Path) -> Path:
    file.write_text(str(query(place.url, "SELECT note FROM audit.checkpoint ORDER BY created_at DESC LIMIT 1")))
    return file


def in_production(url: str) -> int:
    with application(Settings(database_url=url)) as app, app.app_context():
        return references.resolve(db.session(), OPERATOR, URI).version.number


def verify(place: Place, checkpoint: Path) -> int:
    key = ("--key", place.key, "--previous", str(checkpoint), "--sealed-within", "1e9")
    return registry(
        "audit", "verify", "--db", *key, REGISTRY_DATABASE_URL=embedded.as_role(place.url, READER)
    ).returncode


def configure_archive(original: Path, archive: Path) -> None:
    """Have the server archive its log, from its next start on."""
    with embedded.start(original) as server:
        schema.upgrade(server.admin_url)
        copy = f"test ! -f {archive}/%f && cp %p {archive}/%f"
        query(server.admin_url, "ALTER SYSTEM SET archive_mode = on", f"ALTER SYSTEM SET archive_command = '{copy}'")


def restore(base: Path, into: Path, archive: Path, moment: datetime) -> None:
    """Lay a base backup down as a cluster that reads the archive up to a moment when it starts."""
    ours(into)
    base.rename(into / "pgdata")
    with (into / "pgdata" / "postgresql.auto.conf").open("a") as file:
        file.write(f"\narchive_mode = off\nrestore_command = 'cp {archive}/%f %p'\n")
        file.write(f"recovery_target_time = '{moment.isoformat()}'\nrecovery_target_action = promote\n")
    (into / "pgdata" / "recovery.signal").touch()
    (into / "pgdata" / ".s.PGSQL.5432.lock").unlink(missing_ok=True)  # the embedded server has its socket there


def work_and_accident(server: embedded.Embedded, place: Place, directory: Path) -> tuple[datetime, Path, Path]:
    """A base backup, then work, a moment, and an accident; the moment, and the checkpoints before and after it."""
    with application(Settings(database_url=server.url)) as app, app.app_context():
        make_model(name=MODEL)
        make_version(MODEL)
        place.seal()
        socket = str(directory / "original" / "pgdata")
        run(directory, "pg_basebackup", "-h", socket, "-U", "postgres", "-D", str(directory / "base"), "-c", "fast")
        move(MODEL, 1, Stage.PRODUCTION)
        place.seal()
        before = last_checkpoint(place, directory / "before")
        moment = query(place.url, "SELECT clock_timestamp()")
        assert isinstance(moment, datetime)
        time.sleep(0.05)  # the accident is later, by the clock too
        with transaction(OPERATOR, reason="the wrong model") as session:
            registered_models.delete(session, OPERATOR, MODEL)
        place.seal()
        after = last_checkpoint(place, directory / "after")
    archived = query(place.url, "SELECT pg_walfile_name(pg_switch_wal())")
    wait_for(place.url, f"SELECT last_archived_wal >= '{archived}' FROM pg_stat_archiver")
    return moment, before, after


def test_a_drill_goes_back_to_the_moment_before_the_accident_and_shows_what_is_missing(directory: Path) -> None:
    archive, base = ours(directory / "archive"), ours(directory / "base")
    configure_archive(directory / "original", archive)
    with embedded.start(directory / "original") as server:
        place = Place(server.admin_url, directory / "sealer")
        moment, before, after = work_and_accident(server, place, directory)

    restore(base, directory / "restored", archive, moment)
    with embedded.start(directory / "restored") as server:
        wait_for(server.admin_url, "SELECT NOT pg_is_in_recovery()")
        place = replace(place, url=server.admin_url)

        assert schema.check(server.url) == []
        assert in_production(server.url) == 1
        assert verify(place, before) == 0
        assert verify(place, after) == 1  # it holds less than was signed, and says so
        with pytest.raises(Refusal):
            place.seal()
        with place.sealer() as sealer:
            sealer.new_epoch(CONTEXT)
        assert place.seal() >= 0
        assert verify(place, before) == 0

    with embedded.start(directory / "original") as server, pytest.raises(ModelNotFound):
        in_production(server.url)
