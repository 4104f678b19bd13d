"""The schema's revision: upgraded by one at a time, on record, and refused with one line where it does not fit."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from registry import schema
from registry.schema import SchemaError
from tests.conftest import database, execute

MIGRATION = '''
from alembic import op
revision = "{revision}"
down_revision = {down}
def upgrade():
    op.execute("""{sql}""")
'''


@pytest.fixture
def fresh_url(server_url: str) -> Iterator[str]:
    """A database that no other test has seen, without anything in it."""
    with database(server_url) as url:
        yield url


@pytest.fixture
def migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Puts migrations of a test's own in the place of the registry's."""
    shutil.copy(schema.migrations_dir() / "env.py", tmp_path)
    shutil.copy(schema.migrations_dir() / "script.py.mako", tmp_path)
    (tmp_path / "versions").mkdir()
    monkeypatch.setattr(schema, "migrations_dir", lambda: tmp_path)
    schema.revisions.cache_clear()

    def write(*statements: str) -> None:
        for number, sql in enumerate(statements, start=1):
            down = repr(f"t{number - 1}") if number > 1 else None
            file = tmp_path / "versions" / f"t{number}.py"
            file.write_text(MIGRATION.format(revision=f"t{number}", down=down, sql=sql))

    yield write
    schema.revisions.cache_clear()


