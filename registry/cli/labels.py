"""`registry tag`, `alias` and `comment`: what hangs on models and versions."""

import sys

import click

from registry.cli.connection import json_option, with_client
from registry.cli.kinds import MODEL, NUMBER, TAG
from registry.cli.listing import documents, limit_option, page_size, taken
from registry.cli.output import show, show_json, show_table
from registry.cli.text import plain, when
from registry.client import Client, Comment

version_option = click.option("-v", "--version", type=NUMBER, help="On this version instead of on the model.")
reason_option = click.option("--reason", help="Why; kept in the audit log.")


@click.command()
@click.argument("name", type=MODEL)
@click.argument("tags", type=TAG, nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--unset", metavar="KEY", multiple=True, help="Remove a tag; may be given several times.")
@version_option
@reason_option
@json_option
@with_client
def tag(
    client: Client,
    name: str,
    tags: tuple[tuple[str, str], ...],
    unset: tuple[str, ...],
    version: int | None,
    reason: str | None,
    *,
    as_json: bool,
) -> None:
    """Set and remove tags of the model NAME, all at once, and show those there are then."""
    changes: dict[str, str | None] = dict(tags) | dict.fromkeys(unset)
    found = client.set_tags(name, changes, version, reason=reason) if changes else client.tags(name, version)
    if as_json:
        show_json(found)
    else:
        show_table(("key", "value"), sorted(found.items()), empty="No tags.")


@click.command()
@click.argument("name", type=MODEL)
@click.argument("alias_", metavar="[ALIAS]", required=False)
@click.argument("version", type=NUMBER, required=False)
@click.option("--unset", is_flag=True, help="Remove the alias.")
@reason_option
@json_option
@with_client
def alias(
    client: Client,
    name: str,
    alias_: str | None,
    version: int | None,
    reason: str | None,
    *,
    unset: bool,
    as_json: bool,
) -> None:
    """Let ALIAS name the version VERSION of the model NAME, and show the aliases there are then."""
    if unset and (alias_ is None or version is not None):
        raise click.UsageError("To remove an alias, give its name and no version.")
    if alias_ is not None and unset:
        client.unset_alias(name, alias_, reason=reason)
    elif alias_ is not None and version is not None:
        client.set_alias(name, alias_, version, reason=reason)
    elif alias_ is not None:
        found = {alias_: client.get_alias(name, alias_)}
        show_json(found) if as_json else show(str(found[alias_]))
        return
    found = client.aliases(name)
    if as_json:
        show_json(found)
    else:
        rows = [(key, str(number)) for key, number in sorted(found.items())]
        show_table(("alias", "version"), rows, empty="No aliases.")


@click.command()
@click.argument("name", type=MODEL)
@click.argument("text", required=False)
@click.option("--edit", metavar="ID", type=NUMBER, help="Give your comment of this number another text.")
@click.option("--delete", metavar="ID", type=NUMBER, help="Delete your comment of this number.")
@version_option
@limit_option
@json_option
@with_client
def comment(
    client: Client,
    name: str,
    text: str | None,
    edit: int | None,
    delete: int | None,
    version: int | None,
    limit: int,
    *,
    as_json: bool,
) -> None:
    """Write TEXT (`-`: what comes on standard input) on the model NAME; without it, show the comments there are."""
    if (edit is not None and (text is None or delete is not None)) or (delete is not None and text is not None):
        raise click.UsageError("--edit needs a text, --delete has none, and only one of them can be done at once.")
    said = sys.stdin.read().strip() if text == "-" else text
    if delete is not None:
        client.delete_comment(name, delete, version)
        show(f"Deleted comment {delete}.")
    elif said is None:
        show_comments(taken(client.comments(name, version, page_size=page_size(limit)), limit), as_json=as_json)
    else:
        kept = client.edit_comment(name, edit, said, version) if edit else client.comment(name, said, version)
        show_json(kept.document) if as_json else show(f"Comment {kept.id} is written.")


def show_comments(comments: list[Comment], *, as_json: bool) -> None:
    """Print comments, the oldest first."""
    if as_json:
        show_json(documents(comments))
    elif not comments:
        show_table((), [], empty="No comments.")
    for one in comments if not as_json else ():
        edited = f", edited {when(one.updated_at)}" if one.updated_at != one.created_at else ""
        head = f"{one.id}  {plain(one.author_name or one.author)}, {when(one.created_at)}{edited}"
        show(click.style(head, bold=True))
        for line in one.text.splitlines():
            show(f"   {plain(line)}")
