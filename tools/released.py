"""Write registry/released.py anew: `python -m tools.released > registry/released.py`, after every migration that has to
do with triggers or functions. What comes out is to be read: it is what a database will be compared with.
"""

import tempfile
from pathlib import Path

from registry import embedded, postgres, posture, schema

HEAD = '''"""The triggers and functions of a freshly installed database, each with all that makes it what it is.

Of a function a digest, of a trigger its function, type, state and arguments. Written by `python -m tools.released`; a
test compares it with what the migrations make.
"""

# ruff: noqa: E501
'''


def module(triggers: dict[str, str], functions: dict[str, str]) -> str:
    """Return the module's text, as ruff would format it."""
    parts = [HEAD]
    for name, table in (("TRIGGERS", triggers), ("FUNCTIONS", functions)):
        rows = "".join(f'    "{key}": "{value}",\n' for key, value in sorted(table.items()))
        parts.append(f"{name} = {{\n{rows}}}\n")
    return "\n".join(parts)


def found(url: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return what a database has."""
    with postgres.connected(url) as connection:
        postgres.execute(connection, posture.PINNED)
        return posture.triggers(connection), posture.functions(connection)


def main() -> None:
    """Install a database of our own and write down what is in it."""
    with tempfile.TemporaryDirectory(prefix="registry-released-") as directory:
        Path(directory).chmod(0o755)  # root's substitute must get through
        with embedded.start(Path(directory), durable=False) as running:
            schema.upgrade(running.admin_url)
            print(module(*found(running.admin_url)), end="")


if __name__ == "__main__":
    main()
