"""Too few connections, and somebody who holds a lock and does nothing."""

import time
from contextlib import closing

import psycopg2

from chaos.box import Box
from chaos.postgres import SUPERUSER

HOLD = "SELECT 1 FROM registry.registered_models WHERE name = %s FOR UPDATE"


def hold_locks(box: Box, times: int) -> None:
    """Hold the row of a model, idle in a transaction, for longer than anybody may wait for it."""
    for _ in range(times):
        with box.journal.away(), closing(psycopg2.connect(box.server.url(SUPERUSER))) as holder:
            holder.cursor().execute(HOLD, (box.chance.choice(box.load.models),))
            time.sleep(box.chance.uniform(1, 3))
            holder.rollback()
            box.become_ready()
        time.sleep(1)
        box.counts["locks held"] += 1
