"""The harness is held against itself: each of these spoils something on purpose, and the programme must see it."""

import time
from collections.abc import Callable

from chaos.box import Box
from chaos.scenarios import processes

ENOUGH, LONGEST_SECONDS = 200, 90
"""Acknowledged changes: of those with keys every twentieth is asked for again."""
GUARDS = "SELECT format('ALTER EVENT TRIGGER %I DISABLE', evtname) FROM pg_event_trigger"


def spoil(box: Box, *statements: str) -> None:
    """Change the database behind everybody's back, as a superuser who has put the guards aside."""
    for (guard,) in box.server.ask(GUARDS):
        box.server.ask(guard)
    for statement in statements:
        box.server.ask(statement)


def on_row(table: str, when: str, what: str) -> tuple[str, str]:
    """Statements that make a trigger before each row of a table."""
    return (
        f"CREATE FUNCTION public.spoil() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN {what} RETURN NEW; END $f$",
        f"CREATE TRIGGER a_spoil BEFORE {when} ON {table} FOR EACH ROW EXECUTE FUNCTION public.spoil()",
    )


def forget_commits(box: Box) -> None:
    """Let the database say that it has committed before it has; the sealer, which waits for the disk, seals rarely."""
    box.sealer.kill()
    box.sealer.settings = {**box.sealer.settings, "REGISTRY_SEALER_INTERVAL_MS": "8000"}
    box.start_sealer()
    box.server.ask("ALTER SYSTEM SET synchronous_commit = off")
    box.server.ask("ALTER SYSTEM SET wal_writer_delay = '10s'")
    box.server.ask("SELECT pg_reload_conf()")


def forget_keys(box: Box) -> None:
    """Let no answer be kept for its key."""
    spoil(box, *on_row("registry.idempotency_keys", "INSERT", "IF true THEN RETURN NULL; END IF;"))


def stop_capturing(box: Box) -> None:
    """Let changes of one table go unrecorded."""
    spoil(box, "ALTER TABLE registry.aliases DISABLE TRIGGER a_capture")


def keep_half(box: Box) -> None:
    """Let some tags of a request get lost."""
    lose = "IF NEW.key = 'ticket' AND random() < 0.3 THEN RETURN NULL; END IF;"
    spoil(box, *on_row("registry.model_version_tags", "INSERT OR UPDATE", lose))


def archive_nobody(box: Box) -> None:
    """Let nobody make way in Production."""
    stay = "IF OLD.stage = 'Production' AND random() < 0.3 THEN NEW.stage := OLD.stage; END IF;"
    spoil(box, *on_row("registry.model_versions", "UPDATE", stay))


def write_twice(box: Box) -> None:
    """Let a version be there twice, under another number."""
    twice = (
        "IF pg_trigger_depth() = 1 AND random() < 0.3 THEN INSERT INTO registry.model_versions SELECT (jsonb_populate_"
        "record(NEW, jsonb_build_object('number', NEW.number + 1000000))).*; END IF;"
    )
    spoil(box, *on_row("registry.model_versions", "INSERT", twice))


def refuse_comments(box: Box) -> None:
    """Let the service fail in a way that is its own fault."""
    spoil(box, "REVOKE INSERT ON registry.comments FROM registry_app")


def wait(box: Box, times: int) -> None:
    """Let clients work."""
    time.sleep(2 * times)


def work_and_kill(box: Box, times: int) -> None:
    """Let clients work for a moment, and kill the database before it has written out what it said it had."""
    for _ in range(times):
        wait(box, 1)
        processes.kill_postgres(box, 1)


def lose_answers(box: Box, times: int) -> None:
    """Lose answers of the service, so that clients ask again; go on until chance has had enough to meet it."""
    deadline = time.monotonic() + LONGEST_SECONDS
    processes.kill_workers(box, 10 * times)
    while box.journal.acknowledged < ENOUGH and time.monotonic() < deadline:
        time.sleep(0.1)


def rewrite(box: Box, times: int) -> None:
    """Change the past of the log."""
    wait(box, times)
    spoil(
        box,
        "ALTER TABLE audit.event DISABLE TRIGGER ALL",
        "UPDATE audit.event SET body = replace(body, 'Production', 'Staging') "
        "WHERE id = (SELECT max(id) FROM audit.event WHERE action = 'model_version.transition')",
    )


MUTATIONS: dict[str, tuple[Callable[[Box], None] | None, Callable[[Box, int], None], str]] = {
    "commits that are forgotten": (forget_commits, work_and_kill, "acknowledged, and not there"),
    "keys that are forgotten": (forget_keys, lose_answers, "done twice"),
    "changes that go unrecorded": (stop_capturing, wait, "acknowledged, and not there"),
    "requests done by half": (keep_half, wait, "half there"),
    "nobody makes way": (archive_nobody, wait, "in Production"),
    "versions written twice": (write_twice, wait, "more than asked"),
    "faults of the service": (refuse_comments, wait, "a fault"),
    "a past that is changed": (None, rewrite, "does not verify"),
}
"""What is spoilt, what is done then, and by which words it has to be seen."""
