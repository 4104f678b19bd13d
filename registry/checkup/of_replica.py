"""The replica: whether it is one, and keeps up."""

import time
from collections.abc import Iterator

from registry.checkup.findings import Finding, wrong
from registry.config import Settings
from registry.replica import Replica, State

LOOKS, PAUSE_SECONDS = 5, 0.3


def look(settings: Settings) -> Iterator[Finding]:
    """Whatever keeps the replica from answering; nothing where none is set."""
    if settings.replica_url is None:
        return
    replica = Replica(settings, watched=False)
    for _ in range(LOOKS):
        replica.look()
        if replica.state() is not State.BEHIND:
            break
        time.sleep(PAUSE_SECONDS)
    if replica.state() is State.AWAY:
        yield wrong(f"the replica cannot be used: {replica.known().why}", "see to it, or remove REGISTRY_REPLICA_URL")
    elif replica.state() is State.BEHIND:
        yield wrong(
            f"the replica is more than {settings.replica_max_lag_seconds:g} s behind the primary, or follows another",
            "see pg_stat_replication there, or raise REGISTRY_REPLICA_MAX_LAG_SECONDS",
        )
