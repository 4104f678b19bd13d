"""What the audit log costs: a write with it, beside the same one that keeps no log or a plain one, in turns.

A write locks the model's row, moves a version to another stage and gives it another description; with application time
it then waits 2 ms before the commit, as a service does that builds an answer. pgbench does the writing. Without the
triggers there is no event, no chain, no interval and no text kept apart. A plain log is what a service without ours
has to have in its place: one row for each change, with what was before and after it, five indexes and nothing to prove.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import pgbench, servers
from bench.contenders import seal, sealing
from bench.figures import Figure, ratio

WRITERS = (1, 4, 16)
APPLICATION_MS = (0, 2)
TRIGGERS = ("a_capture", "b_track")
WRITE = """\\set model random(1, {models})
\\set version random(3, 7)
BEGIN;
SELECT set_config('app.actor', 'principal:1', true), set_config('app.credential', 'token:1', true),
    set_config('app.request_id', gen_random_uuid()::text, true), set_config('app.reason', '', true);
SELECT id FROM registry.registered_models WHERE id = :model FOR UPDATE;
{plain}UPDATE registry.model_versions SET stage = CASE stage WHEN 'Staging' THEN 'Archived' ELSE 'Staging' END,
    description = 'measured ' || random(), updated_at = now() WHERE model_id = :model AND number = :version;
{sleep}COMMIT;
"""
PLAIN_TABLE = """
CREATE SCHEMA IF NOT EXISTS plain;
CREATE TABLE IF NOT EXISTS plain.event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    model_id bigint NOT NULL,
    number integer NOT NULL,
    request_id text NOT NULL,
    changes jsonb NOT NULL
);
CREATE INDEX IF NOT EXISTS by_time ON plain.event (at, id);
CREATE INDEX IF NOT EXISTS by_model ON plain.event (model_id, at, id);
CREATE INDEX IF NOT EXISTS by_actor ON plain.event (actor, at, id);
CREATE INDEX IF NOT EXISTS by_request ON plain.event (request_id);
"""
PLAIN = """INSERT INTO plain.event (at, actor, action, model_id, number, request_id, changes)
    SELECT clock_timestamp(), current_setting('app.actor'), 'model_version.transition', model_id, number,
        current_setting('app.request_id'), jsonb_build_object(
            'stage', jsonb_build_array(stage, CASE stage WHEN 'Staging' THEN 'Archived' ELSE 'Staging' END),
            'description', jsonb_build_array(description, 'measured ' || random()))
    FROM registry.model_versions WHERE model_id = :model AND number = :version;
"""
MODELS = 100
"""Of these, versions that no transition of `questions.py` moves: somebody stays in Production."""
AIMED = 4
"""Writers where it matters most."""


@dataclass(frozen=True)
class Cost:
    """Writes per second of one way of writing: without a log, with a plain one, ours, and ours beside the sealer."""

    writers: int
    application_ms: int
    without: Figure
    plain: Figure
    logged: Figure
    sealed: Figure

    @property
    def ratio(self) -> Figure:
        """What is left of the writes that keep no log."""
        return ratio(self.logged, self.without)

    @property
    def ratio_plain(self) -> Figure:
        """What is left of those that keep a plain one."""
        return ratio(self.logged, self.plain)

    @property
    def ratio_sealed(self) -> Figure:
        """What is left beside the sealer, which uses the same processors here."""
        return ratio(self.sealed, self.without)


def measure(
    admin_url: str,
    directory: Path,
    asked: Sequence[int],
    rounds: int,
    seconds: float,
    say: Callable[[str], object],
) -> list[Cost]:
    """Measure with these numbers of writers, on a database that may be spoiled: its log lacks what is not logged."""
    directory.mkdir(parents=True, exist_ok=True)
    found: dict[tuple[int, int, str], list[float]] = {}
    for number in range(rounds):
        for application_ms in APPLICATION_MS:
            for writers in asked:
                for way in turned(list(WAYS), number):
                    script = written(directory, application_ms, plain=PLAIN if way == "plain" else "")
                    with WAYS[way](admin_url, directory):
                        rate = pgbench.rate(admin_url, script, writers, seconds)
                    found.setdefault((writers, application_ms, way), []).append(rate)
        say(f"  cost of the log: round {number + 1} of {rounds}")
    return [
        Cost(
            writers, application_ms,
            *(Figure.of(found[writers, application_ms, way]) for way in WAYS),
        )
        for application_ms in APPLICATION_MS
        for writers in asked
    ]  # fmt: skip


def write_rate(admin_url: str, directory: Path, writers: int, seconds: float) -> float:
    """Logged writes per second, without application time."""
    directory.mkdir(parents=True, exist_ok=True)
    return pgbench.rate(admin_url, written(directory, 0), writers, seconds)


def turned(ways: list[str], number: int) -> list[str]:
    """Begin each round with another one, so that none is always measured behind the same one."""
    start = number % len(ways)
    return ways[start:] + ways[:start]


def written(directory: Path, application_ms: int, plain: str = "") -> Path:
    """Return the script of a write, which keeps a plain log itself if it is told how."""
    sleep = f"\\sleep {application_ms} ms\n" if application_ms else ""
    path = directory / f"write-{application_ms}.sql"
    path.write_text(WRITE.format(models=MODELS, sleep=sleep, plain=plain))
    return path


@contextmanager
def without(admin_url: str, _: Path) -> Iterator[None]:
    """No triggers on what is written."""
    switch(admin_url, "DISABLE")
    yield
    switch(admin_url, "ENABLE ALWAYS")


@contextmanager
def plainly(admin_url: str, directory: Path) -> Iterator[None]:
    """No triggers, and a table for a plain log."""
    with closing(servers.connect(admin_url)) as connection, connection.cursor() as cursor:
        cursor.execute(PLAIN_TABLE)
        connection.commit()
    with without(admin_url, directory):
        yield


@contextmanager
def logged(_: str, __: Path) -> Iterator[None]:
    """As it is."""
    yield


@contextmanager
def sealed(admin_url: str, directory: Path) -> Iterator[None]:
    """As it is, with the sealer beside, which has nothing left to do when the writing begins."""
    seal(admin_url, directory)
    with sealing(admin_url, directory):
        yield


WAYS = {"without": without, "plain": plainly, "logged": logged, "sealed": sealed}
"""In the order of the fields of `Cost`."""


def switch(admin_url: str, how: str) -> None:
    """Switch the triggers of a table."""
    with closing(servers.connect(admin_url)) as connection, connection.cursor() as cursor:
        for trigger in TRIGGERS:
            cursor.execute(f"ALTER TABLE registry.model_versions {how} TRIGGER {trigger}")
        connection.commit()
