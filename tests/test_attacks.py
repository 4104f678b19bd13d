"""Breaking the append-only log, on real roles: who gets how far, and what stops them.

The single role is what one database URL for everything gives: it owns all. The separate roles are those of
registry/ownership.py. `works` in a row is no mistake: it is what nothing in the database can prevent, and what the
documentation says so of; checkpoints and the replay of the log find it afterwards.
"""

import io
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg2
import pytest
from sqlalchemy import make_url

from registry import ownership, posture, schema
from registry.config import Settings
from registry.db import transaction
from registry.domain import tokens
from registry.domain.access import OPERATOR
from registry.posture import Level
from registry.vocabulary import Role
from tests.conftest import application, as_role, database, execute
from tests.factories import make_model, make_version

SINGLE = "registry_test_single"
ROLES = ("single", "app", "migrator", "audit owner", "superuser")

TRIGGER = "is append-only"
PRIVILEGE = r"permission denied for (table|schema|function|sequence)"
NOT_OWNER = "must be owner of"
GUARD = "the audit log is guarded"
NO_ACTOR = "a change needs an actor"
SETTING = "permission denied to set parameter"
WORKS = ""


@dataclass(frozen=True)
class Places:
    """Two databases alike, one of a single role, one of separate roles."""

    single: str
    separate: str

    @contextmanager
    def session(self, role: str) -> Iterator[Any]:
        """A cursor in a transaction that is rolled back."""
        with closing(psycopg2.connect(plain(self.url(role)))) as connection, connection.cursor() as cursor:
            if role == "audit owner":
                cursor.execute(f"SET SESSION AUTHORIZATION {ownership.AUDIT_OWNER}")
            yield cursor
            connection.rollback()

    def url(self, role: str) -> str:
        if role in {"app", "migrator"}:
            return as_role(self.separate, {"app": ownership.APP, "migrator": ownership.MIGRATOR}[role])
        return self.single if role == "single" else self.separate


def plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def fill(url: str) -> None:
    """Some events: of a model, a version and a token."""
    with application(Settings(database_url=url)) as app, app.app_context():
        make_version(make_model(name="attacked", team="risk"))
        with transaction(OPERATOR) as session:
            tokens.create(session, OPERATOR, name="attacked", role=Role.ADMINISTRATOR)


@contextmanager
def owned_by_one(server: str) -> Iterator[str]:
    """A database that one role has made and owns, which may do nothing else."""
    execute(server, f"DROP ROLE IF EXISTS {SINGLE}")
    execute(server, f"CREATE ROLE {SINGLE} LOGIN")
    try:
        with database(server) as url:
            execute(url, f"ALTER DATABASE {make_url(url).database} OWNER TO {SINGLE}")
            single = as_role(url, SINGLE)
            schema.upgrade(single)
            yield single
    finally:
        execute(server, f"DROP ROLE {SINGLE}")


@pytest.fixture(scope="module")
def places(server_url: str, template_url: str) -> Iterator[Places]:
    with owned_by_one(server_url) as single, database(server_url, str(make_url(template_url).database)) as separate:
        fill(single)
        fill(as_role(separate, ownership.APP))
        yield Places(single, separate)


def outcome(places: Places, role: str, script: str) -> str:
    """What the server says to this script: its refusal, or nothing."""
    with places.session(role) as cursor:
        try:
            cursor.execute(script)
        except psycopg2.Error as error:
            return str(error)
    return WORKS


CONTEXT = "SET LOCAL app.actor = 'principal:1'; SET LOCAL app.request_id = 'r'; "
COLUMNS = "body, hash, stream, seq, at_us, actor, action, object, request_id"
ONE = "(SELECT min(id) FROM audit.event WHERE action = 'registered_model_tag.set')"
DELETE = f"DELETE FROM audit.event WHERE id = {ONE}"
DESCRIBE = "UPDATE registry.registered_models SET description = 'changed'"
EVIL = "CREATE FUNCTION pg_temp.evil() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
NOTHING = "LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"


