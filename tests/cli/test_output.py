"""How things look: columns by the width of characters, nothing that steers a terminal, colour only where it belongs."""

import json
import os
import pty
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from fcntl import ioctl
from termios import TIOCSWINSZ

import pytest

from registry.cli.output import least, show_json, show_table, shrink
from registry.cli.text import fitted, plain, width
from tests.cli.conftest import Run
from tests.cli.running import ROOT, environment
from tests.live import Live


@pytest.mark.parametrize(
    ("text", "columns"), [("", 0), ("Churn", 5), ("Größe", 5), ("梯度", 4), ("e\u0301", 1), ("\uff57", 2), ("😀", 2)]
)
def test_width_is_counted_in_columns(text: str, columns: int) -> None:
    assert width(text) == columns


@pytest.mark.parametrize(
    ("text", "room", "shown"),
    [("abc", 5, "abc  "), ("abcdef", 4, "abc…"), ("梯度提升", 6, "梯度… "), ("梯度", 4, "梯度"), ("abc", 1, "…")],
)
def test_a_text_is_made_to_fit(text: str, room: int, shown: str) -> None:
    assert fitted(text, room) == shown
    assert width(shown) == room


def test_what_could_steer_a_terminal_is_taken_out() -> None:
    assert plain("a\x1b[31mb\n\tc\x9b2J\u202ed") == "a\ufffd[31mb c\ufffd2J\ufffdd"


def test_json_keeps_every_character_but_shows_no_control(capsys: pytest.CaptureFixture[str]) -> None:
    show_json({"text": "Größe\x9b\x1b\x7f"})

    assert capsys.readouterr().out == '{\n  "text": "Größe\\u009b\\u001b\\u007f"\n}\n'


def test_columns_give_way_where_they_are_widest() -> None:
    widths = [4, 30, 20, 30]
    shrink(widths, [6, 6, 6, 30], None)
    assert widths == [4, 30, 20, 30]
    shrink(widths, [6, 6, 6, 30], 70)
    assert widths == [4, 15, 15, 30]
    shrink(widths, [6, 6, 6, 30], 1)
    assert widths == [4, 6, 6, 30]


def test_numbers_stages_and_times_are_not_cut_and_names_only_when_they_are_long() -> None:
    assert least("stage", 10) == 10
    assert least("since (utc)", 19) == 19
    assert least("name", 200) == 32
    assert least("description", 200) == 6


def test_nothing_is_cut_where_the_output_goes_to_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("a", "b"), [("x" * 300, "Production")], empty="")

    assert capsys.readouterr().out == f"{'A'.ljust(300)}  B\n{'x' * 300}  Production\n"


def on_terminal(live: Live, *words: str, **environ: str) -> str:
    """What a terminal of 80 columns shows of a command."""
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    env = environment(REGISTRY_URL=live.url, REGISTRY_TOKEN=live.token, TERM="xterm", **environ)
    env = {name: value for name, value in env.items() if name not in {"COLUMNS", "LINES"}}
    command = [sys.executable, "-m", "registry", *words]
    with subprocess.Popen(command, env=env, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b"".join(read_all(ours))
        assert process.wait(30) == 0
    os.close(ours)
    return shown.decode()


def read_all(terminal: int) -> Iterator[bytes]:
    """What a terminal shows, until nobody is left to write to it."""
    with suppress(OSError):
        while part := os.read(terminal, 4096):
            yield part


def test_a_terminal_gets_colours_and_lines_that_fit(live: Live, model: str) -> None:
    shown = on_terminal(live, "history", model)

    assert "\x1b[32mProduction" in shown
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).split("\r\n")
    assert all(width(line) <= 80 for line in lines)
    assert "now" in shown
    assert "…" in shown


def test_who_wants_no_colours_gets_none(live: Live, model: str) -> None:
    assert "\x1b" not in on_terminal(live, "history", model, NO_COLOR="1")


def test_what_is_no_terminal_gets_no_colours(run: Run, model: str) -> None:
    assert "\x1b" not in run("history", model).out


def test_what_an_encoding_lacks_is_written_out(live: Live, model: str) -> None:
    environ = environment(REGISTRY_URL=live.url, REGISTRY_TOKEN=live.token, PYTHONIOENCODING="latin-1")
    command = [
        sys.executable,
        "-m",
        "registry",
        "register",
        model,
        "s3://models/3",
        "--description",
        "Größe 梯度",
        "--json",
    ]

    ended = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, check=True)

    assert json.loads(ended.stdout.decode("latin-1"))["description"] == "Größe 梯度"
