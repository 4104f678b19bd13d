"""What commands print: tables and lists for people, JSON for programs; colour only on a terminal.

Results go to standard output, everything said to people to standard error.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from registry.cli.text import fitted, plain, width

GAP = 2
NARROWEST = 6
RIGID = frozenset({"id", "name", "version", "stage", "state", "role", "production", "staging", "newest", "action"})
"""Columns that say nothing when they are cut; so do times, whose titles end in (UTC)."""
RIGID_UP_TO = 32
STAGE_COLOURS = {"Production": "green", "Staging": "yellow", "Archived": "bright_black"}
# What a terminal takes for commands though JSON allows it in texts.
CONTROLS = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}


def say(line: str = "") -> None:
    """Tell the person at the terminal, or the log of the container, how it goes."""
    click.echo(line, err=True)


def show(line: str) -> None:
    """Print a result."""
    click.echo(line, color=coloured())


def show_json(document: Any) -> None:
    """Print one JSON document."""
    show(json.dumps(document, ensure_ascii=False, indent=2).translate(CONTROLS))


def show_json_line(document: Any) -> None:
    """Print a JSON document as one line of a stream."""
    show(json.dumps(document, ensure_ascii=False).translate(CONTROLS))


def show_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Print rows in columns, cut to the terminal where there is one; say on standard error that there are none."""
    cells = [[plain(cell) for cell in row] for row in rows]
    if not cells:
        say(empty)
        return
    titles = [title.upper() for title in header]
    widths = [max(map(width, column)) for column in zip(titles, *cells, strict=True)]
    shrink(widths, [least(title, columns) for title, columns in zip(header, widths, strict=True)], room())
    show(click.style(line_of(titles, widths), bold=True))
    for row in cells:
        show(line_of(row, widths))


def show_fields(title: str, fields: Mapping[str, str]) -> None:
    """Print one thing, a line for each of its fields that has a value."""
    given = {name: plain(value) for name, value in fields.items() if value}
    indent = max(map(width, given), default=0) + GAP
    show(click.style(plain(title), bold=True))
    for name, value in given.items():
        show(f"  {fitted(name, indent)}{painted(value)}")


def line_of(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Cells side by side."""
    padded = [painted(fitted(cell, room)) for cell, room in zip(cells, widths, strict=True)]
    return (" " * GAP).join(padded).rstrip()


def painted(cell: str) -> str:
    """A cell in the colour of the stage that it names, if it does."""
    colour = STAGE_COLOURS.get(cell.strip())
    return click.style(cell, fg=colour) if colour else cell


def least(title: str, columns: int) -> int:
    """How narrow a column may become."""
    rigid = title in RIGID or title.endswith("(utc)")
    return min(columns, RIGID_UP_TO) if rigid else NARROWEST


def shrink(widths: list[int], floors: Sequence[int], room: int | None) -> None:
    """Take from the widest column that may become narrower until all fit, or nothing more can be taken."""
    while room is not None and sum(widths) + GAP * (len(widths) - 1) > room:
        able = [place for place, floor in enumerate(floors) if widths[place] > floor]
        if not able:
            return
        widths[max(able, key=lambda place: widths[place])] -= 1


def room() -> int | None:
    """How wide the terminal is; None where the output goes elsewhere, and nothing is cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def coloured() -> bool:
    """Whether to use colours. Source: no-color.org."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
