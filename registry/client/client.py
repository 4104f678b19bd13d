"""The client itself: all groups of calls over one set of connections."""

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from registry.client.address import DEFAULT_URL, token_in
from registry.client.administration import AdministrationCalls
from registry.client.grants import GrantCalls
from registry.client.labels import LabelCalls
from registry.client.log import LogCalls
from registry.client.models import ModelCalls
from registry.client.stages import StageCalls
from registry.client.transport import Transport
from registry.client.versions import VersionCalls


class Client(ModelCalls, VersionCalls, StageCalls, LabelCalls, LogCalls, AdministrationCalls, GrantCalls):
    """Speaks to one registry; threads may share it, and `with` closes its connections.

    A call that meets a passing fault (no connection, a lost answer, 429, 502, 503, 504) is made again, up to `retries`
    times within `patience` seconds, where that is safe; every POST carries an Idempotency-Key for that. Certificates
    are checked against those of the system, or those in the file that SSL_CERT_FILE names.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        token: str | None = None,
        *,
        timeout: float = 30.0,
        retries: int = 5,
        patience: float = 60.0,
    ) -> None:
        """Name the service; `timeout` is how many seconds one attempt may wait for an answer.

        The token may also stand in the URL, as the password: `https://any:mreg_...@registry.example`.

        :raises ValueError: no address of a service, or a token that cannot be one.
        """
        self._transport = Transport(url, token, timeout=timeout, retries=retries, patience=patience)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """The client that REGISTRY_URL and REGISTRY_TOKEN (or REGISTRY_TOKEN_FILE) describe.

        :raises ValueError: they make no sense.
        """
        return cls(environ.get("REGISTRY_URL") or DEFAULT_URL, token_in(environ))

    @property
    def url(self) -> str:
        """Where the service is, without any token."""
        return self._transport.url

    @property
    def last_receipts(self) -> tuple[str, ...]:
        """What the last change of this thread left in the audit log, `stream/seq/hash`; empty where nothing changed.

        Whoever keeps them can have `registry-audit verify --receipts` prove later that the events are there.
        """
        return self._transport.receipts

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"
