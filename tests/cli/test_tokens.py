"""`registry token`: on the service that is named, or else on the database."""

from tests.cli.conftest import Run
from tests.factories import unique
from tests.live import Live


def test_tokens_in_the_database_where_no_service_is_named(bare: Run, database_url: str) -> None:
    name = unique("robot")
    made = bare("token", "create", "--name", name, "--json", REGISTRY_DATABASE_URL=database_url)

    assert made.err.startswith("(on the database itself, as its operator)\n")
    assert made.json["secret"].startswith("mreg_")
    assert bare("token", "revoke", 2**40, REGISTRY_DATABASE_URL=database_url).code == 4


def test_a_stored_login_names_a_service(bare: Run, live: Live, database_url: str) -> None:
    bare("login", live.url, typed=f"{live.token}\n")

    assert f"(on the registry at {live.url})" in bare("token", "list", REGISTRY_DATABASE_URL=database_url).err
