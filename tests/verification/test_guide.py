"""What docs/audit.md tells auditors to do without any program of ours, done; and what it says of the checks."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.domain import tags
from registry.domain.access import OPERATOR
from registry.verification.captured import CAPTURED
from registry.verification.verify import CHECKS
from tests.verification.registries import Registry, change

GUIDE = (Path(__file__).parent.parent.parent / "docs" / "audit.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```\w+ (\S+)\n(.*?)^```$", GUIDE, re.M | re.S))
NEEDS = {"signature": ("openssl", "base64"), "root": ("node",), "event": ("sha256sum",)}


@pytest.fixture
def files(registry: Registry, tmp_path: Path) -> Path:
    """What an auditor has: an export, one line of which holds what some programs take for the end of a line."""
    with registry.open(), change() as session:
        tags.set_on_model(session, OPERATOR, "swindle", "odd", "a\u2028b\u0085c")
    registry.seal()
    at = tmp_path / "auditor"
    at.mkdir()
    (at / "log.jsonl").write_bytes(b"".join(line + b"\n" for line in registry.lines()))
    (at / "checkpoint").write_text(registry.notes()[-1], encoding="utf-8")
    (at / "log.vkey").write_text(registry.key + "\n", encoding="utf-8")
    (at / "root.mjs").write_text(BLOCKS["root.mjs"], encoding="utf-8")
    return at


def run(name: str, at: Path) -> subprocess.CompletedProcess[str]:
    for tool in NEEDS[name]:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not here")
    return subprocess.run(["bash", "-e", "-c", BLOCKS[name]], cwd=at, capture_output=True, text=True, check=False)


def edit(name: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    def change_it(at: Path) -> None:
        content = (at / name).read_bytes()
        assert old in content
        (at / name).write_bytes(content.replace(old, new, 1))

    return change_it


def drop_the_last_line(at: Path) -> None:
    lines = (at / "log.jsonl").read_bytes().splitlines(keepends=True)
    (at / "log.jsonl").write_bytes(b"".join(lines[:-1]))


FORGED = [
    ("signature", edit("checkpoint", b"model-registry", b"model-Registry")),
    ("signature", edit("checkpoint", b"\n70\n", b"\n71\n")),
    ("root", edit("log.jsonl", b'"operator"', b'"alice"')),
    ("root", drop_the_last_line),
]


@pytest.mark.parametrize("name", ["signature", "root"])
def test_an_honest_log_is_verified(files: Path, name: str) -> None:
    done = run(name, files)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ("Signature Verified Successfully" if name == "signature" else "")


@pytest.mark.parametrize(("name", "forge"), FORGED)
def test_a_forged_one_is_not(files: Path, name: str, forge: Callable[[Path], None]) -> None:
    forge(files)
    assert run(name, files).returncode != 0


def test_one_event_has_the_hash_of_its_receipt(files: Path, registry: Registry) -> None:
    [(digest,)] = registry.ask(
        "SELECT encode(hash, 'hex') FROM audit.event JOIN audit.seal ON event_id = id WHERE position = 7"
    )
    assert run("event", files).stdout.strip() == digest


def test_the_guide_names_every_check_and_all_that_is_not_covered() -> None:
    assert re.findall(r"^\| `(\w+)` \|", GUIDE, re.M) == list(CHECKS)
    for column in {name for one in CAPTURED for name in one.not_recorded}:
        assert f"`{column}`" in GUIDE
