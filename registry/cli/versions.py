"""`registry versions`: the versions of a model, or one of them."""

import click

from registry.cli.connection import json_option, with_client
from registry.cli.kinds import MODEL, NUMBER
from registry.cli.listing import page_size, search_options, show_versions
from registry.cli.output import show_fields, show_json
from registry.cli.text import pairs, when
from registry.client import Client, Version


@click.command()
@click.argument("name", type=MODEL)
@click.argument("version", type=NUMBER, required=False)
@search_options
@json_option
@with_client
def versions(
    client: Client,
    name: str,
    version: int | None,
    filter_: str | None,
    order_by: str | None,
    prompts: str | None,
    limit: int,
    *,
    as_json: bool,
) -> None:
    """List the versions of the model NAME, or show its version VERSION."""
    if version is not None:
        show_version(client.get_version(name, version), as_json=as_json)
        return
    found = client.versions(name, filter=filter_, order_by=order_by, prompts=prompts, page_size=page_size(limit))
    show_versions(found, limit, as_json=as_json, with_name=False)


def show_version(version: Version, *, as_json: bool) -> None:
    """Print one version."""
    if as_json:
        show_json(version.document)
    else:
        show_fields(f"{version.name} version {version.version}", fields_of(version))


def fields_of(version: Version) -> dict[str, str]:
    """What there is to say about a version, in words."""
    return {
        "stage": version.stage,
        "aliases": ", ".join(version.aliases),
        "source": version.source,
        "run": version.run_id or "",
        "run link": version.run_link or "",
        "logged model": version.logged_model_id or "",
        "digest": version.digest or "",
        "description": version.description or "",
        "tags": pairs(version.tags),
        "created": f"{when(version.created_at)} by {version.created_by or 'nobody known'}",
        "updated": when(version.updated_at),
    }
