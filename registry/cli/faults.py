"""How commands end: exit codes that mean something to scripts, and one or two lines for people instead of a traceback.

0 done · 1 fault of the service, or an answer that makes no sense · 2 wrong use · 3 refused: bad input, not
authenticated, not allowed · 4 not found · 5 conflict · 6 unreachable · 130 Ctrl-C
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from registry.cli.text import plain

FAULT, WRONG_USE, REFUSED, NOT_FOUND, CONFLICT, UNREACHABLE = 1, 2, 3, 4, 5, 6
INTERRUPTED = 130
PIPE_CLOSED = 141
"""What a shell reports for a program that SIGPIPE has ended."""


class Failure(click.ClickException):
    """A command that ends with a message and an exit code."""

    def __init__(self, message: str, exit_code: int = FAULT) -> None:
        super().__init__("\n".join(plain(line) for line in message.splitlines()))
        self.exit_code = exit_code  # type: ignore[misc]


@contextmanager
def in_words() -> Iterator[None]:
    """Let everything that can be expected to go wrong end the command in words."""
    try:
        yield
    except UnicodeEncodeError as error:  # an argument or a file's name that is no UTF-8
        raise Failure("Some of what was given is not text in UTF-8.", WRONG_USE) from error
    except (KeyboardInterrupt, click.Abort):
        click.echo(err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        # What Python would still write at its end goes nowhere, silently.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(PIPE_CLOSED) from None
    except Exception as error:
        from registry.cli import refusals  # noqa: PLC0415 (brings the client, which the sealer does without)

        refusal = refusals.of(error)
        if refusal is None:
            raise
        raise refusal from error
