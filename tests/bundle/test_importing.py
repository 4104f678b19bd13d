"""Bringing a bundle in: all of it or nothing, once, by whom may, and into nothing but an empty registry."""

import contextlib
import io
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from registry import embedded, posture, schema
from registry.bundle import comparing, database, loading, writing
from registry.bundle.errors import BundleError, Differs, NotAble
from registry.bundle.reading import verified
from registry.bundle.sections import LEFT_OUT, SECTIONS
from registry.config import Settings
from registry.domain.access import OPERATOR
from registry.ownership import APP, MIGRATOR, SEALER
from registry.posture import Level
from tests.bundle.conftest import Lived, empty, exported, imported
from tests.bundle.test_reading import Lines, column, first, parsed, written
from tests.conftest import application, as_role, client_with, execute
from tests.conftest import database as fresh
from tests.factories import make_model
from tests.sealer.logs import CONTEXT
from tests.verification.registries import Registry

TABLES = (*(str(section.table) for section in SECTIONS.values()), *LEFT_OUT)


class Stop(Exception):
    """Something happens in the middle."""


def rows(url: str) -> dict[str, str]:
    """All that is in a registry, with the numbers of the transactions that wrote it."""
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return {
            table: str(
                connection.scalar(
                    text(f"SELECT md5(string_agg(t::text || t.xmin, '|' ORDER BY t::text)) FROM {table} t")
                )
            )
            for table in TABLES
        }


def again(url: str, bundle: bytes) -> int:
    """Import into a registry in which there is something; how many events it has beyond."""
    file = io.BytesIO(bundle)
    whole = verified(file)
    file.seek(0)
    return comparing.compare(database.connect(url, 5), file, whole)


@pytest.fixture
def target(server_url: str, template_url: str) -> Iterator[str]:
    with empty(server_url, template_url) as url:
        yield url


@pytest.fixture
def brought(target: str, bundle: bytes, lived: Lived, tmp_path: Path) -> Registry:
    imported(target, bundle)
    shutil.copytree(lived.directory, tmp_path / "sealer")
    return Registry(target, tmp_path / "sealer")


# All or nothing


@pytest.mark.parametrize("point", loading.POINTS)
def test_an_import_that_is_interrupted_leaves_nothing(target: str, bundle: bytes, point: str) -> None:
    before = rows(target)

    def stop(reached: str) -> None:
        if reached == point:
            raise Stop

    with pytest.raises(Stop):
        imported(target, bundle, stop)
    assert rows(target) == before
    assert posture.at(as_role(target, APP)).level is Level.ENFORCED
    imported(target, bundle)
    assert exported(target).count(b"\n") == bundle.count(b"\n") + 1


def test_nor_does_one_whose_connection_is_cut(target: str, bundle: bytes) -> None:
    before = rows(target)
    ours = f"application_name = 'model-registry-bundle' AND datname = '{make_url(target).database}'"
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}"
    with pytest.raises(NotAble, match="stopped answering"):
        imported(target, bundle, lambda reached: execute(target, cut) if reached == "loaded" else None)
    assert rows(target) == before


def test_a_file_that_changes_between_verification_and_import_is_refused(target: str, bundle: bytes) -> None:
    whole = verified(io.BytesIO(bundle))
    other = written(altered(parsed(bundle)))
    before = rows(target)
    with pytest.raises(BundleError, match="was changed while it was read"):
        loading.bring(database.connect(target, 5), io.BytesIO(other), whole, OPERATOR)
    assert rows(target) == before


def altered(lines: Lines) -> Lines:
    lines[first(lines, "principals")]["principals"]["name"] += "x"
    return lines


# What the database alone can find


def sealed_elsewhere(lines: Lines) -> int:
    """Two events have changed places in the log, and the tree is the same."""
    one, other = first(lines, "seal", position=3), first(lines, "seal", position=4)
    ids = [lines[place]["seal"]["event_id"] for place in (one, other)]
    lines[one]["seal"]["event_id"], lines[other]["seal"]["event_id"] = ids[::-1]
    return one


REFUSED: list[tuple[str, Callable[[Lines], int]]] = [
    ("position 3 of the log does not hold the event that was sealed there", sealed_elsewhere),
    (r"lines \d+ to \d+: the database refuses a row of tokens: .*ck_tokens_role", column("tokens", "role", "emperor")),
    ("the database refuses a row of tokens: .*fk_tokens_principal_id", column("tokens", "principal_id", 10**9)),
    ("the database refuses a row of aliases: .*fk_aliases", column("aliases", "number", 99)),
]


