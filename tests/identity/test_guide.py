"""What docs/single-sign-on.md shows is taken, and its table lists exactly what there is."""

import re
from pathlib import Path

from registry.identity.issuers import IssuerSchema, load

GUIDE = (Path(__file__).parents[2] / "docs" / "single-sign-on.md").read_text()


def test_the_example_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "issuers.toml"
    file.write_text(GUIDE.split("```toml\n")[1].split("```")[0])
    people, jobs = load(file)
    assert (people.name, people.group_prefix, jobs.name) == ("corp", "corp/", "ci")
    assert people.roles["ml-leads"] == "approver"


def test_the_table_has_a_line_for_each_field() -> None:
    assert re.findall(r"^\| `(\w+)` \|", GUIDE, re.MULTILINE) == list(IssuerSchema().fields)
