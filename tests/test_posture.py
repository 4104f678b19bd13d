"""The posture: what the catalogue shows, and that each thing that is not as released is seen."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

from registry import ownership, postgres, posture, released, watch
from registry.posture import Level
from tests.cli.running import registry
from tests.conftest import as_role, database
from tools.released import found, module


@pytest.fixture(scope="module")
def url(server_url: str, template_url: str) -> Iterator[str]:
    with database(server_url, str(make_url(template_url).database)) as made:
        yield made


def seen(url: str, *statements: str, role: str = ownership.APP) -> posture.Posture:
    """The posture after a superuser has done this; it is all taken back."""
    with create_engine(url, poolclass=NullPool).connect() as connection, connection.begin() as outer:
        for statement in statements:
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(f"SET SESSION AUTHORIZATION {role}")
        driver: Any = connection.connection.dbapi_connection
        postgres.execute(driver, posture.PINNED)
        found = posture.Posture(tuple(weakness for look in posture.LOOKS for weakness in look(driver)))
        outer.rollback()
        return found


def test_what_is_released_is_what_the_migrations_make(url: str) -> None:
    triggers, functions = found(url)
    assert triggers == released.TRIGGERS, "run python -m tools.released > registry/released.py"
    assert functions == released.FUNCTIONS, "run python -m tools.released > registry/released.py"
    assert Path(str(released.__file__)).read_text() == module(triggers, functions)


def test_a_fresh_database_is_enforced_for_the_service(url: str) -> None:
    assert seen(url) == posture.Posture(())
    assert posture.at(as_role(url, ownership.APP)).level is Level.ENFORCED


NOTHING = "RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
BROKEN = [
    ("ALTER TABLE audit.event DISABLE TRIGGER guard_rows", "trigger audit.event guard_rows is not as released"),
    ("ALTER TABLE audit.seal ENABLE TRIGGER guard_rows", "trigger audit.seal guard_rows is not as released"),
    ("ALTER TABLE registry.tokens DISABLE TRIGGER a_capture", "trigger registry.tokens a_capture is not as released"),
    ("DROP TRIGGER a_capture ON registry.comments", "trigger registry.comments a_capture is missing"),
    (
        (
            "CREATE OR REPLACE TRIGGER a_capture AFTER INSERT OR UPDATE OR DELETE ON registry.comments "
            "FOR EACH ROW WHEN (false) EXECUTE FUNCTION audit.capture('comment', 'updated_at', 'text')"
        ),
        "trigger registry.comments a_capture is not as released",
    ),
    (
        "CREATE TRIGGER z BEFORE INSERT ON audit.event FOR EACH ROW EXECUTE FUNCTION audit.refuse()",
        "there is a trigger audit.event z that is none of the registry's",
    ),
    (
        (
            "CREATE TRIGGER z BEFORE UPDATE ON audit.sealer FOR EACH ROW WHEN (OLD.state <> NEW.state) "
            "EXECUTE FUNCTION audit.refuse()"
        ),
        "there is a trigger audit.sealer z that is none of the registry's",
    ),
    (
        (
            "CREATE OR REPLACE TRIGGER guard_digest BEFORE UPDATE ON registry.tokens FOR EACH ROW "
            "WHEN (OLD.digest > NEW.digest) EXECUTE FUNCTION audit.refuse(); "
            "ALTER TABLE registry.tokens ENABLE ALWAYS TRIGGER guard_digest"
        ),
        "trigger registry.tokens guard_digest is not as released",
    ),
    (f"CREATE OR REPLACE FUNCTION audit.refuse() {NOTHING}", "function audit.refuse() is not as released"),
    ("ALTER FUNCTION audit.capture() RESET search_path", "function audit.capture() is not as released"),
    ("ALTER FUNCTION audit.capture() SECURITY INVOKER", "function audit.capture() is not as released"),
    (f"CREATE FUNCTION audit.more() {NOTHING}", "there is a function audit.more() that is none of the registry's"),
    ("CREATE RULE r AS ON INSERT TO audit.event DO INSTEAD NOTHING", "a rule on audit.event: r"),
    ("CREATE POLICY p ON audit.event USING (false)", "a policy on audit.event: p"),
    ("ALTER TABLE audit.event ENABLE ROW LEVEL SECURITY", "row security on audit.event"),
    ("CREATE TABLE public.more () INHERITS (audit.checkpoint)", "inherits from audit.checkpoint"),
    ("GRANT EXECUTE ON FUNCTION audit.append(text, text, text, jsonb, jsonb) TO PUBLIC", "for PUBLIC"),
    ("ALTER EVENT TRIGGER registry_audit_command DISABLE", "registry_audit_command is not as released"),
    ("ALTER EVENT TRIGGER registry_audit_dropped ENABLE", "registry_audit_dropped is not as released"),
]
WEAK = [
    ("DROP EVENT TRIGGER registry_audit_rewritten", "registry_audit_rewritten is missing"),
    ("GRANT registry_owner TO registry_app", "registry_app owns"),
    ("GRANT audit_owner TO registry_app", "registry_app owns"),
    ("GRANT audit_owner TO registry_migrator", "registry_migrator is a member of audit_owner"),
    ("GRANT audit_sealer TO registry_app", "INSERT audit.checkpoint"),
    ("GRANT DELETE ON audit.event TO registry_app", "DELETE audit.event"),
    ("GRANT EXECUTE ON FUNCTION audit.capture() TO registry_app", "EXECUTE audit.capture()"),
    ("ALTER ROLE registry_app CREATEROLE", "CREATEROLE"),
    ("ALTER ROLE registry_app SUPERUSER", "a superuser"),
    ("ALTER SCHEMA audit OWNER TO registry_owner", "does not belong to audit_owner"),
]


@pytest.mark.parametrize(("statement", "why"), BROKEN, ids=[why for _, why in BROKEN])
def test_what_is_not_as_released_is_broken(url: str, statement: str, why: str) -> None:
    found = seen(url, "SET LOCAL client_min_messages = error", statement)
    assert found.level is Level.BROKEN
    assert [line for line in found.why if why in line], found.why


@pytest.mark.parametrize(("statement", "why"), WEAK, ids=[why for _, why in WEAK])
def test_what_leaves_the_triggers_to_somebody_is_trigger_only(url: str, statement: str, why: str) -> None:
    found = seen(url, statement)
    assert found.level is Level.TRIGGER_ONLY
    assert [line for line in found.why if why in line], found.why


def test_a_superuser_is_told_how_the_service_should_connect(url: str) -> None:
    found = posture.at(url)
    assert found.level is Level.TRIGGER_ONLY
    assert "a superuser" in found.why[0]
    assert "connect as registry_app" in found.weaknesses[0].to_do


def test_a_database_that_cannot_be_seen_is_not_called_good() -> None:
    found = posture.at("postgresql+psycopg2://u:hush@127.0.0.1:1/x")
    assert found.level is Level.BROKEN
    assert "hush" not in str(found)


def test_the_service_tells_it_with_its_readiness(client: FlaskClient) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    found = answer.get_json()
    assert (found["status"], found["audit"]["posture"], found["audit"]["why"]) == ("ready", "enforced", [])


def test_doctor_says_that_all_is_well(url: str) -> None:
    said = registry("doctor", REGISTRY_DATABASE_URL=as_role(url, ownership.APP))
    assert (said.returncode, said.stderr) == (0, "")
    first, *sealer = said.stdout.splitlines()
    assert (first, sealer[0]) == ("audit log: enforced", "sealer: silent")
    assert "run `registry sealer`" in sealer[1]


def test_doctor_says_what_is_weak_and_what_to_do_one_line_each(url: str) -> None:
    said = registry("doctor", REGISTRY_DATABASE_URL=url)
    assert said.returncode == 1
    first, second, *_ = said.stdout.splitlines()
    assert first == "audit log: trigger-only"
    assert second.startswith("- the service connects as ")
    told = json.loads(registry("doctor", "--json", REGISTRY_DATABASE_URL=url).stdout)
    assert told["posture"] == "trigger-only"
    assert set(told["reasons"][0]) == {"posture", "why", "to_do"}


def test_doctor_on_a_database_that_is_not_there_is_one_line() -> None:
    said = registry("doctor", REGISTRY_DATABASE_URL="postgresql://u:hush@127.0.0.1:1/x")
    assert said.returncode == 1
    assert said.stderr.count("\n") == 1


def test_the_log_has_it_at_the_start_and_every_hour(url: str, caplog: pytest.LogCaptureFixture) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        return len(pauses) == 3

    with caplog.at_level(logging.INFO):
        watch.Watch(as_role(url, ownership.APP)).run(pause)

    assert pauses == [3600] * 3
    assert [(line.levelname, line.getMessage()) for line in caplog.records] == [("INFO", "audit log: enforced")] * 3


def test_a_weak_posture_is_a_warning(url: str, caplog: pytest.LogCaptureFixture) -> None:
    watch.say(posture.at(url))
    [line] = caplog.records
    assert line.levelname == "WARNING"
    assert "audit log: trigger-only, because the service connects as" in line.getMessage()
