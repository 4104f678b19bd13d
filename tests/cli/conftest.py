"""Commands as somebody types them, in this process, against a running service."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from registry.cli import main
from registry.client import Client
from registry.vocabulary import Role
from tests.factories import unique
from tests.live import Live


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


Run = Callable[..., Done]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a login that is not there yet; nothing else says where a registry is."""
    for name in [name for name in os.environ if name.startswith("REGISTRY_") or name == "NO_COLOR"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "model-registry" / "login.json"


@pytest.fixture
def bare(config: Path) -> Run:
    """Runs a command that nobody has told where a registry is."""

    def run(*words: str | int, typed: str | None = None, **environ: str) -> Done:
        ended = CliRunner().invoke(main, [str(word) for word in words], input=typed, env=environ, prog_name="registry")
        assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
        return Done(ended.exit_code, ended.stdout, ended.stderr)

    return run


@pytest.fixture
def run(bare: Run, live: Live, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command as the administrator of the running service."""
    monkeypatch.setenv("REGISTRY_URL", live.url)
    monkeypatch.setenv("REGISTRY_TOKEN", live.tokens[Role.ADMINISTRATOR])
    return bare


@pytest.fixture
def model(run: Run) -> str:
    """A model with two versions, the first of them in Production."""
    name = unique()
    run("register", name)
    run("register", name, "s3://models/1", "--tag", "auc=0.1", "--stage", "production", "--reason", "first release")
    run("register", name, "s3://models/2", "--tag", "auc=0.2", "--description", "better")
    return name


@pytest.fixture
def remote(live: Live) -> Client:
    """A client that may do everything, to look at what commands have done."""
    return live.client()
