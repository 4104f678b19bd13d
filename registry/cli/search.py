"""`registry search`: models or versions by words, by a filter, or by both."""

import click

from registry.cli.connection import json_option, with_client
from registry.cli.listing import page_size, search_options, show_models, show_versions
from registry.client import Client


@click.command()
@click.argument("words", nargs=-1)
@click.option("--versions", "of_versions", is_flag=True, help="Find versions instead of models.")
@search_options
@json_option
@with_client
def search(
    client: Client,
    words: tuple[str, ...],
    filter_: str | None,
    order_by: str | None,
    prompts: str | None,
    limit: int,
    *,
    of_versions: bool,
    as_json: bool,
) -> None:
    """Find models that have all the WORDS (beginnings suffice) in name, description, tags or comments."""
    text = " ".join(words) or None
    size = page_size(limit)
    if of_versions:
        versions = client.versions(filter=filter_, text=text, order_by=order_by, prompts=prompts, page_size=size)
        show_versions(versions, limit, as_json=as_json, with_name=True)
    else:
        models = client.models(filter=filter_, text=text, order_by=order_by, prompts=prompts, page_size=size)
        show_models(models, limit, as_json=as_json)
