"""Who owns what after an upgrade: by a superuser, by one who may only create roles, by a plain owner, and by turns."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

from registry import embedded, ownership, posture, schema
from registry.config import Settings
from registry.db import transaction
from registry.domain import erasure, registered_models
from registry.domain.access import OPERATOR
from registry.ledger.note import Verifier
from registry.posture import Level
from registry.schema import SchemaError
from registry.sealer import process
from registry.sealer.place import PUBLIC
from registry.verification import database as verification
from registry.verification.keys import Keys
from registry.verification.verify import Verification
from tests.conftest import application, as_role, database, execute
from tests.factories import make_model, unique

PLAIN = "registry_test_plain"
OWNERS = (
    "SELECT DISTINCT relnamespace::regnamespace || ' ' || relowner::regrole FROM pg_class "
    "WHERE relnamespace::regnamespace::text IN ('registry', 'audit') ORDER BY 1"
)


def ask(url: str, question: str) -> list[Any]:
    """The first column of the answer."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with closing(psycopg2.connect(plain)) as connection, connection.cursor() as cursor:
        cursor.execute(question)
        return [row[0] for row in cursor.fetchall()]


@contextmanager
def owned(server: str, role: str) -> Iterator[tuple[str, str]]:
    """A database without anything in it, as the superuser and as the login that owns it."""
    execute(server, f"CREATE ROLE {role} LOGIN")
    try:
        with database(server) as url:
            execute(url, f"ALTER DATABASE {make_url(url).database} OWNER TO {role}")
            yield url, as_role(url, role)
            execute(url, f"DROP OWNED BY {role}")
    finally:
        execute(server, f"DROP ROLE {role}")


@pytest.fixture
def plain(server_url: str) -> Iterator[tuple[str, str]]:
    with owned(server_url, PLAIN) as urls:
        yield urls


def works(url: str) -> None:
    """The service does its work as this user, the record of it included."""
    with application(Settings(database_url=url)) as app, app.app_context():
        name = make_model(name=unique())
        with transaction(OPERATOR, reason="to see") as session:
            registered_models.describe(session, OPERATOR, name, "seen")


def settled(url: str) -> bool:
    """Whether settling would do anything."""
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return not ownership.settle(connection)


def test_a_superuser_separates_the_roles_and_does_it_once(server_url: str) -> None:
    with database(server_url) as url:
        schema.upgrade(url)
        assert ask(url, OWNERS) == ["audit audit_owner", "registry registry_owner"]
        assert ask(url, "SELECT count(*) FROM audit.event") == [0]
        assert settled(url)
        schema.upgrade(url)
        assert ask(url, "SELECT count(*) FROM audit.event") == [0]
        works(as_role(url, ownership.APP))
        assert posture.at(as_role(url, ownership.APP)).why == []


def test_several_databases_of_one_server_share_the_roles(server_url: str) -> None:
    with database(server_url) as one, database(server_url) as other:
        for url in (one, other):
            schema.upgrade(url)
            works(as_role(url, ownership.APP))
            assert posture.at(as_role(url, ownership.APP)).level is Level.ENFORCED


def test_a_plain_owner_works_with_the_one_role_that_there_is(plain: tuple[str, str]) -> None:
    _, mine = plain
    schema.upgrade(mine)

    assert ask(mine, OWNERS) == [f"audit {PLAIN}", f"registry {PLAIN}"]
    works(mine)
    found = posture.at(mine)
    assert found.level is Level.TRIGGER_ONLY
    assert any(f"{PLAIN} owns" in why for why in found.why)


def test_a_single_role_seals_erases_and_verifies(plain: tuple[str, str], tmp_path: Path) -> None:
    _, mine = plain
    schema.upgrade(mine)
    settings = Settings(database_url=mine, sealer_dir=tmp_path)
    works(mine)
    with application(settings) as app, app.app_context(), transaction(OPERATOR) as session:
        erasure.reason(session, OPERATOR, "model:1", 2, basis="article 17")
    process.run(settings, say=lambda _: None, once=True)

    key = Verifier.parse((tmp_path / PUBLIC).read_text().strip())
    report = Verification(Keys([key]), late_seconds=0).run(verification.connect(mine, 5))
    assert (report.divergences, report.sealed, report.erased) == ({}, report.events, 1)


