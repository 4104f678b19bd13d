"""Verifying a database: an honest one passes, whatever happened in it; each check finds what it is for."""

import pytest
from sqlalchemy import text

from registry.verification.captured import CAPTURED
from tests.verification.registries import Registry, bump, new_registry


@pytest.fixture
def registry(empty_database_url, tmp_path):  # type: ignore[no-untyped-def]
    return new_registry(empty_database_url, tmp_path)


def test_an_honest_registry_passes_with_everything_that_can_happen(registry: Registry) -> None:
    registry.live()
    report = registry.check(registry.notes()[0])
    assert report.first_divergences == []
    assert report.verified
    assert all(report.rows.values()), report.rows
    print(report)
