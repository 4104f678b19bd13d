"""A running service with tokens for it, for tests of what speaks to one over the network."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from registry.client import Client
from registry.domain.access import Principal
from registry.vocabulary import Role
from tests.cli.running import Service, service


@dataclass(frozen=True)
class Live:
    """A running service, its address, and a token for each role."""

    service: Service
    url: str
    tokens: dict[Role, str]

    @property
    def token(self) -> str:
        """The token of somebody who may do everything."""
        return self.tokens[Role.ADMINISTRATOR]

    def client(self, role: Role = Role.ADMINISTRATOR) -> Client:
        """A client with this role that does not wait long."""
        return Client(self.url, self.tokens[role], timeout=20, retries=3, patience=20)


@contextmanager
def serving(directory: Path, database_url: str, credentials: Mapping[Role, tuple[Principal, str]]) -> Iterator[Live]:
    """A service on the database that tests share."""
    with service(directory, REGISTRY_DATABASE_URL=database_url) as running:
        tokens = {role: secret for role, (_, secret) in credentials.items()}
        yield Live(running, f"http://127.0.0.1:{running.port}", tokens)
