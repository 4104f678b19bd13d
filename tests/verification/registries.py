"""A registry with a history in which everything happened that can, a sealer on it, and the three detectors."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from flask import Flask
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from registry.config import Settings
from registry.db import transaction
from registry.domain import (
    aliases,
    comments,
    model_versions,
    registered_models,
    stages,
    tags,
    tokens,
    trash,
)
from registry.domain.access import OPERATOR
from registry.ledger import verify
from registry.ledger.note import Verifier
from registry.ownership import APP, EVENT_TRIGGERS, READER
from registry.verification import database
from registry.verification.captured import CAPTURED
from registry.verification.keys import Keys
from registry.verification.seals import outside
from registry.verification.verify import Report, Verification
from registry.vocabulary import Role, Stage
from tests.conftest import application, as_role
from tests.sealer.logs import SET_CONTEXT, Place

AN_HOUR = 3600.0
LONG = "s3://bucket/" + "long/" * 300
"""So long that the log keeps it apart."""
ALWAYS = text("SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE tgenabled = 'A' ORDER BY 1, 2")
OF_THE_LOG = {"hash", "columns", "chain", "heads", "positions", "late", "texts"}
"""The checks that need neither a signature nor the tables: what most hash-chained logs have."""


@dataclass
class Registry(Place):
    """A database with a registry in it, and a sealer's directory."""

    @contextmanager
    def open(self, role: str = APP) -> Iterator[Flask]:
        """The service, connected as it does in earnest."""
        with application(Settings(database_url=as_role(self.url, role))) as app, app.app_context():
            yield app

    def live(self) -> None:
        """Let everything happen, each change in its own transaction or several in one; then seal."""
        with self.open():
            a_life()
        self.seal()

    def go_on(self) -> None:
        """One more change: another principal is there, in a stream of its own."""
        with self.engine.begin() as connection:
            connection.execute(SET_CONTEXT)
            connection.execute(text("INSERT INTO registry.principals (name) SELECT 'p' || gen_random_uuid()"))

    @contextmanager
    def guards_down(self) -> Iterator[Connection]:
        """What a superuser does first: no guard, no foreign key, no capture, until the commit."""
        guarded = [f"audit.{one}" for one in ("event", "seal", "checkpoint", "private", "stream")]
        guarded += [f"registry.{one.table}" for one in CAPTURED]
        with self.engine.begin() as connection:
            always = connection.execute(ALWAYS).all()
            for guard in EVENT_TRIGGERS:
                connection.execute(text(f"ALTER EVENT TRIGGER {guard} DISABLE"))
            for table in guarded:
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            yield connection
            connection.execute(text("SET LOCAL session_replication_role = origin"))
            for table, trigger in always:
                connection.execute(text(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}"))
            for guard in EVENT_TRIGGERS:
                connection.execute(text(f"ALTER EVENT TRIGGER {guard} ENABLE ALWAYS"))

    def silently(self, *statements: str) -> None:
        """Change whatever, behind the back of all guards."""
        with self.guards_down() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def offline(self, checkpoint: str, *previous: str, receipts: str = "") -> bool:
        """Whether the auditor's program verifies the export against checkpoints kept elsewhere."""
        at = self.directory / "auditor"
        at.mkdir(exist_ok=True)
        (at / "export").write_bytes(b"".join(line + b"\n" for line in self.lines()))
        for name, content in {"now": checkpoint, "receipts": receipts}.items():
            (at / name).write_text(content)
        command = ["verify", "--jsonl", f"{at}/export", "--key", self.key, "--checkpoint", f"{at}/now"]
        for number, note in enumerate(previous):
            (at / f"kept-{number}").write_text(note)
            command.append(f"--previous={at}/kept-{number}")
        return verify.main([*command, *([f"--receipts={at}/receipts"] if receipts else [])]) == 0

    def check(self, *kept: str, late_seconds: float = AN_HOUR, keys: Sequence[str] = ()) -> Report:
        """Verify the database as the role that may only read, held against checkpoints kept elsewhere.

        What waits for the sealer was written before the first test began, and may do so for as long as they all take.
        """
        known = Keys([Verifier.parse(key) for key in keys or [self.key]])
        checkpoints = [outside(note, known, "safe") for note in kept]
        engine = database.connect(as_role(self.url, READER), 5)
        return Verification(known, checkpoints, late_seconds).run(engine)


def found_by(report: Report) -> set[str]:
    """Which of the kinds of checks found something: in the log alone, in the signatures, in the replay."""
    kinds = {check: "log" if check in OF_THE_LOG else check for check in report.divergences}
    return set(kinds.values())


@contextmanager
def change(reason: str | None = None) -> Iterator[Session]:
    with transaction(OPERATOR, reason=reason) as session:
        yield session


def a_life() -> None:
    """One of everything, in an order in which states come and go. Needs an application context."""
    with change("first of its kind") as s:
        registered_models.create(s, OPERATOR, "fraud", description="finds fraud", tags={"team": "risk", "a/b": "c"})
    for number in range(1, 5):
        with change() as s:
            source = LONG if number == 2 else f"s3://bucket/{number}"
            model_versions.create(s, OPERATOR, "fraud", source=source, tags={"auc": f"0.{number}"})
    with change("try it") as s:
        stages.transition(s, OPERATOR, "fraud", 1, Stage.STAGING)
    with change("both at once") as s:
        stages.transition(s, OPERATOR, "fraud", 1, Stage.PRODUCTION)
        stages.transition(s, OPERATOR, "fraud", 2, Stage.STAGING)
        stages.transition(s, OPERATOR, "fraud", 2, Stage.PRODUCTION, archive_others=True)
        stages.transition(s, OPERATOR, "fraud", 3, Stage.STAGING)
        stages.transition(s, OPERATOR, "fraud", 3, Stage.NONE)
    labels_and_words()
    what_is_deleted()
    with change() as s:
        issued = tokens.create(s, OPERATOR, name="ada", role=Role.VIEWER, description="for the dashboard")
        tokens.create(s, OPERATOR, name="ada", role=Role.APPROVER)
    with change() as s:
        tokens.revoke(s, OPERATOR, issued.id)


def labels_and_words() -> None:
    with change() as s:
        aliases.set(s, OPERATOR, "fraud", "champion", 1)
        aliases.set(s, OPERATOR, "fraud", "champion", 2)
    with change() as s:
        aliases.set(s, OPERATOR, "fraud", "champion", 3)
        aliases.set(s, OPERATOR, "fraud", "passing", 3)
        aliases.unset(s, OPERATOR, "fraud", "passing")
    with change() as s:
        tags.set_on_model(s, OPERATOR, "fraud", "team", "r" * 3000)
        tags.set_on_version(s, OPERATOR, "fraud", 1, "auc", "0.9")
        tags.unset_on_model(s, OPERATOR, "fraud", "a/b")
    with change() as s:
        of_version = comments.create(s, OPERATOR, "fraud", 1, "looks good to Grace").comment.id
        of_model = comments.create(s, OPERATOR, "fraud", None, "who owns this?").comment.id
    with change() as s:
        comments.edit(s, OPERATOR, "fraud", 1, of_version, "looks good to Ada")
    with change() as s:
        comments.delete(s, OPERATOR, "fraud", None, of_model)
    with change() as s:
        registered_models.describe(s, OPERATOR, "fraud", "finds more fraud")
        model_versions.describe(s, OPERATOR, "fraud", 1, "trained on Ada's data")
    with change() as s:
        registered_models.rename(s, OPERATOR, "fraud", "fraud-2")
        registered_models.rename(s, OPERATOR, "fraud-2", "swindle")


def what_is_deleted() -> None:
    with change() as s:
        model_versions.delete(s, OPERATOR, "swindle", 2)
        model_versions.delete(s, OPERATOR, "swindle", 4)
    with change() as s:
        model = registered_models.get(s, OPERATOR, "swindle").model.id
        trash.restore_version(s, OPERATOR, model, 2)
    with change() as s:
        trash.purge_version(s, OPERATOR, model, 4)
    for name in ("old", "older"):
        with change() as s:
            registered_models.create(s, OPERATOR, name, description="soon gone", tags={"k": "v"})
            model_versions.create(s, OPERATOR, name, source="s3://bucket/old", tags={"k": "v"})
            comments.create(s, OPERATOR, name, 1, "forget me")
            aliases.set(s, OPERATOR, name, "it", 1)
        with change() as s:
            gone = registered_models.get(s, OPERATOR, name).model.id
            registered_models.delete(s, OPERATOR, name)
        with change() as s:
            if name == "old":
                trash.restore_model(s, OPERATOR, gone, name="back")
            else:
                trash.purge_model(s, OPERATOR, gone)
