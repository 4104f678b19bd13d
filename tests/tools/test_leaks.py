"""The scan for secrets: it finds what must not be there, and keeps silent about what only looks like it."""

import secrets
from pathlib import Path

import pytest

from tools import leaks

REAL = {
    "a token of ours": "mreg_" + secrets.token_hex(20),
    "a key": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "a provider's key": "AKIA" + "Z7XQ2M4N6P8R3T5V",
    "a password in an address": "postgresql://registry:" + "Tr0ub4dor-and-3" + "@db/registry",
    "a JWT": "eyJ" + "hbGciOiJIUzI1NiJ9.eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0." + "A" * 43,
}
NOT = {
    "a token of a test": "mreg_" + "0" * 40,
    "a placeholder": "postgresql://registry:secret@db/registry",
    "a digest": "cdef0ffcdef0ff" * 4,
    "a line that is left alone": "mreg_" + "0123456789" * 4 + "  # pragma: allowlist secret",
    "a shortened token": "http://any:mreg_...@127.0.0.1:5055",
}


def kinds(directory: Path, text: str) -> list[str]:
    file = directory / "file.txt"
    file.write_text(f"first line\nvalue = {text}\n")
    return [f"{found.line_number} {found.type}" for found in leaks.found_in([file])]


@pytest.mark.parametrize("text", REAL.values(), ids=REAL)
def test_a_secret_is_found_with_its_line(tmp_path: Path, text: str) -> None:
    assert [found for found in kinds(tmp_path, text) if found.startswith("2 ")]


@pytest.mark.parametrize("text", NOT.values(), ids=NOT)
def test_what_is_none_is_not(tmp_path: Path, text: str) -> None:
    assert kinds(tmp_path, text) == []


def test_git_keeps_no_secret() -> None:
    found = [f"{one.filename}:{one.line_number} {one.type}" for one in leaks.found_in(leaks.tracked())]
    assert found == []
