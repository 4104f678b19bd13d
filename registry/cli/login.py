"""`registry login`, `logout` and `whoami`: who we are, and where."""

import os
import sys

import click

from registry.cli import logins
from registry.cli.connection import PATIENCE_SECONDS, RETRIES, json_option, with_client
from registry.cli.logins import Login
from registry.cli.output import say, show, show_json
from registry.client import DEFAULT_URL, Caller, Client, Unauthenticated
from registry.client.address import split


@click.command()
@click.argument("url", required=False)
def login(url: str | None) -> None:
    """Ask for a token for the registry at URL, try it, and keep it for the commands to come.

    Without a terminal the token is read from standard input. URL is REGISTRY_URL, or http://127.0.0.1:5055, if it is
    not given.
    """
    where = address(url or os.environ.get("REGISTRY_URL") or DEFAULT_URL)
    token = None
    try:
        caller = caller_with(where, token)  # says at once if nobody answers there, and if no token is needed
    except Unauthenticated:
        token = asked()
        caller = caller_with(where, token)
    place = logins.keep(Login(where, token))
    say(f"Logged in to {where} as {caller.name} ({trusted(caller)}); kept in {place}.")
    if os.environ.get("REGISTRY_URL") or os.environ.get("REGISTRY_TOKEN"):
        say("REGISTRY_URL and REGISTRY_TOKEN are set and go before it.")


@click.command()
def logout() -> None:
    """Forget the kept token. It stays valid: `registry token revoke` makes it useless."""
    say("Logged out." if logins.forget() else "There was no login.")


@click.command()
@json_option
@with_client
def whoami(client: Client, *, as_json: bool) -> None:
    """Say whom the registry takes you for."""
    caller = client.whoami()
    if as_json:
        show_json(caller.document)
    else:
        show(f"{caller.name} ({trusted(caller)}) at {client.url}")


def trusted(caller: Caller) -> str:
    """Say what somebody is trusted with everywhere."""
    return caller.role or "no role over all models"


def address(url: str) -> str:
    """The address alone; a token in it would have been seen by others already."""
    try:
        bare, inside = split(url)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if inside:
        raise click.UsageError("Leave the token out of the address: you will be asked for it.")
    return bare


def caller_with(url: str, token: str | None) -> Caller:
    """Whom the registry takes us for with this token."""
    try:
        with Client(url, token, retries=RETRIES, patience=PATIENCE_SECONDS) as client:
            return client.whoami()
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def asked() -> str:
    """The token, typed without being shown, or from standard input."""
    if sys.stdin.isatty():
        typed: str = click.prompt("Token", hide_input=True, err=True)
        return typed.strip()
    return sys.stdin.readline().strip()
