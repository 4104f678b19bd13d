"""A client of an administrator."""

from collections.abc import Iterator

import pytest

from registry.client import Client
from tests.live import Live


@pytest.fixture
def remote(live: Live) -> Iterator[Client]:
    """A client that may do everything."""
    with live.client() as client:
        yield client