def test_a_superuser_completes_it_later_and_the_service_goes_on(plain: tuple[str, str]) -> None:
    super_url, mine = plain
    schema.upgrade(mine)
    works(mine)

    schema.upgrade(super_url)

    assert ask(super_url, OWNERS) == ["audit audit_owner", "registry registry_owner"]
    works(mine)
    assert posture.at(as_role(super_url, ownership.APP)).why == []
    [why, *_] = posture.at(mine).why
    assert "owns the database" in why  # which is no way to the log, but to its end
    execute(super_url, f"ALTER DATABASE {make_url(super_url).database} OWNER TO CURRENT_USER")
    assert ["audit_sealer" in line or "INSERT audit.seal" in line for line in posture.at(mine).why] == [True]
    execute(super_url, f"REVOKE {ownership.SEALER} FROM {PLAIN}")
    assert posture.at(mine).level is Level.ENFORCED


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for a server of a test's own; root's substitute must get through."""
    made = Path(tempfile.mkdtemp(prefix="registry-test-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def test_who_may_create_roles_separates_them_without_the_guard(place: Path) -> None:
    """As on hosted databases, which have no superuser. On a server of its own, where nobody has made the roles."""
    with embedded.start(place, durable=False) as running:
        server = embedded.as_role(running.url, embedded.SUPERUSER)
        execute(server, "DROP ROLE registry_app; DROP ROLE audit_sealer; CREATE ROLE creator LOGIN CREATEROLE")
        execute(server, "ALTER DATABASE registry OWNER TO creator")
        mine, service = as_role(server, "creator"), as_role(server, ownership.APP)

        schema.upgrade(mine)
        assert ask(mine, OWNERS) == ["audit audit_owner", "registry registry_owner"]
        assert settled(mine)
        works(service)
        found = posture.at(service)
        assert found.level is Level.TRIGGER_ONLY
        assert all("event trigger" in why or "creator is a member" in why for why in found.why), found.why

        schema.upgrade(server)
        works(service)
        schema.upgrade(mine)  # from now on a migrator as any other
        assert posture.at(service).why == []


OF_THE_LOG = (
    "CREATE TABLE audit.more (x int); ALTER TABLE audit.event ADD z int; "
    "CREATE TRIGGER more BEFORE UPDATE ON registry.tokens FOR EACH ROW EXECUTE FUNCTION audit.refuse(); "
    "DROP TRIGGER more ON registry.tokens"
)


def test_who_may_create_roles_goes_on_upgrading_the_log(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with embedded.start(place, durable=False) as running:
        server = embedded.as_role(running.url, embedded.SUPERUSER)
        execute(server, "DROP ROLE registry_app; DROP ROLE audit_sealer; CREATE ROLE creator LOGIN CREATEROLE")
        execute(server, "ALTER DATABASE registry OWNER TO creator")
        mine = as_role(server, "creator")
        schema.upgrade(mine)
        with_another_migration(tmp_path, monkeypatch, OF_THE_LOG)

        schema.upgrade(mine)

        assert schema.current(mine) == "9999"
        assert ask(mine, OWNERS) == ["audit audit_owner", "registry registry_owner"]
        works(as_role(server, ownership.APP))


def test_the_migrator_can_upgrade_and_what_it_makes_belongs_to_the_owner(
    server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database(server_url) as url:
        schema.upgrade(url)
        with_another_migration(
            tmp_path, monkeypatch, "CREATE TABLE registry.more (x int); ALTER TABLE registry.tokens ADD z int"
        )
        migrator = as_role(url, ownership.MIGRATOR)
        schema.upgrade(migrator)

        assert schema.current(migrator) == "9999"
        assert ask(url, "SELECT relowner::regrole::text FROM pg_class WHERE oid = 'registry.more'::regclass") == [
            ownership.OWNER
        ]
        assert ask(as_role(url, ownership.APP), "SELECT count(*) FROM registry.more") == [0]


@pytest.mark.parametrize(
    "sql", ["ALTER TABLE audit.event ADD z int", "ALTER TABLE registry.tokens DISABLE TRIGGER a_capture"]
)
def test_a_migration_of_the_log_takes_a_superuser(
    server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    with database(server_url) as url:
        schema.upgrade(url)
        with_another_migration(tmp_path, monkeypatch, sql)
        with pytest.raises(SchemaError, match="a superuser where it changes the audit log"):
            schema.upgrade(as_role(url, ownership.MIGRATOR))
        schema.upgrade(url)
        [actor] = ask(url, "SELECT DISTINCT actor FROM audit.event WHERE action = 'system.ddl' AND seq = 1")
        assert actor == "migration:9999"


def with_another_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str) -> None:
    """Have one more migration after the last."""
    for name in ("env.py", "script.py.mako"):
        (tmp_path / name).write_text((schema.migrations_dir() / name).read_text())
    (tmp_path / "versions").mkdir()
    for path in (schema.migrations_dir() / "versions").glob("*.py"):
        (tmp_path / "versions" / path.name).write_text(path.read_text())
    text = f'from alembic import op\nrevision = "9999"\ndown_revision = "{schema.head()}"\n'
    (tmp_path / "versions" / "9999.py").write_text(f'{text}def upgrade():\n    op.execute("""{sql}""")\n')
    schema.revisions.cache_clear()
    monkeypatch.setattr(schema, "migrations_dir", lambda: tmp_path)


@pytest.fixture(autouse=True)
def scripts_of_the_code() -> Iterator[None]:
    yield
    schema.revisions.cache_clear()


def test_who_may_not_read_is_told_which_role_to_join(server_url: str, plain: tuple[str, str]) -> None:
    super_url, mine = plain
    schema.upgrade(super_url)
    [problem] = schema.check(mine)
    assert "may not read the registry" in problem
    assert "a member of registry_app" in problem


def test_the_service_may_do_no_more_than_it_needs(database_url: str) -> None:
    rights = (
        "SELECT string_agg(privilege_type, ' ' ORDER BY privilege_type) || ' ' || table_schema || '.' || table_name "
        "FROM information_schema.role_table_grants WHERE grantee = 'registry_app' AND table_schema = 'audit' "
        "GROUP BY table_schema, table_name ORDER BY table_name"
    )
    tables = ("checkpoint", "event", "private", "seal", "sealer", "stream", "subtree")
    assert ask(database_url, rights) == [f"SELECT audit.{table}" for table in tables]
    callable_ = (
        "SELECT p.oid::regprocedure::text FROM pg_proc p WHERE pronamespace = 'audit'::regnamespace "
        "AND has_function_privilege('registry_app', p.oid, 'EXECUTE') ORDER BY 1"
    )
    assert ask(database_url, callable_) == ["audit.instant(text)", "audit.note(text,jsonb)"]
    no_write = (
        "SELECT c.oid::regclass::text FROM pg_class c WHERE relnamespace = 'registry'::regnamespace AND relkind = 'r' "
        "AND NOT has_table_privilege('registry_app', c.oid, 'INSERT') ORDER BY 1"
    )
    only_read = ("alembic_version", "alias_intervals", "model_words", "name_intervals", "stage_intervals")
    assert ask(database_url, no_write) == [f"registry.{table}" for table in only_read]


def test_nobody_is_a_member_of_the_logs_owner_and_no_owner_logs_in(database_url: str) -> None:
    assert ask(database_url, "SELECT 1 FROM pg_auth_members WHERE roleid = 'audit_owner'::regrole") == []
    login = "SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname IN ('registry_owner', 'audit_owner')"
    assert ask(database_url, login) == []


def test_a_reader_sees_the_log_and_what_it_is_compared_with_but_no_digest_of_a_token(database_url: str) -> None:
    reader = as_role(database_url, ownership.READER)
    for table in ("event", "private", "seal", "checkpoint", "stream", "pending"):
        ask(reader, f"SELECT count(*) FROM audit.{table}")
    ask(reader, "SELECT count(id) FROM registry.tokens")
    for secret in ("SELECT digest FROM registry.tokens", "SELECT body FROM registry.idempotency_keys"):
        with pytest.raises(psycopg2.Error, match="permission denied"):
            ask(reader, secret)


def test_an_embedded_database_of_one_role_is_taken_over(place: Path) -> None:
    """As releases before this one made it: everything, the database too, belongs to the role of the service."""
    with embedded.start(place, durable=False) as running:
        execute(running.admin_url, "CREATE ROLE registry LOGIN CREATEDB")
        execute(running.admin_url, "ALTER DATABASE registry OWNER TO registry")
        schema.upgrade(embedded.as_role(running.url, "registry"))
        works(embedded.as_role(running.url, "registry"))
    with embedded.start(place, durable=False) as running:
        schema.upgrade(running.admin_url)
        works(running.url)
        assert posture.at(running.url).why == []
