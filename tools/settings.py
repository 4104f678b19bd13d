"""Writes the table of settings, which registry/config.py knows, into the README: `make settings`."""

from pathlib import Path

from registry.config import readme_table

README = Path(__file__).parent.parent / "README.md"
FIRST_LINE = "| variable | default | meaning |"


def main() -> None:
    """Replace the table in the README."""
    before, table, rest = README.read_text().partition(FIRST_LINE)
    _, gap, after = rest.partition("\n\n")
    if not table or not gap:
        message = f"README.md has no table that begins with {FIRST_LINE!r} and ends with an empty line"
        raise SystemExit(message)
    README.write_text(f"{before}{readme_table()}\n{after}")


if __name__ == "__main__":
    main()
