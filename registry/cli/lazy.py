"""The group of all commands. It knows their names and what they are for, and imports one only when it is used."""

import io
import sys
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from registry.cli.faults import in_words

Table = dict[str, dict[str, tuple[str, str]]]
"""Sections of the help; in each, for each command, where it is (`module:name`) and what it is for."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used, and end in words."""

    def __init__(self, *args: Any, table: Table, **options: Any) -> None:
        super().__init__(*args, **options)
        self.table = table
        self.known = {name: entry for section in table.values() for name, entry in section.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the help."""
        return list(self.known)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in self.known:
            return None
        module, _, name = self.known[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help's list of commands without importing any."""
        for title, section in self.table.items():
            with formatter.section(title):
                formatter.write_dl([(name, purpose) for name, (_, purpose) in section.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of commands without importing any."""
        names = [CompletionItem(name, help=self.known[name][1]) for name in self.known if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # where the terminal's encoding lacks a character
        with in_words():
            return super().invoke(ctx)
