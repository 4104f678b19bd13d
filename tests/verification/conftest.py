"""A registry that has lived, once for all tests, and a copy of it for each."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.conftest import database
from tests.verification.registries import Registry


@pytest.fixture(scope="package")
def lived(server_url: str, template_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Sealed and signed in two steps; the last three events are neither."""
    with database(server_url, str(make_url(template_url).database)) as url:
        registry = Registry(url, tmp_path_factory.mktemp("lived") / "sealer")
        registry.live()
        registry.go_on()
        registry.seal()
        for _ in range(3):
            registry.go_on()
        yield registry


@pytest.fixture
def registry(server_url: str, lived: Registry, tmp_path: Path) -> Iterator[Registry]:
    """A copy that a test may do anything to."""
    with database(server_url, str(make_url(lived.url).database)) as url:
        shutil.copytree(lived.directory, tmp_path / "sealer")
        yield Registry(url, tmp_path / "sealer")
