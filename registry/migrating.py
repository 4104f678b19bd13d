"""Alembic, which runs the migrations. Only an upgrade that has any to run loads it."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from alembic import op
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from registry import schema, side_by_side

Say = Callable[[str], object]


def config() -> Config:
    """Alembic's settings."""
    made = Config()
    made.set_main_option("script_location", str(schema.migrations_dir()).replace("%", "%%"))
    return made


def scripts() -> ScriptDirectory:
    """The migrations."""
    return ScriptDirectory.from_config(config())


def migrate(connection: Connection, say: Say) -> None:
    """Run migrations/env.py, as `alembic upgrade head` does, with each step announced to us and to the audit log."""
    migrations, settings = scripts(), config()
    settings.attributes["connection"] = connection

    def steps(revision: str, _: MigrationContext) -> list[RevisionStep]:
        return [_announced(step, say) for step in migrations._upgrade_revs("head", revision)]

    with EnvironmentContext(settings, migrations, fn=steps):
        migrations.run_env()


def _announced(step: RevisionStep, say: Say) -> RevisionStep:
    """Have a step tell the database who acts: what it does to audited tables is then on record like any change."""
    migrate, revision = step.migration_fn, step.revision.revision

    def run(**options: Any) -> None:
        say(f"{revision} {step.doc}".rstrip(" ."))
        for name, value in {"app.actor": f"migration:{revision}", "app.request_id": uuid4().hex}.items():
            op.get_bind().execute(text("SELECT set_config(:name, :value, true)"), {"name": name, "value": value})
        migrate(**options)
        note(op.get_bind(), revision, getattr(step.revision.module, "serves", revision))

    step.migration_fn = run
    return step


def note(connection: Connection, revision: str, served: str) -> None:
    """Leave the note for the release before (registry/side_by_side.py)."""
    before = connection.exec_driver_sql(side_by_side.NOTE).scalar()
    connection.exec_driver_sql(side_by_side.writing(before, revision, served))
