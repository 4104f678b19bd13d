"""One service for the tests of the client, and one client of an administrator."""

from collections.abc import Iterator

import pytest

from registry.client import Client
from registry.domain.access import Principal
from registry.vocabulary import Role
from tests.live import Live, live


@pytest.fixture(scope="package")
def running(
    tmp_path_factory: pytest.TempPathFactory, database_url: str, credentials: dict[Role, tuple[Principal, str]]
) -> Iterator[Live]:
    """The service."""
    with live(tmp_path_factory.mktemp("service"), database_url, credentials) as started:
        yield started


@pytest.fixture
def remote(running: Live) -> Iterator[Client]:
    """A client that may do everything."""
    with running.client() as client:
        yield client
