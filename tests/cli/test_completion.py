"""Completion: the script that a shell reads, and what it then offers."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.running import ROOT, environment, free_port
from tests.live import Live


@pytest.mark.parametrize(("shell", "telling"), [("bash", "complete -o"), ("zsh", "compdef"), ("fish", "complete --")])
def test_each_shell_has_a_script(bare: Run, shell: str, telling: str) -> None:
    ended = bare("completion", shell)

    assert ended.code == 0
    assert telling in ended.out


def offered(words: str, tmp_path: Path, **settings: str) -> list[str]:
    """What bash offers after these words."""
    if not shutil.which("bash"):
        pytest.skip("needs bash")
    command = tmp_path / "registry"
    command.write_text(f'#!/bin/sh\nexec "{os.sys.executable}" -m registry "$@"\n')  # type: ignore[attr-defined]
    command.chmod(0o755)
    count = len(words.split(" ")) - 1
    script = f"""
        eval "$(registry completion bash)"
        COMP_WORDS=({words.rstrip()}{' ""' if words.endswith(" ") else ""})
        COMP_CWORD={count}
        _registry_completion registry
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    env = environment(**settings)
    env["PATH"] = f"{tmp_path}:{env['PATH']}"
    ran = subprocess.run(["bash", "-c", script], env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    return ran.stdout.split()


def test_commands_options_and_stages_are_completed(tmp_path: Path) -> None:
    assert offered("registry pro", tmp_path) == ["promote"]
    assert offered("registry promote X 1 --arch", tmp_path) == ["--archive-existing"]
    assert offered("registry promote X 1 --to pr", tmp_path) == ["Production"]


def test_names_of_models_are_completed_by_the_registry(live: Live, model: str, tmp_path: Path) -> None:
    where = {"REGISTRY_URL": live.url, "REGISTRY_TOKEN": live.token}

    assert offered(f"registry versions {model[:-2]}", tmp_path, **where) == [model]


def test_completion_is_silent_where_no_registry_answers(tmp_path: Path) -> None:
    assert offered("registry versions Ch", tmp_path, REGISTRY_URL=f"http://127.0.0.1:{free_port()}") == []
