"""Logging in: how the token comes in, where it is kept, who can read it, and to whom it is sent."""

import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

from registry.vocabulary import Role
from tests.cli.conftest import Run
from tests.cli.running import ROOT, environment, free_port
from tests.client.proxy import misbehaving
from tests.live import Live


def test_a_login_is_tried_and_kept_for_nobody_else_to_read(bare: Run, live: Live, config: Path) -> None:
    ended = bare("login", live.url, typed=f"{live.token}\n")

    assert ended.code == 0
    assert "(administrator); kept in" in ended.err
    assert live.token not in ended.out + ended.err
    assert json.loads(config.read_text()) == {"url": live.url, "token": live.token}
    assert config.stat().st_mode & 0o777 == 0o600
    assert config.parent.stat().st_mode & 0o777 == 0o700
    assert bare("whoami").out.endswith(f"(administrator) at {live.url}\n")


def test_a_wrong_token_changes_nothing(bare: Run, live: Live, config: Path) -> None:
    bare("login", live.url, typed=f"{live.token}\n")
    before = config.read_text()

    assert bare("login", live.url, typed="wrong\n").code == 3
    assert bare("login", live.url, typed="wr ong\n").code == 2
    assert bare("login", f"http://127.0.0.1:{free_port()}", typed=f"{live.token}\n").code == 6
    assert config.read_text() == before
    assert [file.name for file in config.parent.iterdir()] == [config.name]


def test_another_login_takes_its_place(bare: Run, live: Live) -> None:
    bare("login", live.url, typed=f"{live.token}\n")
    bare("login", live.url, typed=f"{live.tokens[Role.VIEWER]}\n")

    assert "(viewer)" in bare("whoami").out


def test_logging_out_forgets_it(bare: Run, live: Live, config: Path) -> None:
    bare("login", live.url, typed=f"{live.token}\n")

    assert bare("logout").err == "Logged out.\n"
    assert not config.exists()
    assert bare("logout").err == "There was no login.\n"


def test_the_environment_goes_before_the_login_and_an_option_before_both(bare: Run, live: Live) -> None:
    bare("login", live.url, typed=f"{live.token}\n")
    nowhere = f"http://127.0.0.1:{free_port()}"

    assert "(viewer)" in bare("whoami", REGISTRY_TOKEN=live.tokens[Role.VIEWER]).out
    assert bare("whoami", REGISTRY_URL=nowhere).code == 6
    assert bare("whoami", "--url", nowhere, REGISTRY_URL=live.url).code == 6
    assert "(viewer)" in bare("whoami", "--url", live.url, REGISTRY_TOKEN=live.tokens[Role.VIEWER]).out


def test_the_kept_token_goes_to_no_other_address(bare: Run, live: Live) -> None:
    bare("login", live.url, typed=f"{live.token}\n")

    with misbehaving(live.service.port) as other:
        assert bare("whoami", "--url", other.url).code == 3
        assert bare("whoami", REGISTRY_URL=other.url).code == 3

    assert other.sent("Authorization") == [None, None]


@pytest.mark.parametrize("content", ["", "[]", "{}", "null x", '{"url": "http://x"}'])
def test_a_broken_login_is_one_line(bare: Run, config: Path, content: str) -> None:
    config.parent.mkdir(parents=True)
    config.write_text(content)

    ended = bare("whoami")

    assert ended.code == 1
    assert ended.err == f"Error: {config} does not hold a login: run `registry login` again.\n"


def test_a_directory_that_cannot_be_made_is_one_line(bare: Run, live: Live, config: Path) -> None:
    config.parent.parent.write_text("in the way")

    ended = bare("login", live.url, typed=f"{live.token}\n")

    assert ended.code == 1
    assert ended.err.startswith(f"Error: The login cannot be kept in {config}")


def test_a_token_that_is_typed_is_not_shown(live: Live, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "registry", "login", live.url],
        env=environment(XDG_CONFIG_HOME=str(tmp_path)),
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        screen = read_until(ours, b"Token:")
        os.write(ours, live.token.encode() + b"\n")
        screen += read_until(ours, b"Logged in")
        assert process.wait(30) == 0
    os.close(ours)

    assert live.token.encode() not in screen


def read_until(terminal: int, wanted: bytes) -> bytes:
    """What a terminal shows until something comes."""
    seen = b""
    while wanted not in seen:
        assert select.select([terminal], [], [], 30)[0], seen
        seen += os.read(terminal, 4096)
    return seen
