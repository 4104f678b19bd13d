"""Which registry a command speaks to, and with which token.

An option goes before the environment, the environment before the stored login. The stored token goes to the address
that it was stored for and to no other. There is no option for a token: everybody on the machine could see it.
"""

import functools
import os
from collections.abc import Callable
from typing import Any

import click

from registry.cli import logins
from registry.client import DEFAULT_URL, Client
from registry.client.address import split, token_in

TIMEOUT_SECONDS = 30.0
RETRIES = 3
PATIENCE_SECONDS = 20.0

url_option = click.option("--url", metavar="URL", help="Address of the registry, instead of REGISTRY_URL.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, as the service answers.")


def connect(url: str | None = None, *, retries: int = RETRIES, timeout: float = TIMEOUT_SECONDS) -> Client:
    """A client of the chosen registry.

    :raises click.UsageError: no address, or a token in the place of one.
    """
    stored = logins.read()
    chosen = url or os.environ.get("REGISTRY_URL") or (stored.url if stored else DEFAULT_URL)
    if url and "@" in url:
        raise click.UsageError("A token in an option can be seen by others: use REGISTRY_TOKEN or `registry login`.")
    try:
        bare, inside = split(chosen)
        token = token_in(os.environ) or inside or (stored.token if stored and stored.url == bare else None)
        return Client(bare, token, timeout=timeout, retries=retries, patience=PATIENCE_SECONDS)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def with_client(run: Callable[..., None]) -> Callable[..., None]:
    """Give a command the option --url, and as its first argument the client."""

    @url_option
    @functools.wraps(run)
    def command(*args: Any, url: str | None, **options: Any) -> None:
        with connect(url) as client:
            run(client, *args, **options)

    return command