@dataclass(frozen=True)
class Attack:
    """What is tried, in one or several ways, and what becomes of it in the order of ROLES; None: makes no sense."""

    name: str
    outcomes: tuple[str | None, ...]
    ways: tuple[str, ...] = field(default=())

    def cases(self) -> Iterator[Any]:
        for role, expected in zip(ROLES, self.outcomes, strict=True):
            for number, way in enumerate(self.ways if expected is not None else (), 1):
                yield pytest.param(way, role, expected, id=f"{self.name}-{number}-{role}".replace(" ", "-"))


STOPPED = (TRIGGER, PRIVILEGE, PRIVILEGE, TRIGGER, TRIGGER)
OPEN_TO_OWNERS = (WORKS, PRIVILEGE, PRIVILEGE, WORKS, WORKS)
GUARDED = (WORKS, NOT_OWNER, NOT_OWNER, GUARD, WORKS)

ATTACKS = [
    Attack(
        "update, delete, merge, upsert",
        STOPPED,
        (
            f"UPDATE audit.event SET body = replace(body, 'operator', 'nobody') WHERE id = {ONE}",
            DELETE,
            f"MERGE INTO audit.event e USING (SELECT {ONE} AS id) x ON x.id = e.id WHEN MATCHED THEN DELETE",
            (
                f"INSERT INTO audit.event (id, {COLUMNS}) OVERRIDING SYSTEM VALUE "
                f"SELECT id, {COLUMNS} FROM audit.event LIMIT 1 ON CONFLICT (id) DO UPDATE SET hash = ''"
            ),
        ),
    ),
    Attack("truncate", STOPPED, ("TRUNCATE audit.event CASCADE", "TRUNCATE audit.seal, audit.checkpoint")),
    Attack(
        "forged insert",
        OPEN_TO_OWNERS,
        (
            (
                f"INSERT INTO audit.event ({COLUMNS}) SELECT jsonb_set(body::jsonb, '{{seq}}', '99')::text, hash, "
                f"stream, 99, at_us, actor, action, object, request_id FROM audit.event WHERE id = {ONE}"
            ),
            "INSERT INTO audit.pending VALUES (99999)",
            "UPDATE audit.stream SET seq = seq + 1",
        ),
    ),
    Attack(
        "call the append function",
        OPEN_TO_OWNERS,
        (CONTEXT + "SELECT audit.append('model:1', 'registered_model.update', 'model:1', '{}', '{}')",),
    ),
    Attack("domain write without an actor", (NO_ACTOR, NO_ACTOR, NO_ACTOR, PRIVILEGE, NO_ACTOR), (DESCRIBE,)),
    Attack("domain write with a false actor", (WORKS, WORKS, WORKS, PRIVILEGE, WORKS), (CONTEXT + DESCRIBE,)),
    Attack(
        "make a token one's own without an event",
        (TRIGGER, TRIGGER, TRIGGER, PRIVILEGE, TRIGGER),
        (
            "UPDATE registry.tokens SET digest = sha256('mine')",
            CONTEXT + "UPDATE registry.tokens SET digest = '', role = 'administrator'",
        ),
    ),
    Attack(
        "take a guard of the log away, then delete",
        GUARDED,
        (
            f"ALTER TABLE audit.event DISABLE TRIGGER guard_rows; {DELETE}",
            f"DROP TRIGGER guard_rows ON audit.event; {DELETE}",
        ),
    ),
    Attack(
        "replication role",
        (SETTING, SETTING, SETTING, SETTING, TRIGGER),
        (f"SET session_replication_role = replica; {DELETE}",),
    ),
    Attack(
        "replication role, silent write",
        (SETTING, SETTING, SETTING, SETTING, NO_ACTOR),
        (f"SET session_replication_role = replica; {DESCRIBE}",),
    ),
    Attack(
        "take a capture away, then change",
        (WORKS, NOT_OWNER, GUARD, NOT_OWNER, WORKS),
        (
            f"ALTER TABLE registry.registered_models DISABLE TRIGGER a_capture; {DESCRIBE}",
            f"ALTER TABLE registry.registered_models DISABLE TRIGGER USER; {DESCRIBE}",
            f"ALTER TABLE registry.registered_models ENABLE REPLICA TRIGGER a_capture; {DESCRIBE}",
            f"DROP TRIGGER a_capture ON registry.registered_models; {DESCRIBE}",
            "ALTER TABLE registry.registered_models RENAME TO before",
            "DROP TABLE registry.comments",
            "DROP FUNCTION registry.track_name() CASCADE",
            "ALTER TABLE registry.model_versions ALTER COLUMN source TYPE text USING 's3://elsewhere'",
        ),
    ),
    Attack(
        "rename a capture, or put another in its place",
        (WORKS, f"{NOT_OWNER}|{PRIVILEGE}", GUARD, f"{NOT_OWNER}|{PRIVILEGE}", WORKS),
        (
            "ALTER TRIGGER a_capture ON registry.registered_models RENAME TO c_capture",
            EVIL + "CREATE OR REPLACE TRIGGER a_capture AFTER UPDATE ON registry.registered_models "
            "FOR EACH ROW EXECUTE FUNCTION pg_temp.evil()",
        ),
    ),
    Attack(
        "rewrite all rows",
        GUARDED,
        ("ALTER TABLE audit.event ALTER COLUMN hash TYPE bytea USING sha256(hash)",),
    ),
    Attack(
        "swallow new events by a rule", GUARDED, ("CREATE RULE swallow AS ON INSERT TO audit.event DO INSTEAD NOTHING",)
    ),
    Attack("hide rows", GUARDED, ("ALTER TABLE audit.event ENABLE ROW LEVEL SECURITY",)),
    Attack(
        "replace the guard or the capture",
        (WORKS, PRIVILEGE, PRIVILEGE, GUARD, WORKS),
        (
            f"CREATE OR REPLACE FUNCTION audit.refuse() RETURNS trigger {NOTHING}",
            f"CREATE OR REPLACE FUNCTION audit.capture() RETURNS trigger {NOTHING}",
        ),
    ),
    Attack(
        "rewrite what is inserted",
        (WORKS, PRIVILEGE, PRIVILEGE, GUARD, WORKS),
        (EVIL + "CREATE TRIGGER evil BEFORE INSERT ON audit.event FOR EACH ROW EXECUTE FUNCTION pg_temp.evil()",),
    ),
    Attack(
        "drop, rename and replace",
        GUARDED,
        (
            "DROP TABLE audit.event CASCADE",
            "ALTER TABLE audit.event RENAME TO before; CREATE TABLE audit.event (LIKE audit.before)",
        ),
    ),
    Attack(
        "move to another schema",
        (WORKS, NOT_OWNER, NOT_OWNER, f"{GUARD}|{PRIVILEGE}", WORKS),
        ("ALTER TABLE audit.seal SET SCHEMA registry",),
    ),
    Attack(
        "drop the schema",
        (WORKS, NOT_OWNER, NOT_OWNER, f"{GUARD}|permission denied for database", WORKS),
        ("DROP SCHEMA audit CASCADE", "ALTER SCHEMA audit RENAME TO before"),
    ),
    Attack("grant oneself a right, then delete", STOPPED, (f"GRANT DELETE ON audit.event TO CURRENT_USER; {DELETE}",)),
    Attack("lock the log", OPEN_TO_OWNERS, ("LOCK TABLE audit.event IN ACCESS EXCLUSIVE MODE",)),
    Attack(
        "take the guard itself away",
        (None, NOT_OWNER, NOT_OWNER, NOT_OWNER, WORKS),
        ("DROP EVENT TRIGGER registry_audit_command", "ALTER EVENT TRIGGER registry_audit_dropped DISABLE"),
    ),
    Attack(
        "edit the catalogue",
        (PRIVILEGE, PRIVILEGE, PRIVILEGE, PRIVILEGE, WORKS),
        ("UPDATE pg_trigger SET tgenabled = 'D' WHERE tgname = 'a_capture'",),
    ),
    Attack(
        "forge what triggers write",
        (WORKS, PRIVILEGE, WORKS, PRIVILEGE, WORKS),
        ("UPDATE registry.stage_intervals SET stage = 'Production'", "DELETE FROM registry.model_words"),
    ),
    Attack(
        "hang a function of the log on a table of one's own",
        (WORKS, PRIVILEGE, PRIVILEGE, WORKS, WORKS),
        (
            (
                "CREATE TEMP TABLE mine (id int); CREATE TRIGGER mine AFTER INSERT ON mine "
                "FOR EACH ROW EXECUTE FUNCTION audit.capture('token', '', '')"
            ),
        ),
    ),
]


