"""A registry of its own whose log is sealed when a test says so."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from registry.config import Settings
from registry.ledger.note import Checkpoint, Verifier
from tests.conftest import application
from tests.sealer.logs import Place


@dataclass
class Sealed:
    """A service without authentication, a client, and the sealer's place."""

    app: Flask
    client: FlaskClient
    place: Place

    def write(self, count: int = 1, name: str = "Model") -> None:
        """Make events: one model with so many tags but one."""
        with self.app.app_context():
            self.client.post("/api/v1/models", json={"name": name, "tags": {f"k{n}": "v" for n in range(count - 1)}})

    def seal(self) -> int:
        return self.place.seal()

    def open(self, note: str) -> Checkpoint:
        return Verifier.parse(self.place.key).open(note)

    def leaves(self) -> list[bytes]:
        return [bytes(leaf) for (leaf,) in self.place.ask("SELECT leaf FROM audit.seal ORDER BY position")]


@pytest.fixture
def sealed(empty_database_url: str, tmp_path: Path) -> Iterator[Sealed]:
    with application(Settings(database_url=empty_database_url, auth=False)) as app:
        yield Sealed(app, app.test_client(), Place(empty_database_url, tmp_path / "sealer"))
