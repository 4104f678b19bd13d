"""What the service has in memory from its start on: each worker pays for what only others need."""

from pathlib import Path

from tests.client.test_imports import loaded_by

SERVING = (
    "import registry.cli.serve, registry.worker\nfrom pathlib import Path\nfrom registry.app import create_app\n"
    "from registry.config import Settings\n"
    "create_app(Settings(database_url='postgresql+psycopg2://u@h/d', oidc_file={file}))"
)
OF_UPGRADES = {"alembic", "mako"}
OF_ISSUERS = {"cryptography", "jwt", "tomllib", "urllib3"}


def test_the_service_loads_nothing_that_only_commands_and_issuers_need() -> None:
    loaded = loaded_by(SERVING.format(file=None))
    assert {"flask", "sqlalchemy", "psycopg2", "gunicorn"} <= loaded
    assert not loaded & (OF_UPGRADES | OF_ISSUERS)


def test_with_an_issuer_all_that_takes_its_tokens_apart_is_there_before_workers_are_forked(tmp_path: Path) -> None:
    file = tmp_path / "issuers.json"
    file.write_text('{"issuers": [{"issuer": "https://login.example", "name": "corp", "audience": "registry"}]}')
    assert loaded_by(SERVING.format(file=f"Path({str(file)!r})")) >= OF_ISSUERS
