"""What an issuer says of a caller, once it is proved."""

import hashlib
from dataclasses import dataclass

from registry.vocabulary import Role


@dataclass(frozen=True, slots=True)
class Vouched:
    """Whom an issuer vouches for. `role`: the one over all models that the settings give to its groups, if any."""

    issuer: str
    issuer_name: str
    subject: str
    name: str
    groups: tuple[str, ...]
    role: Role | None
    credential: str

    @property
    def names(self) -> tuple[str, str]:
        """What it may be called here: its name or, where another one has that, its name with a mark of its own."""
        mark = hashlib.sha256(f"{self.issuer}\n{self.subject}".encode()).hexdigest()[:8]
        return self.name, f"{self.name} ({mark})"
