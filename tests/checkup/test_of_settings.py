"""What the doctor has against settings."""

from dataclasses import replace
from typing import Any

import pytest

from registry.checkup import of_settings
from registry.checkup.findings import Grade
from registry.config import Settings

GOOD = Settings(token_days=90)


def test_of_good_settings_nothing_is_said() -> None:
    assert list(of_settings.look(GOOD)) == []


@pytest.mark.parametrize(
    ("parts", "what", "to_do"),
    [
        ({"auth": False}, "everybody on this machine", "remove it"),
        ({"host": "0.0.0.0"}, "/metrics is open", "REGISTRY_METRICS_TOKEN"),
        ({"local_sources": True}, "paths that other machines cannot read", "object store"),
        ({"token_days": 0}, "do not expire", "REGISTRY_TOKEN_DAYS"),
        ({"admin_token": "x" * 20}, "valid again at the next start", "remove it"),
        ({"pool_size": 2}, "4 threads of a worker share 2 connections", "REGISTRY_POOL_SIZE"),
        ({"statement_timeout_ms": 60_000}, "before a statement runs into", "REGISTRY_STATEMENT_TIMEOUT_MS"),
        ({"threads": 64, "pool_size": 64}, "only add waiting", "REGISTRY_THREADS to 4"),
    ],
)
def test_what_is_weak_is_said_with_what_to_do(parts: dict[str, Any], what: str, to_do: str) -> None:
    [finding] = of_settings.look(replace(GOOD, **parts))

    assert finding.grade is Grade.WEAK
    assert what in finding.what
    assert to_do in finding.to_do


def test_a_metrics_token_closes_that_door() -> None:
    assert list(of_settings.look(replace(GOOD, host="0.0.0.0", metrics_token="x" * 20))) == []