def value(url: str, question: str) -> object:
    """One value from the database."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return connection.scalar(text(question))


def test_a_database_is_installed_once_and_then_left_alone(fresh_url: str) -> None:
    steps: list[str] = []

    assert schema.current(fresh_url) is None
    schema.upgrade(fresh_url, say=steps.append)
    schema.upgrade(fresh_url, say=steps.append)

    assert schema.current(fresh_url) == schema.head() == steps[-1].split()[0]
    assert len(steps) == len(set(steps))
    assert schema.check(fresh_url) == []


def test_upgrades_at_the_same_time_take_turns(fresh_url: str) -> None:
    command = [sys.executable, "-m", "registry", "db", "upgrade"]
    environ = os.environ | {"REGISTRY_DATABASE_URL": fresh_url}

    processes = [subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    said = [process.communicate(timeout=60)[1] for process in processes]

    assert [process.returncode for process in processes] == [0] * 4, said
    assert sum("0001 " in words for words in said) == 1
    assert schema.check(fresh_url) == []


def test_a_migration_tells_the_database_who_acts(fresh_url: str, migrations: Callable[..., None]) -> None:
    migrations(
        "CREATE TABLE noted AS SELECT current_setting('app.actor') actor, current_setting('app.request_id') request",
        "INSERT INTO noted SELECT current_setting('app.actor'), current_setting('app.request_id')",
    )

    schema.upgrade(fresh_url)

    assert value(fresh_url, "SELECT string_agg(actor, ' ' ORDER BY actor) FROM noted") == "migration:t1 migration:t2"
    assert value(fresh_url, "SELECT count(DISTINCT request) FROM noted WHERE request <> ''") == 2


def test_a_failed_migration_keeps_those_before_it_and_says_so_in_one_line(
    fresh_url: str, migrations: Callable[..., None]
) -> None:
    migrations("CREATE TABLE one (x int)", "CREATE TABLE two (x int); SELECT 1/0")

    with pytest.raises(SchemaError, match=r"division by zero.*nothing is half done") as failed:
        schema.upgrade(fresh_url)

    assert "\n" not in str(failed.value)
    assert schema.current(fresh_url) == "t1"
    assert value(fresh_url, "SELECT to_regclass('two') IS NULL") is True


def test_a_migration_gives_up_rather_than_hold_up_everybody(fresh_url: str, migrations: Callable[..., None]) -> None:
    execute(fresh_url, "CREATE TABLE busy (x int)")
    migrations("SELECT 1", "SET LOCAL lock_timeout = '100ms'; ALTER TABLE busy ADD y int")

    with create_engine(fresh_url, poolclass=NullPool).begin() as connection:
        connection.execute(text("LOCK TABLE busy"))
        with pytest.raises(SchemaError, match="blocks it; nothing is half done: try again"):
            schema.upgrade(fresh_url)


def test_lock_and_statement_timeouts_are_set(fresh_url: str, migrations: Callable[..., None]) -> None:
    migrations("CREATE TABLE noted AS SELECT current_setting('lock_timeout') l, current_setting('statement_timeout') s")

    schema.upgrade(fresh_url)

    assert value(fresh_url, "SELECT l || ' ' || s FROM noted") == "5s 30min"


def test_a_database_without_the_registry_is_told_how_to_get_it(fresh_url: str) -> None:
    assert schema.check(fresh_url) == ["The registry is not installed in this database yet: run `registry db upgrade`."]


def test_a_database_behind_the_code_is_told_how_to_catch_up(fresh_url: str, migrations: Callable[..., None]) -> None:
    migrations("SELECT 1")
    schema.upgrade(fresh_url)
    migrations("SELECT 1", "SELECT 1")
    schema.revisions.cache_clear()

    assert schema.check(fresh_url) == ["The database is at revision t1, the code needs t2: run `registry db upgrade`."]


def test_a_database_ahead_of_the_code_is_not_touched(fresh_url: str) -> None:
    schema.upgrade(fresh_url)
    execute(fresh_url, "UPDATE registry.alembic_version SET version_num = '9999'")

    assert "install the newer version" in schema.check(fresh_url)[0]
    with pytest.raises(SchemaError, match="install the newer version"):
        schema.upgrade(fresh_url)


def test_a_server_too_old_is_refused(fresh_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "MINIMUM_SERVER", 99)

    with pytest.raises(SchemaError, match=r"The database is PostgreSQL [\d.]+.*needs 99 or newer: upgrade the server"):
        schema.upgrade(fresh_url)
    assert schema.current(fresh_url) is None


def test_a_database_of_another_encoding_is_refused(server_url: str) -> None:
    name = "registry_test_ascii"
    execute(server_url, f"DROP DATABASE IF EXISTS {name}")
    execute(server_url, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    try:
        url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
        assert "stores text as SQL_ASCII" in schema.check(url)[0]
    finally:
        execute(server_url, f"DROP DATABASE {name}")


def test_a_user_who_may_not_create_schemas_is_told_so(server_url: str, fresh_url: str) -> None:
    execute(server_url, "DROP ROLE IF EXISTS registry_test_guest")
    execute(server_url, "CREATE ROLE registry_test_guest")
    execute(fresh_url, "REVOKE ALL ON DATABASE " + str(make_url(fresh_url).database) + " FROM PUBLIC")
    execute(fresh_url, f"GRANT CONNECT ON DATABASE {make_url(fresh_url).database} TO registry_test_guest")
    try:
        guest = make_url(fresh_url).update_query_dict({"options": "-c role=registry_test_guest"})
        with pytest.raises(SchemaError, match="needs a database user that may create schemas"):
            schema.upgrade(guest.render_as_string(hide_password=False))
    finally:
        execute(fresh_url, f"REVOKE ALL ON DATABASE {make_url(fresh_url).database} FROM registry_test_guest")
        execute(server_url, "DROP ROLE registry_test_guest")


@pytest.mark.parametrize(
    ("url", "telling"),
    [
        ("postgresql+psycopg2://u:hush@127.0.0.1:1/x", "The database x on 127.0.0.1:1 cannot be reached"),
        ("postgresql+psycopg2://u:hush@/x?host=/no/such/place", "on /no/such/place cannot be reached"),
        ("postgresql+psycopg2://u:hush@/x?host=127.0.0.1%3A1&host=127.0.0.1%3A2", "on 127.0.0.1:1, 127.0.0.1:2 cannot"),
    ],
)
def test_an_unreachable_database_is_named_without_its_password(url: str, telling: str) -> None:
    [problem] = schema.check(url)

    assert telling in problem
    assert "REGISTRY_DATABASE_URL" in problem
    assert "hush" not in problem
    assert "\n" not in problem
