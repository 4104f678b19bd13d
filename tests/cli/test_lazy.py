"""The list of commands: complete, and quick because it imports none of them."""

import json
import subprocess
import sys

import click
import pytest

from registry.cli import COMMANDS, main
from tests.cli.conftest import Run
from tests.cli.running import ROOT, environment
from tests.client.test_imports import HEAVY
from tests.live import Live

NAMES = [name for section in COMMANDS.values() for name in section]


def imported_by(*words: str, **settings: str) -> set[str]:
    """The packages that a command has brought into memory by its end."""
    script = (
        "import json, sys\n"
        "from registry.cli import main\n"
        f"main({list(words)!r}, standalone_mode=False)\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(**settings),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(ran.stdout.splitlines()[-1]))


@pytest.mark.parametrize("words", [("models",), ("whoami",), ("audit", "--limit", "1"), ("promote", "--help")])
def test_a_command_that_asks_a_service_imports_nothing_of_one(live: Live, words: tuple[str, ...]) -> None:
    assert not imported_by(*words, REGISTRY_URL=live.url, REGISTRY_TOKEN=live.token) & HEAVY


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("completion", "zsh"), ("token", "--help")])
def test_help_imports_nothing_of_the_service(words: tuple[str, ...]) -> None:
    assert not imported_by(*words) & HEAVY


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_that_of_a_command(name: str) -> None:
    command = main.get_command(click.Context(main), name)

    assert command is not None
    assert command.name == name


@pytest.mark.parametrize("name", NAMES)
def test_each_command_explains_itself(bare: Run, name: str) -> None:
    ended = bare(name, "--help")

    assert ended.code == 0
    assert ended.out.startswith(f"Usage: registry {name}")


def test_the_help_lists_all_commands(bare: Run) -> None:
    helped = bare("--help").out

    assert all(f"\n  {name} " in helped for name in NAMES)
