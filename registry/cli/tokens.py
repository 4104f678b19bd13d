"""`registry token`: making, listing and revoking tokens, of a running registry or in its database.

The database is asked where no registry is named (by --url, REGISTRY_URL or a stored login): the first token has to come
from somewhere. Who can write to the database needs no other permission.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from registry.cli import logins
from registry.cli.connection import connect, json_option, url_option
from registry.cli.kinds import NUMBER, STAGE
from registry.cli.output import say, show, show_json, show_table
from registry.cli.text import stamp, when
from registry.client import Client, IssuedToken, Token
from registry.vocabulary import Role

if TYPE_CHECKING:
    from registry.cli.tokens_in_database import TokensInDatabase

HEADER = ("id", "name", "role", "only for", "state", "last used (utc)", "description")


def with_tokens(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say where its tokens are."""
    database_option = click.option("--database", is_flag=True, help="In the database of a registry, as its operator.")
    return url_option(database_option(command))


@contextmanager
def keeper(url: str | None, *, database: bool) -> Iterator["Client | TokensInDatabase"]:
    """Who keeps the tokens: the service that is named, or the database."""
    if url and database:
        raise click.UsageError("--url goes without --database.")
    if database or not (url or os.environ.get("REGISTRY_URL") or logins.read()):
        from registry.cli.tokens_in_database import TokensInDatabase  # noqa: PLC0415 (imports all of the service)

        yield TokensInDatabase()
        say("(on the database itself, as its operator)")
        return
    with connect(url) as client:
        say(f"(on the registry at {client.url})")
        yield client


@click.group()
def token() -> None:
    """Make, list and revoke tokens, of the registry you speak to or, without one, in the database itself."""


@token.command()
@click.option("--name", required=True, help="Whom it is for: a person or a program. The audit log names it.")
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.VIEWER.value, show_default=True)
@click.option("--model", "models", multiple=True, help="Only for models of this name or pattern (churn-*); repeatable.")
@click.option("--stage", "stages", type=STAGE, multiple=True, help="Only for moves to this stage; may be repeated.")
@click.option("--with-grant", is_flag=True, help="Grant the role over all models also to one who is there already.")
@click.option("--description", help="What it is used for.")
@click.option("--expires-in-days", type=click.IntRange(1, 3650), help="Without it as long as the service says.")
@json_option
@with_tokens
def create(
    name: str,
    role: str,
    models: tuple[str, ...],
    stages: tuple[str, ...],
    description: str | None,
    expires_in_days: int | None,
    url: str | None,
    *,
    with_grant: bool,
    database: bool,
    as_json: bool,
) -> None:
    """Make a token and print it, and nothing else, on standard output. It is not shown again."""
    expires_at = datetime.now(UTC) + timedelta(days=expires_in_days) if expires_in_days else None
    with keeper(url, database=database) as tokens:
        made = tokens.create_token(
            name,
            role,
            models=models or None,
            stages=stages or None,
            description=description,
            expires_at=expires_at,
            with_grant=with_grant,
        )
    until = f"until {made.expires_at:%Y-%m-%d}" if made.expires_at else "until revoked"
    say(granted(made))
    say(f"Token {made.id} for {made.name}, {made.role}, {until}; it is not shown again:")
    show_json(made.document) if as_json else show(made.secret)


def granted(made: IssuedToken) -> str:
    """Say what the holder of a new token may do by it."""
    if made.grant_id is not None:
        return f"Grant {made.grant_id} gives {made.name} the role {made.role} over all models."
    return f"It lets {made.name} do what it is granted (registry grant list --principal), as far as {made.role} goes."


@token.command("list")
@json_option
@with_tokens
def list_(url: str | None, *, database: bool, as_json: bool) -> None:
    """Print all tokens, without their secrets."""
    with keeper(url, database=database) as tokens:
        found = list(tokens.tokens())
    if as_json:
        show_json([one.document for one in found])
    else:
        show_table(HEADER, map(row, found), empty="No tokens.")


@token.command()
@click.argument("token_id", metavar="ID", type=NUMBER)
@with_tokens
def revoke(token_id: int, url: str | None, *, database: bool) -> None:
    """Make the token with this ID useless, at once and for good."""
    with keeper(url, database=database) as tokens:
        tokens.revoke_token(token_id)
    say(f"Token {token_id} is revoked.")


def row(one: Token) -> tuple[str, ...]:
    """A token as the cells of its line."""
    return (
        str(one.id),
        one.name,
        one.role,
        narrowed(one),
        state(one),
        stamp(one.last_used_at),
        one.description or "",
    )


def narrowed(one: Token) -> str:
    """Say what else than by its role a token is narrowed."""
    return ", ".join([*(one.models or ()), *(f"to {stage}" for stage in one.stages or ())])


def state(one: Token) -> str:
    """Say in words whether a token can be used."""
    if one.revoked_at:
        return f"revoked {when(one.revoked_at)}"
    if one.expires_at is None:
        return "valid"
    return f"{'expired' if one.expires_at <= datetime.now(UTC) else 'valid until'} {when(one.expires_at)}"
