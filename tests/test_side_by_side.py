"""Two releases serve one database while an update is under way; one that would not work there says so."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from registry import migrating, schema
from registry.client import Client
from registry.schema import SchemaError
from tests.cli.running import ROOT, environment, service
from tests.conftest import database

NEXT = "9999"
TOKEN = "a-token-for-two-releases-0123456789"
MIGRATION = """
from alembic import op
revision = "{revision}"
down_revision = "{before}"
branch_labels = depends_on = None
{serves}
def upgrade():
    op.execute("ALTER TABLE registry.registered_models ADD COLUMN colour text")
"""
Release = Callable[[str], Path]


@pytest.fixture
def next_release(tmp_path: Path) -> Release:
    """Makes a copy of the code with one migration more, which has this line of its own."""

    def make(serves: str) -> Path:
        newer = tmp_path / "newer"
        for part in ("registry", "migrations"):
            shutil.copytree(ROOT / part, newer / part, ignore=shutil.ignore_patterns("__pycache__"))
        migration = MIGRATION.format(revision=NEXT, before=schema.head(), serves=serves)
        (newer / "migrations" / "versions" / f"{NEXT}_next.py").write_text(migration)
        return newer

    return make


@pytest.fixture
def url(server_url: str) -> Iterator[str]:
    with database(server_url) as fresh:
        schema.upgrade(fresh)
        yield fresh


def upgrade(release: Path, url: str) -> None:
    """Upgrade the database with another release."""
    env = environment(REGISTRY_DATABASE_URL=url, PYTHONPATH=str(release))
    ran = subprocess.run(
        [sys.executable, "-m", "registry", "db", "upgrade"], cwd=release, env=env, capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert schema.current(url) == NEXT


def note_of(url: str) -> object:
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return connection.scalar(text("SELECT obj_description('registry.alembic_version'::regclass, 'pg_class')"))


def test_both_releases_serve_while_the_update_is_under_way(url: str, next_release: Release, tmp_path: Path) -> None:
    newer = next_release(f'serves = "{schema.head()}"')
    settings = {"REGISTRY_DATABASE_URL": url, "REGISTRY_ADMIN_TOKEN": TOKEN, "REGISTRY_SEALER": "off"}
    start_newer = f"import sys; sys.path.insert(0, {str(newer)!r}); from registry.cli import main; main(['serve'])"

    with service(tmp_path, **settings) as old:
        before = Client(f"http://127.0.0.1:{old.port}", TOKEN)
        before.register_model("Churn")
        with ThreadPoolExecutor(1) as pool:
            made = pool.submit(lambda: [before.register_version("Churn", "s3://b/old").version for _ in range(60)])
            upgrade(newer, url)
            numbers = made.result()
        with service(tmp_path, "-c", start_newer, **settings) as new:
            after = Client(f"http://127.0.0.1:{new.port}", TOKEN)
            assert [running.get("/readyz")[0] for running in (old, new)] == [200, 200]
            numbers += [each.register_version("Churn", "s3://b/both").version for each in (after, before, after)]
            after.transition("Churn", 1, "Production")
            assert before.resolve("models:/Churn/Production").version == 1

    assert numbers == [*range(1, 64)]


def test_the_release_before_finds_nothing_to_upgrade_and_may_start(url: str, next_release: Release) -> None:
    upgrade(next_release(f'serves = "{schema.head()}"'), url)

    schema.upgrade(url)

    assert schema.check(url) == []
    assert schema.current(url) == NEXT


@pytest.mark.parametrize("serves", ["", f'serves = "{NEXT}"'])
def test_where_a_migration_does_not_say_that_older_code_works_it_does_not_start(
    url: str, next_release: Release, serves: str
) -> None:
    upgrade(next_release(serves), url)

    [problem] = schema.check(url)
    assert "does not know: install the newer version" in problem
    with pytest.raises(SchemaError, match="does not know"):
        schema.upgrade(url)


def test_a_release_from_before_the_oldest_that_is_served_does_not_start(
    url: str, next_release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(next_release(f'serves = "{schema.head()}"'), url)
    monkeypatch.setattr(schema, "head", lambda: "0001")

    assert len(schema.check(url)) == 1


def test_every_upgrade_leaves_its_note(url: str) -> None:
    assert note_of(url) == f"{schema.head()} serves {max(said().values())}"


def said() -> dict[str, str]:
    """From which revision on code works after each migration, by what they say themselves."""
    revisions = migrating.scripts().walk_revisions()
    return {each.revision: getattr(each.module, "serves", each.revision) for each in revisions}


def test_each_migration_since_there_are_notes_says_which_code_it_serves() -> None:
    expected = {"0010": "0009", "0011": "0010", "0012": "0012", "0013": "0012"}
    assert {revision: serves for revision, serves in said().items() if revision in expected} == expected
    silent = [each.revision for each in migrating.scripts().walk_revisions() if not hasattr(each.module, "serves")]
    assert max(silent) == "0009"


def test_code_from_before_issuers_goes_on_making_principals(url: str) -> None:
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.execute(text("SELECT set_config('app.actor', 'a', true), set_config('app.request_id', 'r', true)"))
        connection.execute(text("INSERT INTO registry.principals (name) VALUES ('ada'), ('bob')"))
        events = connection.scalars(text("SELECT action FROM audit.event WHERE object LIKE 'principal:%'")).all()
    assert events == ["principal.create"] * 2


def test_the_template_of_a_migration_asks_which_code_it_serves() -> None:
    template = (ROOT / "migrations" / "script.py.mako").read_text()
    assert re.search(r"^serves = \$\{repr\(down_revision\)\}$", template, re.MULTILINE)