@pytest.mark.parametrize(("script", "role", "expected"), [case for attack in ATTACKS for case in attack.cases()])
def test_an_attack_gets_as_far_as_the_documentation_says(places: Places, script: str, role: str, expected: str) -> None:
    said = outcome(places, role, script)

    if expected:
        assert re.search(expected, said), said or "nothing stopped it"
    else:
        assert said == WORKS


@pytest.mark.parametrize(
    ("role", "expected"), list(zip(ROLES, OPEN_TO_OWNERS, strict=True)), ids=lambda each: str(each)[:12] or "works"
)
def test_a_sequence_set_back_outlives_a_rollback_and_stops_every_write(
    places: Places, role: str, expected: str
) -> None:
    back = "SELECT setval('audit.event_id_seq', 1)"
    forth = "SELECT setval('audit.event_id_seq', (SELECT max(id) FROM audit.event))"
    said = outcome(places, role, back)
    if expected:
        assert re.search(expected, said)
        return
    assert said == WORKS
    assert "pk_event" in outcome(places, "superuser" if role != "single" else role, CONTEXT + DESCRIBE)
    assert outcome(places, "superuser" if role != "single" else role, forth) == WORKS


FORGED = (
    '{"stream": "model:1", "seq": 99, "at_us": 1, "actor": "principal:1", "action": "alias.set", "object": "model:1", '
    '"request_id": "r"}\t\\\\x00\tmodel:1\t99\t1\tprincipal:1\talias.set\tmodel:1\tr\n'
)

