"""How commands end: exit codes that mean something to scripts, and one or two lines for people instead of a traceback.

0 done · 1 fault of the service, or an answer that makes no sense · 2 wrong use · 3 refused: bad input, not
authenticated, not allowed · 4 not found · 5 conflict · 6 unreachable · 130 Ctrl-C
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from registry import errors
from registry.cli.text import plain
from registry.client import errors as answers
from registry.client.errors import ServiceError

FAULT, WRONG_USE, REFUSED, NOT_FOUND, CONFLICT, UNREACHABLE = 1, 2, 3, 4, 5, 6
INTERRUPTED = 130
PIPE_CLOSED = 141
"""What a shell reports for a program that SIGPIPE has ended."""

EXIT_CODES: dict[type[Exception], int] = {
    answers.Unreachable: UNREACHABLE,
    answers.Unavailable: UNREACHABLE,
    answers.NotFound: NOT_FOUND,
    answers.Conflict: CONFLICT,
    answers.PreconditionFailed: CONFLICT,
    answers.Invalid: REFUSED,
    answers.Unauthenticated: REFUSED,
    answers.Forbidden: REFUSED,
    # the same from the rules themselves, for commands that work on the database
    errors.Unavailable: UNREACHABLE,
    errors.NotFound: NOT_FOUND,
    errors.AlreadyExists: CONFLICT,
    errors.Conflict: CONFLICT,
    errors.Invalid: REFUSED,
    errors.Unauthenticated: REFUSED,
    errors.Forbidden: REFUSED,
}


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
    except (ServiceError, errors.RegistryError) as error:
        raise Failure(told(error), exit_code_of(error)) from error
    except UnicodeEncodeError as error:  # an argument or a file's name that is no UTF-8
        raise Failure("Some of what was given is not text in UTF-8.", WRONG_USE) from error
    except (KeyboardInterrupt, click.Abort):
        click.echo(err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        # What Python would still write at its end goes nowhere, silently.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(PIPE_CLOSED) from None


def told(error: ServiceError | errors.RegistryError) -> str:
    """What to say: the service's words, and what its operator needs to find the request."""
    if isinstance(error, errors.RegistryError) or not error.request_id:
        return str(error)
    return f"{error.detail}\n(request {error.request_id})"


def exit_code_of(error: Exception) -> int:
    """The exit code for a kind of error, that of the nearest class that has one."""
    return next((EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES), FAULT)
