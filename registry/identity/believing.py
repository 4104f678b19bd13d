"""Whether anybody outside is believed. Where nobody is, nothing is loaded that takes JWTs apart."""

from pathlib import Path
from typing import Protocol

from registry.errors import Unauthenticated
from registry.identity.vouched import Vouched


class Believed(Protocol):
    """All issuers that are believed."""

    def concerns(self, token: str) -> bool:
        """Whether this is a JWT that says it is from one of them."""

    def verify(self, token: str) -> Vouched:
        """Whose this token is."""


class Nobody:
    """No issuer at all."""

    def concerns(self, _token: str) -> bool:
        """No."""
        return False

    def verify(self, _token: str) -> Vouched:
        """Nobody's.

        :raises Unauthenticated: always.
        """
        raise Unauthenticated("The token is from no issuer that this registry knows.")


def believed(file: Path | None) -> Believed:
    """Return the issuers that a file names (registry/identity/issuers.py).

    :raises ConfigError: it cannot be read, or something in it is not right.
    """
    if file is None:
        return Nobody()
    from registry.identity.issuers import load  # noqa: PLC0415 (with cryptography and HTTP: much that few need)
    from registry.identity.verifying import Issuers  # noqa: PLC0415

    return Issuers(load(file))
