"""SECURITY.md names a test for each claim: they are there, and so are the settings and pages that it speaks of."""

import re
from pathlib import Path

from registry.config import variables

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "SECURITY.md").read_text()


def test_every_test_that_it_names_is_there() -> None:
    named = re.findall(r"`(tests/[\w/.]+)`", GUIDE)
    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_attacker_of_the_table_has_a_test_or_a_page() -> None:
    rows = [line.split(" | ") for line in GUIDE.split("| attacker |")[1].split("\n\n")[0].splitlines()[2:]]
    assert len(rows) > 12
    assert [row[0] for row in rows if "`" not in row[-1]] == []


def test_the_settings_and_pages_of_which_it_speaks_are_there() -> None:
    known = {variable.name for variable in variables()}
    assert set(re.findall(r"REGISTRY_[A-Z_]+[A-Z]", GUIDE)) <= known
    assert all((ROOT / page).exists() for page in re.findall(r"docs/[\w-]+\.md", GUIDE))


def test_every_command_of_the_makefile_that_it_names_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"\n{name}:" in makefile for name in re.findall(r"`make (\w+)`", GUIDE))
