"""What is installed, and from what: the wheel, the lock files, the commands of the Makefile."""

import itertools
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
HASHED = ["requirements.lock", "requirements-otel.lock", "requirements-dev.lock"]
LOCKS = [*HASHED, "requirements/mlflow2.lock", "requirements/mlflow3.lock", "requirements/deploy.lock"]


def test_the_list_of_packages_is_complete() -> None:
    ours = {file.parent for file in (ROOT / "registry").rglob("*.py")} | {
        ROOT / "migrations",
        ROOT / "migrations/versions",
    }
    names = {".".join(folder.relative_to(ROOT).parts) for folder in ours}

    expected = {re.sub("^migrations", "registry.migrations", name) for name in names}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == expected


def test_the_wheel_holds_all_that_the_service_needs_and_nothing_beside_it(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77")  # as pyproject.toml says
    source = tmp_path / "source"
    for part in ("registry", "migrations"):
        shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / part, source)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]

    subprocess.run([*build, "--wheel-dir", tmp_path, source], check=True, capture_output=True)

    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if ".dist-info/" not in name}
    wanted = {
        str(file.relative_to(source)).replace("migrations/", "registry/migrations/", 1)
        for folder in ("registry", "migrations")
        for file in (source / folder).rglob("*")
        if file.is_file()
    }
    assert names == wanted


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_everything_and_names_no_place_to_download_from(lock: str) -> None:
    lines = (ROOT / lock).read_text().splitlines()
    requirements = [line for line in lines if re.match(r"[a-z0-9]", line)]

    assert requirements
    assert all(re.match(r"[a-z0-9._-]+==[^ ]+", line) for line in requirements)
    assert not [line for line in lines if "://" in line or line.startswith("-")]


@pytest.mark.parametrize("lock", HASHED)
def test_what_the_service_runs_on_is_pinned_by_hash(lock: str) -> None:
    text = (ROOT / lock).read_text()
    blocks = re.split(r"\n(?=[a-z0-9])", text)[1:]

    assert all("--hash=sha256:" in block for block in blocks)


def test_the_lock_has_every_dependency_that_the_project_declares() -> None:
    declared = PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["embedded"]
    pinned = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))

    assert {re.split(r"[<>=\[]", requirement)[0] for requirement in declared} <= pinned


def pins(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ ]+)", (ROOT / lock).read_text(), re.MULTILINE))


@pytest.mark.parametrize("extra", ["embedded", "otel", "dev"])
def test_the_lock_of_developers_has_every_extra(extra: str) -> None:
    declared = PROJECT["project"]["optional-dependencies"][extra]

    assert {re.split(r"[<>=\[]", requirement)[0] for requirement in declared} <= set(pins("requirements-dev.lock"))


@pytest.mark.parametrize(("small", "large"), [*itertools.pairwise(HASHED)])
def test_locks_agree(small: str, large: str) -> None:
    assert pins(small).items() <= pins(large).items()


def test_make_help_lists_every_command() -> None:
    makefile = (ROOT / "Makefile").read_text()
    [phony] = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)

    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert re.findall(r"^  make ([a-z0-9-]+) ", shown, re.MULTILINE) == phony.split()