SHADOWS = (
    "CREATE TEMP TABLE event (LIKE audit.event); CREATE TEMP TABLE stream (LIKE audit.stream); "
    "CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql AS $$ SELECT '\\x00'::bytea $$; "
    "SET LOCAL search_path = pg_temp, audit, registry, public; "
)


@pytest.mark.parametrize(("role", "expected"), list(zip(ROLES, OPEN_TO_OWNERS, strict=True)), ids=ROLES)
def test_a_forged_event_can_be_copied_in_by_owners_only(places: Places, role: str, expected: str) -> None:
    said = WORKS
    with places.session(role) as cursor:
        try:
            cursor.copy_expert(f"COPY audit.event ({COLUMNS}) FROM STDIN", io.StringIO(FORGED))
        except psycopg2.Error as error:
            said = str(error)
    assert re.search(expected, said) if expected else said == WORKS


@pytest.mark.parametrize("role", ["single", "app", "superuser"])
def test_shadows_of_the_logs_tables_and_functions_catch_no_event(places: Places, role: str) -> None:
    last = "SELECT hash, sha256('\\x00'::bytea || convert_to(body, 'UTF8')) FROM audit.event ORDER BY id DESC LIMIT 1"
    count = "SELECT count(*) FROM audit.event"
    with places.session(role) as cursor:
        cursor.execute(count)
        [before] = cursor.fetchone()
        cursor.execute(SHADOWS + CONTEXT + DESCRIBE)
        cursor.execute("SELECT count(*) FROM pg_temp.event")
        assert cursor.fetchone() == (0,)
        cursor.execute("RESET search_path")
        cursor.execute(count)
        assert cursor.fetchone() == (before + 1,)
        cursor.execute(last)
        stored, computed = cursor.fetchone()
        assert bytes(stored) == bytes(computed)


NOTED = "SELECT actor, body::json -> 'changes' FROM audit.event WHERE action = 'system.ddl' ORDER BY id DESC LIMIT 1"


