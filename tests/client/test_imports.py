"""What the client brings along: a training job starts quickly and needs no web framework."""

import subprocess
import sys

from tests.cli.running import ROOT, environment

HEAVY = {"flask", "sqlalchemy", "marshmallow", "psycopg2", "alembic", "gunicorn", "werkzeug", "lark"}


def loaded_by(code: str) -> set[str]:
    """The packages that a fresh interpreter has in memory after some code."""
    script = f"{code}\nimport sys; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    ran = subprocess.run(
        [sys.executable, "-c", script], env=environment(), cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(ran.stdout.splitlines()[-1].split())


def test_the_client_imports_no_part_of_the_service() -> None:
    loaded = loaded_by(
        "import registry.client, sys\n"
        "ours = {name for name in sys.modules if name.startswith('registry.')}\n"
        "assert all(name.startswith('registry.client') for name in ours), ours"
    )

    assert "urllib3" in loaded
    assert not loaded & (HEAVY | {"click"})
