"""`registry export` and `registry import`, as somebody types them."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from registry import schema
from registry.ownership import APP
from tests.bundle.test_reading import parsed, written
from tests.cli.conftest import Done, Run
from tests.cli.running import environment
from tests.conftest import as_role, database, execute
from tests.verification.registries import Registry


class Typed:
    """Commands on a registry that has lived, and on an empty one."""

    def __init__(self, run: Run, registry: Registry, empty: str) -> None:
        self.run = run
        self.registry, self.empty = registry, empty

    def export(self, *words: str | Path, **environ: str) -> Done:
        where = {"REGISTRY_DATABASE_URL": as_role(self.registry.url, APP)}
        return self.run("export", *words, **(where | environ))

    def bring(self, *words: str | Path, **environ: str) -> Done:
        return self.run("import", *words, **({"REGISTRY_DATABASE_URL": self.empty} | environ))


@pytest.fixture
def typed(bare: Run, empty_database_url: str, server_url: str, template_url: str, tmp_path: Path) -> Iterator[Typed]:
    with database(server_url, str(make_url(template_url).database)) as empty:
        registry = Registry(empty_database_url, tmp_path / "sealer")
        registry.live()
        yield Typed(bare, registry, empty)


def test_a_registry_is_moved_by_two_commands_and_a_third_changes_nothing(typed: Typed, tmp_path: Path) -> None:
    file = tmp_path / "bundle"
    done = typed.export(file)
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith(
        "Exported 3 models, 4 versions, 66 events, 65 of them sealed as model-registry/audit; SHA-256 "
    )
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(os.listdir(tmp_path)) == ["bundle", "sealer"]

    done = typed.bring(file)
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("Imported 3 models, 4 versions, 66 events")
    assert "bring the old sealer's directory here" in done.err
    done = typed.bring(file)
    assert done.code == 0
    assert done.err == "All of it is here already, and 1 events have come since. Nothing was changed.\n"

    verified = typed.run(
        "audit", "verify", "--db", REGISTRY_DATABASE_URL=typed.empty, REGISTRY_SEALER_DIR=str(typed.registry.directory)
    )
    assert (verified.code, verified.out.splitlines()[-1].partition(":")[0]) == (0, "VERIFIED")


def test_a_bundle_goes_through_a_pipe(typed: Typed) -> None:
    command = [sys.executable, "-m", "registry"]
    old = environment(REGISTRY_DATABASE_URL=as_role(typed.registry.url, APP))
    new = environment(REGISTRY_DATABASE_URL=typed.empty)
    with subprocess.Popen([*command, "export", "-"], env=old, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as export:
        done = subprocess.run(
            [*command, "import", "-"], env=new, stdin=export.stdout, capture_output=True, text=True, check=False
        )
    assert (export.returncode, done.returncode) == (0, 0), done.stderr
    assert done.stderr.startswith("Imported 3 models")


def test_a_damaged_bundle_is_refused_by_its_line_and_nothing_is_there(typed: Typed, tmp_path: Path) -> None:
    file = tmp_path / "bundle"
    typed.export(file)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines).replace(b"swindle", b"swindel", 1))
    done = typed.bring(file)
    assert done.code == 3
    assert done.err.startswith(f"Error: Line {len(lines)}: the checksum is not that of the lines before it")
    assert done.err.endswith("Nothing was imported or written.\n")
    file.write_bytes(b"".join(lines[:-1]))
    done = typed.bring(file)
    assert (done.code, "the bundle breaks off" in done.err.lower()) == (3, True)
    file.write_bytes(b"".join(lines))
    assert typed.bring(file).err.startswith("Imported")


@pytest.mark.parametrize(
    ("revision", "advice"), [("0001", "then run `registry db upgrade`"), ("9999", "or a newer one")]
)
def test_a_bundle_of_another_schema_is_refused_with_what_to_do(
    typed: Typed, tmp_path: Path, revision: str, advice: str
) -> None:
    file = tmp_path / "bundle"
    typed.export(file)
    lines = parsed(file.read_bytes())
    lines[0]["bundle"] |= {"schema": revision, "release": "7.0"}
    file.write_bytes(written(lines))
    done = typed.bring(file)
    assert done.code == 3
    assert f"the bundle is of schema {revision}, and this registry is at {schema.head()}" in done.err.lower()
    assert "the release that wrote it, 7.0" in done.err
    assert advice in done.err


def test_a_registry_that_is_not_empty_is_a_conflict(typed: Typed, tmp_path: Path) -> None:
    file = tmp_path / "bundle"
    typed.export(file)
    typed.registry.silently("UPDATE registry.aliases SET number = 1 WHERE alias = 'champion'")
    done = typed.bring(file, REGISTRY_DATABASE_URL=typed.registry.url)
    assert done.code == 5
    assert "aliases (model_id=1, alias=champion) has another number in the registry than in line" in done.err


def test_who_may_not_is_told_so(typed: Typed, tmp_path: Path) -> None:
    file = tmp_path / "bundle"
    typed.export(file)
    done = typed.bring(file, REGISTRY_DATABASE_URL=as_role(typed.empty, APP))
    assert (done.code, "The database does not let this user do it" in done.err) == (1, True)
    done = typed.export(tmp_path / "other", REGISTRY_DATABASE_URL=as_role(typed.registry.url, "audit_reader"))
    assert (done.code, "The database does not let this user do it" in done.err) == (1, True)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("words", [("export", "/nowhere/bundle"), ("import", "/nowhere/bundle"), ("import", "/")])
def test_a_file_that_cannot_be_used_is_one_line(typed: Typed, words: tuple[str, str]) -> None:
    done = typed.run(*words, REGISTRY_DATABASE_URL=typed.registry.url)
    assert (done.code, done.err.count("\n")) == (1, 1), done.err


def test_a_file_stays_as_it_is_when_an_export_fails(typed: Typed, tmp_path: Path) -> None:
    file = tmp_path / "bundle"
    file.write_text("the last one")
    typed.registry.silently("UPDATE audit.event SET hash = sha256('x') WHERE id = 3")
    done = typed.export(file)
    assert done.code == 3
    assert "`registry audit verify --db` says more" in done.err
    assert file.read_text() == "the last one"
    assert sorted(os.listdir(tmp_path)) == ["bundle", "sealer"]


def test_tokens_can_be_left_out(typed: Typed, tmp_path: Path) -> None:
    file = tmp_path / "bundle"
    assert typed.export("--without-tokens", file).code == 0
    rows = [json.loads(line)["tokens"] for line in file.read_text().split("\n") if line.startswith('{"tokens"')]
    assert [row["digest"] for row in rows] == [None, None]


def test_a_standby_says_that_it_could_not_put_it_on_record(typed: Typed, tmp_path: Path) -> None:
    name = make_url(typed.registry.url).database
    execute(typed.registry.url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    done = typed.export(tmp_path / "bundle")
    assert (done.code, done.err.splitlines()[0]) == (
        0, "This server takes no writes, so its audit log does not say that the registry was exported.",
    )  # fmt: skip


def test_both_go_around_a_pooler(typed: Typed, tmp_path: Path) -> None:
    """A snapshot and an import need a session of their own."""
    pooled = {"REGISTRY_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x", "REGISTRY_DATABASE_POOLER": "transaction"}
    for words in (("export", tmp_path / "bundle"), ("import", "/nowhere/bundle")):
        done = typed.run(*words, **pooled)
        assert (done.code, "REGISTRY_DIRECT_DATABASE_URL is not set" in done.err) == (1, True)
    direct = as_role(typed.registry.url, APP)
    assert typed.export(tmp_path / "bundle", REGISTRY_DIRECT_DATABASE_URL=direct, **pooled).code == 0
    assert typed.bring(tmp_path / "bundle", REGISTRY_DIRECT_DATABASE_URL=typed.empty, **pooled).code == 0
