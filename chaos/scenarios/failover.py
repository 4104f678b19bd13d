"""A primary that is killed, and a standby that takes its place: the service goes there by itself."""

import shutil
import time
from pathlib import Path

from chaos.box import Box
from chaos.postgres import DATABASE, Server, free_port

SECONDS_TO_CATCH_UP = 30
WAIT_FOR_STANDBY = "ALTER SYSTEM SET synchronous_standby_names = 'standby'"
RELOAD = "SELECT pg_reload_conf()"
IN_STEP = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
PRIMARY = "SELECT NOT pg_is_in_recovery()"


def name_two_hosts(box: Box) -> None:
    """Let the service know two servers, of which one is there already; there is no proxy before them."""
    box.other_port = free_port()
    hosts = "&".join(f"host=127.0.0.1:{port}" for port in (box.server.port, box.other_port))
    box.url_of = lambda role: f"postgresql://{role}@/{DATABASE}?{hosts}"


def fail_over(box: Box, times: int) -> None:
    """Kill the primary and promote the standby; then a new standby takes the place of what was the primary."""
    for number in range(times):
        standby = attach(box, box.directory / f"standby-{number}")
        time.sleep(2)
        with box.journal.away():
            box.server.kill()
            standby.promote()
            box.server, dead = standby, box.server
            box.other_port = dead.port
            box.become_ready()
        shutil.rmtree(dead.directory, ignore_errors=True)
        box.counts["failovers"] += 1
    time.sleep(2)


def attach(box: Box, directory: Path) -> Server:
    """A standby at the other port that the primary waits for, so that it has all that is acknowledged from now on."""
    primary = box.server
    standby = primary.stand_by(directory, box.other_port)
    primary.ask(WAIT_FOR_STANDBY, database="postgres")  # the standby's own copy of this setting says: wait for nobody
    primary.ask(RELOAD, database="postgres")
    deadline = time.monotonic() + SECONDS_TO_CATCH_UP
    while time.monotonic() < deadline and primary.ask(IN_STEP) != [(1,)]:
        time.sleep(0.05)
    return standby
