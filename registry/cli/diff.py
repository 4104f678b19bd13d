"""`registry diff`: two versions side by side."""

import click

from registry.cli.connection import json_option, with_client
from registry.cli.kinds import MODEL, NUMBER
from registry.cli.output import show_json, show_table
from registry.client import Client, Version

FIELDS = (
    "stage",
    "source",
    "run_id",
    "run_link",
    "logged_model_id",
    "digest",
    "description",
    "created_at",
    "created_by",
)
Difference = tuple[str | None, str | None]


@click.command()
@click.argument("name", type=MODEL)
@click.argument("one", metavar="VERSION", type=NUMBER)
@click.argument("other", metavar="VERSION", type=NUMBER)
@json_option
@with_client
def diff(client: Client, name: str, one: int, other: int, *, as_json: bool) -> None:
    """Show in which fields, tags and aliases two versions of the model NAME differ."""
    found = differences(client.get_version(name, one), client.get_version(name, other))
    if as_json:
        show_json({field: list(both) for field, both in found.items()})
        return
    rows = [(field, *("-" if value is None else value for value in both)) for field, both in found.items()]
    show_table(("field", f"version {one}", f"version {other}"), rows, empty="They do not differ.")


def differences(one: Version, other: Version) -> dict[str, Difference]:
    """Each field that differs, with both its values."""
    left, right = described(one), described(other)
    names = [*left, *(name for name in right if name not in left)]
    return {name: (left.get(name), right.get(name)) for name in names if left.get(name) != right.get(name)}


def described(version: Version) -> dict[str, str]:
    """A version as texts by field; each tag is a field, what is empty is not there."""
    fields = {name: version.document.get(name) for name in FIELDS}
    texts = {name: str(value) for name, value in fields.items() if value}
    aliases = {"aliases": ", ".join(sorted(version.aliases))} if version.aliases else {}
    return texts | aliases | {f"tag.{key}": value for key, value in sorted(version.tags.items())}
