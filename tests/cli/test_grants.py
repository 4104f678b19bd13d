"""`registry grant`, `registry can-i`, and tokens that are narrower than their holder."""

import re

from registry.client import Client
from registry.vocabulary import Role
from tests.cli.conftest import Run
from tests.factories import unique
from tests.live import Live


def token_for(run: Run, name: str, role: str, *more: str) -> str:
    return run("token", "create", "--name", name, "--role", role, *more).out.strip()


def test_a_grant_is_given_shown_and_taken_away(run: Run) -> None:
    name = unique("maya")
    token_for(run, name, "viewer")
    made = run(
        "grant", "add", "--principal", name, "--permission", "promote", "--model", "churn-*", "--to", "production"
    )
    [number] = re.findall(rf"Grant (\d+): allow promote on churn-\* to Production for {name}\.\n", made.out)

    [line] = [line for line in run("grant", "list", "--principal", name).out.splitlines() if line.startswith(number)]
    assert line.split() == [number, name, "allow", "promote", "churn-*", "to", "Production"]
    assert int(number) in {
        one["id"] for one in run("grant", "list", "--model", "churn-eu", "--limit", "0", "--json").json
    }

    assert run("grant", "remove", number, "--reason", "done").code == 0
    assert run("grant", "remove", number).code == 4
    assert number not in [line.split()[0] for line in run("grant", "list", "--principal", name).out.splitlines()]


def test_a_denial_and_a_group_are_shown_as_what_they_are(run: Run) -> None:
    team = unique("team")
    made = run("grant", "add", "--group", team, "--deny", "--permission", "delete", "--description", "frozen", "--json")
    assert (made.json["effect"], made.json["permissions"], made.json["group"]) == ("deny", ["delete"], team)
    line = run("grant", "list", "--group", team).out.splitlines()[1]
    assert line.split() == [str(made.json["id"]), "group", team, "deny", "delete", "*", "frozen"]


def test_what_makes_no_sense_is_refused_in_words(run: Run, live: Live) -> None:
    refused = run("grant", "add", "--group", "g", "--deny", "--role", "approver")
    assert refused.code == 3
    assert "Every role includes reading" in refused.err
    assert run("grant", "add", "--principal", unique("nobody"), "--role", "viewer").code == 4
    assert run("grant", "add", "--group", "g", "--permission", "fly").code == 2
    assert run("grant", "list", REGISTRY_TOKEN=live.tokens[Role.APPROVER]).code == 3


def test_can_i_says_yes_by_which_grant_and_ends_with_0(run: Run, live: Live) -> None:
    asked = run("can-i", "promote", "churn", "--to", "production", REGISTRY_TOKEN=live.tokens[Role.APPROVER])
    assert asked.code == 0
    assert re.fullmatch(r"Yes, by grant \d+\.\n", asked.out)


def test_can_i_says_no_and_why_and_ends_with_3(run: Run, live: Live) -> None:
    asked = run("can-i", "promote", "churn", "--to", "production", REGISTRY_TOKEN=live.tokens[Role.VIEWER])
    assert asked.code == 3
    assert asked.out.startswith("No. 'viewer-")
    assert "has no grant that gives 'promote' on 'churn' to Production." in asked.out
    assert re.search(r" Ask [^.]+\.\n$", asked.out)
    as_json = run("can-i", "promote", "churn", "--json", REGISTRY_TOKEN=live.tokens[Role.VIEWER])
    assert (as_json.code, as_json.json["allowed"], as_json.json["because"]) == (3, False, None)


def test_can_i_is_asked_for_others_by_administrators(run: Run, live: Live) -> None:
    name = unique("omar")
    token_for(run, name, "contributor")
    assert run("can-i", "describe", "churn", "--as", name).code == 0
    assert run("can-i", "delete", "churn", "--as", name).code == 3
    assert run("can-i", "read", "churn", "--as", name, REGISTRY_TOKEN=live.tokens[Role.VIEWER]).code == 3
    assert run("can-i", "read", "churn", "--as", unique("nobody")).code == 4


def test_a_token_is_narrowed_and_says_so(run: Run, remote: Client) -> None:
    name, mine = unique("maya"), unique("mine")
    first = run("token", "create", "--name", name, "--role", "approver")
    assert re.search(rf"Grant \d+ gives {name} the role approver over all models\.\n", first.err)
    narrow = run("token", "create", "--name", name, "--role", "approver", "--model", "mine-*", "--stage", "staging")
    assert f"It lets {name} do what it is granted" in narrow.err
    remote.register_model(mine)
    version = remote.register_version(mine, "s3://b/k").version
    as_narrow = {"REGISTRY_TOKEN": narrow.out.strip()}
    assert run("promote", mine, version, "--to", "staging", **as_narrow).code == 0
    assert run("promote", mine, version, "--to", "production", **as_narrow).code == 3
    other = unique("other")
    remote.register_model(other)
    assert run("models", other, **as_narrow).code == 4
    assert "mine-*, to Staging" in next(
        line for line in run("token", "list").out.splitlines() if f" {name} " in line and "mine" in line
    )


def test_a_token_brings_a_grant_along_where_that_is_asked_for(run: Run) -> None:
    name = unique("maya")
    token_for(run, name, "viewer")
    secret = token_for(run, name, "contributor")
    assert f"{name} (viewer)" in run("whoami", REGISTRY_TOKEN=secret).out
    secret = token_for(run, name, "contributor", "--with-grant")
    assert f"{name} (contributor)" in run("whoami", REGISTRY_TOKEN=secret).out


def test_whose_grants_are_on_some_models_only_has_no_role_over_all(run: Run) -> None:
    name = unique("maya")
    made = run("token", "create", "--name", name, "--role", "viewer", "--json").json
    run("grant", "remove", made["grant_id"])
    run("grant", "add", "--principal", name, "--role", "viewer", "--model", "mine-*")
    assert f"{name} (no role over all models)" in run("whoami", REGISTRY_TOKEN=made["secret"]).out


def test_an_operator_makes_an_administrator_in_the_database(bare: Run, database_url: str) -> None:
    name = unique("ada")
    asked = ("token", "create", "--name", name, "--role", "administrator", "--with-grant", "--model", "x-*", "--json")
    made = bare(*asked, REGISTRY_DATABASE_URL=database_url).json
    assert made["models"] == ["x-*"]
    assert made["grant_id"] is not None