@pytest.mark.parametrize(("expected", "change"), REFUSED)
def test_what_the_database_refuses_is_refused_with_all_the_rest(
    target: str, bundle: bytes, expected: str, change: Callable[[Lines], int]
) -> None:
    lines = parsed(bundle)
    change(lines)
    before = rows(target)
    with pytest.raises(BundleError, match=expected):
        imported(target, written(lines))
    assert rows(target) == before


ODD = st.one_of(
    st.none(), st.integers(-3, 3), st.text(max_size=20), st.just("x" * 20_000), st.just("\\u0000"), st.just("{}")
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_forged_bundle_is_imported_or_refused_and_nothing_else(
    target: str, bundle: bytes, data: st.DataObject
) -> None:
    lines = parsed(bundle)
    for _ in range(data.draw(st.integers(1, 2))):
        line = lines[data.draw(st.integers(1, len(lines) - 1))]
        [content] = line.values()
        content[data.draw(st.sampled_from(sorted(content)))] = data.draw(ODD)

    def stop(reached: str) -> None:
        if reached == "recorded":
            raise Stop

    with contextlib.suppress(BundleError, Stop):
        imported(target, written(lines), stop)
    assert exported(target).count(b"\n") == 2


# Again


def test_a_second_import_changes_nothing(brought: Registry, bundle: bytes) -> None:
    before = rows(brought.url)
    assert again(brought.url, bundle) == 1  # the import's own
    assert rows(brought.url) == before


def test_nor_does_one_after_the_registry_went_on(brought: Registry, bundle: bytes, lived: Lived) -> None:
    brought.seal()
    assert again(brought.url, bundle) == 1
    with brought.open() as app:
        client = client_with(app, lived.issued.secret)
        assert client.delete("/api/v1/models/asked").status_code == 204
        make_model(name="new")
    assert again(brought.url, bundle) > 2
    brought.seal()
    before = rows(brought.url)
    assert again(brought.url, bundle) > 2
    assert rows(brought.url) == before


def test_nor_does_one_where_the_bundle_came_from(lived: Lived, bundle: bytes) -> None:
    before = rows(lived.url)
    assert again(lived.url, bundle) >= 0
    assert rows(lived.url) == before


DIFFERENT: list[tuple[str, str]] = [
    (
        r"principals \(id=1\) has another name in the registry than in line 2 of the bundle",
        "UPDATE registry.principals SET name = 'x' WHERE id = 1",
    ),
    (r"tokens \(id=1\) has another digest", "UPDATE registry.tokens SET digest = 'x' WHERE id = 1"),
    (
        r"the registry lacks aliases \(model_id=1, alias=champion\), line",
        "DELETE FROM registry.aliases WHERE model_id = 1",
    ),
    (
        r"the registry has aliases \(model_id=1, alias=zzz\), which the bundle lacks",
        "INSERT INTO registry.aliases VALUES (1, 'zzz', 1)",
    ),
    (
        r"stage_intervals \(model_id=1, number=1, since=.*\) has another stage",
        "UPDATE registry.stage_intervals SET stage = 'Archived' WHERE model_id = 1 AND number = 1",
    ),
    (r"event \(id=5\) has another body", "UPDATE audit.event SET body = body || ' ' WHERE id = 5"),
    (
        r"the registry lacks event \(id=5\)",
        "DELETE FROM audit.seal WHERE event_id = 5; DELETE FROM audit.event WHERE id = 5",
    ),
    (r"the registry lacks private \(event_id=1, field=", "DELETE FROM audit.private WHERE event_id = 1"),
    (r"private \(event_id=1, .*\) has another content", "UPDATE audit.private SET content = 'x' WHERE event_id = 1"),
    (r"the registry lacks seal \(position=9\)", "DELETE FROM audit.seal WHERE position = 9"),
    (r"checkpoint \(origin=model-registry/audit, size=.*\) has another note", "UPDATE audit.checkpoint SET note = 'x'"),
    ("would give ids of comments again", "SELECT setval('registry.comments_id_seq', 1)"),
]


@pytest.mark.parametrize(("expected", "statement"), DIFFERENT, ids=lambda each: each[:30])
def test_a_registry_that_differs_is_left_alone_and_the_first_difference_named(
    brought: Registry, bundle: bytes, expected: str, statement: str
) -> None:
    brought.silently(statement)
    before = rows(brought.url)
    with pytest.raises(Differs, match=expected):
        again(brought.url, bundle)
    assert rows(brought.url) == before


def test_another_registry_is_not_touched(target: str, bundle: bytes) -> None:
    with application(Settings(database_url=as_role(target, APP))) as app, app.app_context():
        make_model(name="mine")
    with pytest.raises(Differs, match=r"event \(id=1\) has another body in the registry than in line"):
        again(target, bundle)
    with pytest.raises(NotAble, match="not empty any more"):
        imported(target, bundle)


# Who may


@pytest.mark.parametrize("role", [APP, MIGRATOR, SEALER])
def test_no_role_of_the_registry_can_import(target: str, bundle: bytes, role: str) -> None:
    before = rows(target)
    with pytest.raises(NotAble, match="The database does not let this user do it"):
        imported(as_role(target, role), bundle)
    assert rows(target) == before
    assert posture.at(as_role(target, APP)).level is Level.ENFORCED


PLAIN = "registry_test_bundle"


def test_who_owns_everything_can(server_url: str, bundle: bytes, lived: Lived) -> None:
    execute(server_url, f"CREATE ROLE {PLAIN} LOGIN")
    try:
        with fresh(server_url) as url:
            execute(url, f"ALTER DATABASE {make_url(url).database} OWNER TO {PLAIN}")
            mine = as_role(url, PLAIN)
            schema.upgrade(mine)
            before = posture.at(mine)
            imported(mine, bundle)
            assert posture.at(mine) == before
            assert before.level is Level.TRIGGER_ONLY
            with application(Settings(database_url=mine)) as app:
                assert client_with(app, lived.issued.secret).get("/api/v1/models/asked").status_code == 200
            execute(url, f"DROP OWNED BY {PLAIN}")
    finally:
        execute(server_url, f"DROP ROLE {PLAIN}")


def test_who_may_create_roles_can(bundle: bytes) -> None:
    """As on hosted databases, which have no superuser: on a server of its own, where nobody has made the roles."""
    place = Path(tempfile.mkdtemp(prefix="registry-test-"))
    place.chmod(0o755)
    try:
        with embedded.start(place, durable=False) as running:
            server = embedded.as_role(running.url, embedded.SUPERUSER)
            execute(server, "DROP ROLE registry_app; DROP ROLE audit_sealer; CREATE ROLE creator LOGIN CREATEROLE")
            execute(server, "ALTER DATABASE registry OWNER TO creator")
            mine = as_role(server, "creator")
            schema.upgrade(mine)
            before = posture.at(as_role(server, APP))
            imported(mine, bundle)
            assert posture.at(as_role(server, APP)) == before
            assert len(exported(server).splitlines()) == len(bundle.splitlines()) + 1
    finally:
        shutil.rmtree(place, ignore_errors=True)


def test_nobody_writes_meanwhile(target: str, bundle: bytes) -> None:
    plain = make_url(target).set(drivername="postgresql").render_as_string(hide_password=False)
    with contextlib.closing(psycopg2.connect(plain)) as busy, busy.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM registry.aliases")
        with pytest.raises(NotAble, match="Somebody works on this database"):
            imported(target, bundle)

    def look(reached: str) -> None:
        with contextlib.closing(psycopg2.connect(plain)) as other, other.cursor() as asking:
            asking.execute("SET lock_timeout = '100ms'")
            with pytest.raises(psycopg2.errors.LockNotAvailable):
                asking.execute("SELECT count(*) FROM registry.aliases")

    imported(target, bundle, look)


def test_triggers_that_do_not_come_back_as_they_were_stop_the_import(
    target: str, bundle: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from registry.bundle import guards  # noqa: PLC0415

    before = rows(target)
    monkeypatch.setitem(guards.ENABLE, "A", "ENABLE")
    with pytest.raises(RuntimeError, match="not as they were"):
        imported(target, bundle)
    assert rows(target) == before
    assert posture.at(as_role(target, APP)).level is Level.ENFORCED


def test_what_is_done_to_the_triggers_is_one_event_and_no_ddl(brought: Registry, bundle: bytes) -> None:
    [(body,)] = brought.ask("SELECT body FROM audit.event ORDER BY id DESC LIMIT 1")
    event = json.loads(body)
    assert (event["stream"], event["seq"], event["action"]) == ("system:import", 1, "system.import")
    assert (event["actor"], event["db_user"]) == ("operator", "postgres")
    whole = verified(io.BytesIO(bundle))
    assert event["changes"]["sha256"] == [None, whole.sha256]
    assert event["changes"]["origin"] == [None, "model-registry/audit"]
    assert brought.ask("SELECT count(*) FROM audit.event") == [(whole.header.counts["event"] + 1,)]


# Tokens


def test_without_tokens_nobody_gets_in_and_nothing_else_is_missing(target: str, lived: Lived, tmp_path: Path) -> None:
    bundle = exported(lived.url, tokens=False)
    digests = [bytes(digest).hex() for (digest,) in lived.ask("SELECT digest FROM registry.tokens")]
    assert not any(digest.encode() in bundle for digest in digests)
    imported(target, bundle)
    with application(Settings(database_url=as_role(target, APP))) as app:
        assert client_with(app, lived.issued.secret).get("/api/v1/models").status_code == 401
    kept = Registry(target, lived.directory)
    assert kept.check(late_seconds=1e9).first_divergences == []
    assert all(len(bytes(digest)) != 32 for (digest,) in kept.ask("SELECT digest FROM registry.tokens"))
    before = rows(target)
    assert again(target, bundle) == 1
    assert rows(target) == before


def test_a_bundle_that_says_it_has_no_tokens_has_none(bundle: bytes) -> None:
    lines = parsed(bundle)
    lines[0]["bundle"]["tokens"] = False
    with pytest.raises(BundleError, match="the digest of tokens"):
        verified(io.BytesIO(written(lines)))


# Other registries


def test_an_empty_registry_can_be_moved(server_url: str, template_url: str, target: str) -> None:
    with empty(server_url, template_url) as url:
        bundle = exported(url)
        imported(target, bundle)
        assert again(target, bundle) == 1


def test_one_that_was_restored_once_can_be_moved(
    server_url: str, template_url: str, brought: Registry, tmp_path: Path
) -> None:
    brought.seal()
    [(size,)] = brought.ask("SELECT max(size) FROM audit.checkpoint")
    brought.silently(
        f"INSERT INTO audit.pending SELECT event_id FROM audit.seal WHERE position >= {size - 2}",
        f"DELETE FROM audit.seal WHERE position >= {size - 2}",
    )
    with brought.sealer() as sealer:
        sealer.new_epoch(CONTEXT)
    brought.seal()
    expected = brought.check(late_seconds=1e9)
    with empty(server_url, template_url) as url:
        bundle = exported(brought.url)
        imported(url, bundle)
        moved = Registry(url, brought.directory)
        found = moved.check(late_seconds=1e9)
        assert (found.divergences, found.notes) == (expected.divergences, expected.notes) == ({}, expected.notes)
        assert found.origin == "model-registry/audit/2"
        assert expected.notes


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit.event SET hash = sha256('x') WHERE id = 3",
        "DELETE FROM audit.private WHERE event_id = 1",
        "UPDATE audit.seal SET leaf = sha256('x') WHERE position = 3",
    ],
)
def test_a_registry_that_does_not_hold_together_is_not_exported(brought: Registry, statement: str) -> None:
    brought.silently(statement)
    with pytest.raises(BundleError, match=r"this registry cannot be written as a bundle: line .* says more"):
        exported(brought.url)


def test_that_it_was_exported_is_on_record(brought: Registry) -> None:
    assert writing.note(database.connect(as_role(brought.url, APP), 5), OPERATOR)
    [(body,)] = brought.ask("SELECT body FROM audit.event ORDER BY id DESC LIMIT 1")
    event = json.loads(body)
    assert (event["action"], event["actor"], event["changes"]) == (
        "audit.export",
        "operator",
        {"format": [None, "bundle"]},
    )


def test_a_server_that_takes_no_writes_is_exported_without(brought: Registry) -> None:
    name = make_url(brought.url).database
    execute(brought.url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert not writing.note(database.connect(as_role(brought.url, APP), 5), OPERATOR)
    assert exported(brought.url)


def test_how_the_database_likes_to_write_values_makes_no_difference(brought: Registry) -> None:
    before = exported(brought.url).splitlines()[1:-1]
    name = make_url(brought.url).database
    for setting in (
        "bytea_output = escape",
        "timezone = 'Asia/Kathmandu'",
        "datestyle = 'German'",
        "lc_messages = 'C'",
    ):
        execute(brought.url, f"ALTER DATABASE {name} SET {setting}")
    assert exported(brought.url).splitlines()[1:-1] == before
