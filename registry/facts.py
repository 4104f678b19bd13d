"""What has happened, for those who watch the service; told once the transaction is committed."""

from dataclasses import dataclass

from registry.vocabulary import Stage


@dataclass(frozen=True, slots=True)
class Moved:
    """A version went from one stage to another."""

    was: Stage
    becomes: Stage


Fact = Moved
