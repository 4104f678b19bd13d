"""`registry grant` and `registry can-i`: who may do what on which models, and why."""

import click

from registry.cli.connection import json_option, with_client
from registry.cli.faults import REFUSED
from registry.cli.kinds import MODEL, NUMBER, STAGE
from registry.cli.listing import documents, limit_option, page_size, taken
from registry.cli.output import say, show, show_json, show_table
from registry.client import Client, Explanation, Grant
from registry.vocabulary import Permission, Role

HEADER = ("id", "who", "effect", "what", "models", "moves", "description")
PERMISSION = click.Choice([permission.value for permission in Permission])
reason_option = click.option("--reason", help="Why; kept in the audit log.")


@click.group()
def grant() -> None:
    """Give permissions to people, machines and groups, deny them, and see who has which."""


@grant.command()
@click.option("--principal", help="To whom: the name of a person or program.")
@click.option("--group", help="To which group.")
@click.option("--role", type=click.Choice([role.value for role in Role]), help="A role.")
@click.option("--permission", "permissions", type=PERMISSION, multiple=True, help="Or a permission; may be repeated.")
@click.option("--model", "pattern", default="*", show_default=True, help="On models of this name or pattern (churn-*).")
@click.option("--from", "stages_from", type=STAGE, multiple=True, help="Only moves from this stage; may be repeated.")
@click.option("--to", "stages_to", type=STAGE, multiple=True, help="Only moves to this stage; may be repeated.")
@click.option("--deny", is_flag=True, help="Take the permissions away, whoever gave them.")
@click.option("--description", help="What it is for.")
@reason_option
@json_option
@with_client
def add(
    client: Client,
    principal: str | None,
    group: str | None,
    role: str | None,
    permissions: tuple[str, ...],
    pattern: str,
    stages_from: tuple[str, ...],
    stages_to: tuple[str, ...],
    description: str | None,
    reason: str | None,
    *,
    deny: bool,
    as_json: bool,
) -> None:
    """Give a role or permissions to a principal or a group, or deny permissions. Deny wins."""
    made = client.create_grant(
        principal=principal,
        group=group,
        role=role,
        permissions=permissions or None,
        effect="deny" if deny else "allow",
        pattern=pattern,
        stages_from=stages_from or None,
        stages_to=stages_to or None,
        description=description,
        reason=reason,
    )
    if as_json:
        show_json(made.document)
    else:
        show(f"Grant {made.id}: {made.effect} {what(made)} on {made.pattern}{moves(made)} for {holder(made)}.")


@grant.command("list")
@click.option("--principal", help="Those of a person or program.")
@click.option("--group", help="Those of a group.")
@click.option("--model", type=MODEL, help="Those that concern a model.")
@limit_option
@json_option
@with_client
def list_(
    client: Client, principal: str | None, group: str | None, model: str | None, limit: int, *, as_json: bool
) -> None:
    """List grants, the oldest first."""
    found = taken(client.grants(principal=principal, group=group, model=model, page_size=page_size(limit)), limit)
    if as_json:
        show_json(documents(found))
    else:
        show_table(HEADER, map(row, found), empty="No grants.")


@grant.command()
@click.argument("grant_id", metavar="ID", type=NUMBER)
@reason_option
@with_client
def remove(client: Client, grant_id: int, reason: str | None) -> None:
    """Take the grant with this ID away."""
    client.delete_grant(grant_id, reason=reason)
    say(f"Grant {grant_id} is taken away.")


@click.command("can-i")
@click.argument("action", type=PERMISSION)
@click.argument("name", type=MODEL, required=False)
@click.option("--from", "start", type=STAGE, help="Of a move: the stage it begins in.")
@click.option("--to", type=STAGE, help="Of a move: the stage it leads to.")
@click.option("--as", "principal", help="Not you, but this principal; for administrators.")
@json_option
@with_client
def can_i(
    client: Client,
    action: str,
    name: str | None,
    start: str | None,
    to: str | None,
    principal: str | None,
    *,
    as_json: bool,
) -> None:
    """Say whether you may do ACTION to the model NAME, and why or why not. Ends with 3 where you may not."""
    found = client.explain(action, name, start=start, to=to, principal=principal)
    if as_json:
        show_json(found.document)
    else:
        show(sentence(found))
    if not found.allowed:
        raise click.exceptions.Exit(REFUSED)


def sentence(found: Explanation) -> str:
    """An explanation as a person reads it."""
    if found.allowed and found.because:
        return f"Yes, by {'its settings' if found.because.id is None else f'grant {found.because.id}'}."
    asked = f" Ask {', '.join(found.who_could)}." if found.who_could else ""
    return f"No. {found.missing}{asked}"


def row(one: Grant) -> tuple[str, ...]:
    """A grant as the cells of its line."""
    return (str(one.id), holder(one), one.effect, what(one), one.pattern, moves(one).strip(), one.description or "")


def holder(one: Grant) -> str:
    """Whose a grant is."""
    return one.principal or f"group {one.group}"


def what(one: Grant) -> str:
    """What a grant is about."""
    return one.role or ", ".join(one.permissions or ())


def moves(one: Grant) -> str:
    """The moves that a grant is narrowed to; nothing for all of them."""
    parts = (("from", one.stages_from), ("to", one.stages_to))
    return "".join(f" {word} {', '.join(stages)}" for word, stages in parts if stages)
