"""An issuer for each test, and settings that believe it."""

from collections.abc import Iterator
from typing import Any

import pytest

from registry.identity.issuers import IssuerSchema
from registry.identity.keys import KeySet
from registry.identity.verifying import Issuers
from tests.identity.issuer import AUDIENCE, Key, LocalIssuer, ec_key, ed_key, issuing, rsa_key


@pytest.fixture(scope="session")
def signing() -> dict[str, Key]:
    """Keys, made once: to make one takes a while."""
    return {
        "rsa": rsa_key("rsa-1"),
        "other": rsa_key("rsa-2"),
        "pss": rsa_key("pss-1", "PS256"),
        "ec": ec_key("ec-1"),
        "ed": ed_key("ed-1"),
        "short": rsa_key("short-1", bits=1024),
    }


@pytest.fixture
def local(signing: dict[str, Key]) -> Iterator[LocalIssuer]:
    """A running issuer with one key."""
    with issuing() as running:
        running.keys = [signing["rsa"]]
        yield running


def believing(local: LocalIssuer, **settings: Any) -> Issuers:
    """Believe this issuer, and no other."""
    return Issuers([IssuerSchema().load({"issuer": local.url, "name": "corp", "audience": AUDIENCE, **settings})])


def keys_of(issuers: Issuers) -> KeySet:
    """The keys of the only issuer."""
    [keys] = issuers._keys.values()
    return keys


def later(issuers: Issuers, seconds: float) -> None:
    """Let so much time pass for the keys."""
    keys = keys_of(issuers)
    keys._fetched_at -= seconds
    keys._tried_at -= seconds
