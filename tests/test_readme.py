"""The examples of the README, executed as they stand there, against a real service."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import environment, service

ROOT = Path(__file__).parent.parent
TOKEN = "mreg_a-token-for-the-readme-0123456789"
MARKED = re.compile(r"<!-- executed by tests/test_readme.py -->\n```(\w+)\n(.*?)```", re.DOTALL)
EXAMPLES = MARKED.findall((ROOT / "README.md").read_text())


@pytest.fixture(scope="module")
def address(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service that knows the token."""
    settings = {"REGISTRY_DATABASE_URL": database_url, "REGISTRY_ADMIN_TOKEN": TOKEN}
    with service(tmp_path_factory.mktemp("readme"), **settings) as running:
        yield f"http://127.0.0.1:{running.port}"


def test_there_are_examples_of_every_way_in() -> None:
    assert [language for language, _ in EXAMPLES] == ["sh", "python", "sh"]


@pytest.mark.parametrize(("language", "text"), EXAMPLES, ids=["command-line", "python", "http"])
def test_an_example_does_what_it_says(language: str, text: str, address: str, tmp_path: Path) -> None:
    commands = tmp_path / "registry"
    commands.write_text(f'#!/bin/sh\nexec {sys.executable} -m registry "$@"\n')
    commands.chmod(0o755)
    env = environment(REGISTRY_URL=address, REGISTRY_TOKEN=TOKEN, PATH=f"{tmp_path}:{os.environ['PATH']}")
    run = [sys.executable, "-c", text] if language == "python" else ["bash", "-euo", "pipefail", "-c", text]

    done = subprocess.run(run, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Error" not in done.stderr
    assert "Production" in done.stdout
