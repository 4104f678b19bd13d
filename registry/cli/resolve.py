"""`registry resolve`: the version that a URI names."""

from datetime import datetime

import click

from registry.cli.connection import json_option, with_client
from registry.cli.kinds import MOMENT
from registry.cli.output import show_fields, show_json
from registry.cli.text import when
from registry.client import Client, Resolved

SCHEME = "models:/"


@click.command()
@click.argument("uri")
@click.option("--at", type=MOMENT, help="The moment to ask about, such as 2026-11-24T14:03:00Z or 3d (ago); else now.")
@json_option
@with_client
def resolve(client: Client, uri: str, at: datetime | None, *, as_json: bool) -> None:
    """Say which version a URI names: models:/NAME/STAGE, models:/NAME/VERSION or models:/NAME@ALIAS.

    `models:/` may be left out.
    """
    found = client.resolve(uri if uri.startswith(SCHEME) else SCHEME + uri, at=at)
    if as_json:
        show_json(found.document)
    else:
        show_fields(f"{found.name} version {found.version}", fields_of(found))


def fields_of(found: Resolved) -> dict[str, str]:
    """What there is to say about a resolution, in words."""
    return {
        "stage": found.stage,
        "since": f"{when(found.since)}, moved there by {found.by.name}",
        "asked about": when(found.at) if found.at else "",
        "source": found.source,
        "download from": found.download_uri if found.download_uri != found.source else "",
        "run": found.run_id or "",
        "logged model": found.logged_model_id or "",
        "digest": found.digest or "",
    }