@pytest.mark.parametrize(
    ("command", "rest", "named"),
    [
        ("ALTER TABLE", "audit.event DISABLE TRIGGER guard_rows", "audit.event"),
        ("ALTER TABLE", "registry.registered_models DISABLE TRIGGER a_capture", "registry.registered_models"),
        ("ALTER FUNCTION", "audit.refuse() SECURITY DEFINER", "audit.refuse()"),
        ("CREATE FUNCTION", f"audit.another() RETURNS trigger {NOTHING}", "audit.another()"),
        ("DROP TRIGGER", "a_capture ON registry.comments", "a_capture on registry.comments"),
        ("CREATE RULE", "swallow AS ON INSERT TO audit.seal DO INSTEAD NOTHING", "swallow on audit.seal"),
        ("DROP TABLE", "audit.sealer", "audit.sealer"),
    ],
)
def test_what_a_superuser_does_to_the_log_is_written_into_it(
    places: Places, command: str, rest: str, named: str
) -> None:
    with places.session("superuser") as cursor:
        cursor.execute(f"{command} {rest}")
        cursor.execute(NOTED)
        actor, changes = cursor.fetchone()

    assert actor == f"database:{make_url(places.separate).username}"
    assert changes["command"] == [None, command]
    assert named in changes["objects"][1]


def test_who_acts_is_as_before_after_a_command_was_written_down(places: Places) -> None:
    with places.session("superuser") as cursor:
        cursor.execute("ALTER TABLE audit.event SET (fillfactor = 90)")
        with pytest.raises(psycopg2.Error, match=NO_ACTOR):
            cursor.execute(DESCRIBE)


def test_a_superuser_who_switches_the_guard_off_first_is_seen_by_nobody(places: Places) -> None:
    """Nothing in the database finds this; a checkpoint kept elsewhere does (tests/sealer/test_sealing.py)."""
    with places.session("superuser") as cursor:
        cursor.execute("SELECT count(*) FROM audit.event")
        before = cursor.fetchone()
        cursor.execute("ALTER EVENT TRIGGER registry_audit_command DISABLE")
        cursor.execute("ALTER TABLE audit.event DISABLE TRIGGER guard_rows")
        cursor.execute("SELECT count(*) FROM audit.event")
        assert cursor.fetchone() == before
        cursor.execute(DELETE)
        assert cursor.rowcount == 1


def test_the_service_may_not_become_anybody_else(places: Places) -> None:
    for role in (ownership.OWNER, ownership.AUDIT_OWNER, ownership.SEALER, ownership.MIGRATOR, "postgres"):
        assert re.search("permission denied to set role", outcome(places, "app", f"SET ROLE {role}"))


def test_ordinary_migrations_need_no_superuser(places: Places) -> None:
    ordinary = (
        "SET ROLE registry_owner; ALTER TABLE registry.model_versions ADD COLUMN new text; "
        "CREATE TABLE registry.new (x int); CREATE INDEX ON registry.model_versions (new); "
        "CREATE TEMP TABLE t (x int); DROP TABLE registry.new"
    )
    assert outcome(places, "migrator", ordinary) == WORKS


def test_a_trigger_of_somebody_else_that_compares_old_and_new_rows_stops_no_migration(places: Places) -> None:
    theirs = (
        "SET ROLE registry_owner; CREATE TABLE registry.new (x int); CREATE TRIGGER t BEFORE UPDATE ON registry.new "
        "FOR EACH ROW WHEN (OLD.x <> NEW.x) EXECUTE FUNCTION suppress_redundant_updates_trigger(); "
        "ALTER TABLE registry.new ADD y int"
    )
    assert outcome(places, "migrator", theirs) == WORKS


def test_the_posture_says_how_each_of_them_stands(places: Places) -> None:
    assert posture.at(places.url("app")).level is Level.ENFORCED
    assert posture.at(places.url("app")).why == []
    for role in ("single", "migrator", "superuser"):
        assert posture.at(places.url(role)).level is Level.TRIGGER_ONLY, role
