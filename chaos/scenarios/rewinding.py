"""An asynchronous standby that takes the place of a primary which it lags behind: what it lacks is lost.

No service can help that; it must not go unseen either. Nothing is lost but what was acknowledged behind the back of
the standby; the sealer, which has signed more than is there now, refuses to sign the shorter history until somebody
decides; and on that history everything is in order.
"""

import shutil
import time

from chaos.box import SEALER, Box
from chaos.journal import Window
from chaos.postgres import Server
from chaos.scenarios.failover import SECONDS_TO_CATCH_UP
from chaos.service import run

REFUSES = "events were signed and"
SECONDS_TO_REFUSE, SECONDS_OF_WORK = 30.0, 2.0
REASON = "an asynchronous standby took over, and lacks the last events"
SIGNED = "SELECT coalesce(max(size), 0) FROM audit.checkpoint"
AT = "SELECT pg_current_wal_lsn()"
HAS = "SELECT coalesce(pg_last_wal_replay_lsn() >= %s, false)"


def fail_over(box: Box, times: int) -> None:
    """Let a standby miss some seconds of work, kill the primary, promote the standby; then have somebody decide."""
    for number in range(times):
        standby = box.server.stand_by(box.directory / f"lagging-{number}", box.other_port)
        time.sleep(1)
        since = fall_behind(box, standby)
        box.load.stopping.set()  # what they go on with when the primary is gone they have asked for before
        box.journal.outdated = True
        with box.journal.away():
            box.server.kill()
            box.journal.rewound.append(Window(since, time.monotonic()))
            standby.start()
            standby.promote()
            box.server, dead = standby, box.server
            box.other_port = dead.port
            box.become_ready()
        shutil.rmtree(dead.directory, ignore_errors=True)
        box.load.stop()
        box.journal.outdated = False
        decide(box)
        box.load = box.make_load(f"after-{number}")
        box.load.prepare()
        box.load.start()
        time.sleep(SECONDS_OF_WORK)
        box.counts["asynchronous failovers"] += 1


def fall_behind(box: Box, standby: Server) -> float:
    """Stop a standby, and let more be signed than it has; return since when that may lack things."""
    since, [(position,)] = time.monotonic(), box.server.ask(AT)
    wait_for(standby, HAS, position)
    standby.stop()
    [(signed,)] = box.server.ask(SIGNED)
    time.sleep(SECONDS_OF_WORK)
    wait_for(box.server, f"SELECT ({SIGNED}) > %s", signed)
    return since


def wait_for(server: Server, question: str, value: object) -> None:
    """Ask until the answer is yes.

    :raises TimeoutError: it is not for half a minute.
    """
    deadline = time.monotonic() + SECONDS_TO_CATCH_UP
    while server.ask(question, (value,)) != [(True,)]:
        if time.monotonic() > deadline:
            raise TimeoutError(question)
        time.sleep(0.05)


def decide(box: Box) -> None:
    """See that the sealer has ended, since less is there than it signed; then begin a new epoch."""
    deadline = time.monotonic() + SECONDS_TO_REFUSE
    while box.sealer.runs and time.monotonic() < deadline:
        time.sleep(0.05)
    said = box.sealer.said.read_text()
    if box.sealer.runs or REFUSES not in said:
        box.journal.fault(f"the sealer does not refuse a history that is shorter than what it signed: {said[-500:]}")
        return
    if (code := box.sealer.wait()) != 1:
        box.journal.fault(f"the sealer refuses with exit code {code}")
    done = run(
        "sealer", "new-epoch", "--reason", REASON,
        REGISTRY_DATABASE_URL=box.url_of(SEALER), REGISTRY_SEALER_DIR=str(box.directory / "sealer"),
    )  # fmt: skip
    if done.returncode:
        box.journal.fault(f"no new epoch begins: {done.stderr[-500:]}")
    box.counts["refusals of the sealer"] += 1
    box.sealer.said.unlink()
    box.start_sealer()
