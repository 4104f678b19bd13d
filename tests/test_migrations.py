"""The migrations: one line of them, and at its end the schema that `registry.tables` describes."""

import re
import warnings
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SAWarning

from registry import schema
from registry.tables import Base

VERSIONS = Path(__file__).parent.parent / "migrations" / "versions"


def test_migrations_are_numbered_without_gaps_and_have_one_head() -> None:
    numbers = sorted(path.name[:4] for path in VERSIONS.glob("*.py"))
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
    assert ScriptDirectory(str(VERSIONS.parent)).get_heads() == [numbers[-1]] == [schema.head()]


def test_migrations_import_nothing_from_the_registry() -> None:
    for path in VERSIONS.glob("*.py"):
        assert not re.search(r"^\s*(from|import) registry", path.read_text(), re.MULTILINE), path.name


def test_from_nothing_to_head_equals_the_tables(database_url: str) -> None:
    engine = create_engine(database_url)
    options = {
        "include_schemas": True,
        "compare_type": True,
        "include_name": lambda name, kind, _: kind != "schema" or name in {"registry", "audit"},
        "include_object": lambda _, name, *__: name != "alembic_version",
    }
    with engine.connect() as connection, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Did not recognize type 'xid8'", SAWarning)
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_constraints_are_called_what_the_tables_call_them(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT conname FROM pg_constraint WHERE contype IN ('p', 'u', 'f', 'c') "
                "AND conname NOT LIKE 'alembic%' AND connamespace IN ('registry'::regnamespace, 'audit'::regnamespace)"
            )
        )
        found = {name for (name,) in rows}
    engine.dispose()
    wanted = {str(constraint.name) for table in Base.metadata.tables.values() for constraint in table.constraints}
    assert found == wanted


def test_there_is_no_way_back() -> None:
    """What the audit log has recorded cannot be unrecorded; going back means restoring a backup."""
    for path in VERSIONS.glob("*.py"):
        assert "def downgrade" not in path.read_text(), path.name
