"""`registry token`: on the service that is named, or else on the database."""

import re

from registry.vocabulary import Role
from tests.cli.conftest import Run
from tests.factories import unique
from tests.live import Live

SECRET = re.compile(r"mreg_[0-9a-f]{40}\n")


def test_tokens_of_the_service_that_is_named(run: Run, live: Live) -> None:
    name = unique("robot")
    made = run("token", "create", "--name", name, "--role", "contributor", "--expires-in-days", 3)
    assert SECRET.fullmatch(made.out)
    assert f"(on the registry at {live.url})" in made.err
    assert f"{name} (contributor)" in run("whoami", REGISTRY_TOKEN=made.out.strip()).out

    [line] = [line for line in run("token", "list").out.splitlines() if f" {name} " in line]
    assert re.search(r" contributor +valid until 20", line)
    assert run("token", "revoke", line.split()[0]).code == 0

    assert run("whoami", REGISTRY_TOKEN=made.out.strip()).code == 3
    assert "revoked 20" in next(line for line in run("token", "list").out.splitlines() if f" {name} " in line)
    assert run("token", "list", REGISTRY_TOKEN=live.tokens[Role.APPROVER]).code == 3
    assert run("token", "revoke", 2**40).code == 4


def test_tokens_in_the_database_where_no_service_is_named(bare: Run, database_url: str) -> None:
    name = unique("robot")
    made = bare("token", "create", "--name", name, "--json", REGISTRY_DATABASE_URL=database_url)

    assert made.err.startswith("(on the database itself, as its operator)\n")
    assert made.json["secret"].startswith("mreg_")
    assert bare("token", "revoke", 2**40, REGISTRY_DATABASE_URL=database_url).code == 4


def test_tokens_in_the_database_where_that_is_said(run: Run, bare: Run, live: Live, database_url: str) -> None:
    listed = run("token", "list", "--database", REGISTRY_DATABASE_URL=database_url, REGISTRY_TOKEN="wrong")
    assert listed.err == "(on the database itself, as its operator)\n"

    assert (
        run("token", "list", "--json").json
        == bare("token", "list", "--json", "--database", REGISTRY_DATABASE_URL=database_url).json
    )


def test_a_stored_login_names_a_service(bare: Run, live: Live, database_url: str) -> None:
    bare("login", live.url, typed=f"{live.token}\n")

    assert f"(on the registry at {live.url})" in bare("token", "list", REGISTRY_DATABASE_URL=database_url).err
