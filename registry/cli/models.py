"""`registry models`: all models, or one of them."""

import click

from registry.cli.connection import json_option, with_client
from registry.cli.kinds import MODEL
from registry.cli.listing import page_size, search_options, show_models
from registry.cli.output import show_fields, show_json
from registry.cli.text import pairs, when
from registry.client import Client, Model


@click.command()
@click.argument("name", type=MODEL, required=False)
@search_options
@json_option
@with_client
def models(
    client: Client,
    name: str | None,
    filter_: str | None,
    order_by: str | None,
    prompts: str | None,
    limit: int,
    *,
    as_json: bool,
) -> None:
    """List models with the versions that stand in Production and Staging, or show the model NAME."""
    if name is not None:
        show_model(client.get_model(name), as_json=as_json)
        return
    found = client.models(filter=filter_, order_by=order_by, prompts=prompts, page_size=page_size(limit))
    show_models(found, limit, as_json=as_json)


def show_model(model: Model, *, as_json: bool) -> None:
    """Print one model."""
    if as_json:
        show_json(model.document)
        return
    newest = {f"newest in {version.stage}": f"version {version.version}" for version in model.latest_versions}
    fields = {
        "description": model.description or "",
        "tags": pairs(model.tags),
        "aliases": pairs(model.aliases),
        **newest,
        "created": f"{when(model.created_at)} by {model.created_by or 'nobody known'}",
        "updated": when(model.updated_at),
    }
    show_fields(model.name, fields)
