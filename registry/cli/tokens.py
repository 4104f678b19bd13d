"""`registry token`: making, listing and revoking tokens, with the database as the only authority asked."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import click

from registry.cli.operator import as_operator, say
from registry.db import transaction
from registry.domain import tokens
from registry.domain.access import OPERATOR
from registry.domain.tokens import TokenInfo
from registry.vocabulary import Role

COLUMNS = ("id", "name", "role", "state", "created", "last used", "description")


@click.group()
def token() -> None:
    """Make, list and revoke tokens."""


@token.command()
@click.option("--name", required=True, help="Whom it is for: a person or a program. The audit log names it.")
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.VIEWER.value, show_default=True)
@click.option("--description", help="What it is used for.")
@click.option("--expires-in-days", type=click.IntRange(1, 3650), help="Without it the token lasts until revoked.")
def create(name: str, role: str, description: str | None, expires_in_days: int | None) -> None:
    """Make a token and print it, and nothing else, on standard output. It is not shown again."""
    expires_at = datetime.now(UTC) + timedelta(days=expires_in_days) if expires_in_days else None
    with as_operator(), transaction(OPERATOR) as session:
        made = tokens.create(
            session, OPERATOR, name=name, role=Role(role), description=description, expires_at=expires_at
        )
    until = f"until {expires_at:%Y-%m-%d}" if expires_at else "until revoked"
    say(f"Token {made.id} for {made.principal_name}, {made.role}, {until}; it is not shown again:")
    click.echo(made.secret)


@token.command("list")
def list_() -> None:
    """Print all tokens, without their secrets."""
    with as_operator(), transaction(OPERATOR) as session:
        found = tokens.search(session, OPERATOR)
    click.echo(table([COLUMNS, *(row(info) for info in found)]))


@token.command()
@click.argument("token_id", metavar="ID", type=int)
def revoke(token_id: int) -> None:
    """Make the token with this ID useless, at once and for good."""
    with as_operator(), transaction(OPERATOR) as session:
        tokens.revoke(session, OPERATOR, token_id)
    say(f"Token {token_id} is revoked.")


def row(info: TokenInfo) -> tuple[str, ...]:
    """Return a token as the cells of its line."""
    return (
        str(info.id),
        info.principal_name,
        info.role.value,
        state(info),
        day(info.created_at),
        day(info.last_used_at),
        info.description or "",
    )


def state(info: TokenInfo) -> str:
    """Say in words whether a token can be used."""
    if info.revoked_at:
        return f"revoked {day(info.revoked_at)}"
    if info.expires_at is None:
        return "valid"
    return f"{'expired' if info.expires_at <= datetime.now(UTC) else 'valid until'} {day(info.expires_at)}"


def day(moment: datetime | None) -> str:
    """Return a time as people read it in a list."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}" if moment else "-"


def table(lines: Iterable[tuple[str, ...]]) -> str:
    """Lay cells out in columns."""
    cells = [tuple(" ".join(cell.split()) for cell in line) for line in lines]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)
