"""Erasure: the text is nowhere in the database any more, the log verifies as before, and says who erased it and why."""

import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from registry.domain import comments, erasure, idempotency, model_versions, registered_models, stages, trash
from registry.domain.access import OPERATOR
from registry.domain.erasure import ERASED, Erasure
from registry.domain.idempotency import Answer
from registry.errors import Forbidden, Invalid, NothingToErase
from registry.ownership import APP, ERASER
from registry.vocabulary import Role, Stage
from tests.conftest import as_role, execute
from tests.factories import trusted
from tests.verification.registries import Registry, change

BASIS = "GDPR article 17, request 7"
NO_KEY = "model-registry/audit+f2c9ddb8+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
SECRET = "Grace Hopper approved this, call 555-0123"


@pytest.fixture(scope="module")
def officer(server_url: str, template_url: str) -> Iterator[str]:
    """The login of the privacy officer's tool: it may do what the service may, and erase."""
    name = f"officer_{secrets.token_hex(4)}"
    execute(server_url, f"CREATE ROLE {name} LOGIN IN ROLE {APP}, {ERASER}")
    yield name
    execute(server_url, f"DROP ROLE {name}")


@pytest.fixture
def registry(empty_database_url: str, officer: str, tmp_path: Path) -> Iterator[Registry]:
    found = Registry(empty_database_url, tmp_path / "sealer")
    with found.open(officer):
        with change() as s:
            registered_models.create(s, OPERATOR, "fraud", tags={"team": "risk"})
            model_versions.create(s, OPERATOR, "fraud", source="s3://b/k", tags={})
        yield found


Erase = Callable[[Session], Erasure]


def erased(erase: Erase) -> Erasure:
    with change() as s:
        return erase(s)


def comment_on(number: int | None, words: str) -> int:
    with change() as s:
        return comments.create(s, OPERATOR, "fraud", number, words).comment.id


def assert_gone(registry: Registry, words: str = SECRET) -> None:
    """In no column of no table, nor in the statistics of one; and everything verifies, sealed before or after."""
    found = []
    for schema, table in registry.ask("SELECT schemaname, relname FROM pg_stat_user_tables ORDER BY 1, 2"):
        rows = registry.ask(
            f'SELECT count(*) FROM "{schema}"."{table}" t WHERE position(:words IN t::text) > 0', words=words
        )
        found += [f"{schema}.{table}"] * rows[0][0]
    assert found == []
    in_bytes = "SELECT count(*) FROM registry.idempotency_keys WHERE position(convert_to(:words, 'UTF8') IN body) > 0"
    assert registry.ask(in_bytes, words=words) == [(0,)]
    with registry.engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE")
    samples = "SELECT count(*) FROM pg_stats s WHERE position(:words IN s::text) > 0"
    assert registry.ask(samples, words=words) == [(0,)]
    registry.seal()
    assert registry.check(*registry.notes()).first_divergences == []


def test_a_comment_is_gone_from_its_row_and_from_every_event(registry: Registry) -> None:
    one = comment_on(1, SECRET)
    other = comment_on(None, "stays")
    with change() as s:
        comments.edit(s, OPERATOR, "fraud", 1, one, SECRET + "!")
    registry.seal()
    kept = registry.notes()

    done = erased(lambda s: erasure.comment(s, OPERATOR, one, basis=BASIS))

    # created; edited from and to; and from what it was when the word took its place
    assert done == Erasure(texts=4, rows=1, answers=0)
    assert_gone(registry)
    assert registry.notes()[: len(kept)] == kept
    assert registry.offline(registry.notes()[-1], *kept)
    rows = registry.ask("SELECT id, text FROM registry.comments ORDER BY id")
    assert rows == [(one, ERASED), (other, "stays")]


def test_the_log_says_who_erased_what_on_which_basis(registry: Registry) -> None:
    with change(SECRET) as s:
        stages.transition(s, OPERATOR, "fraud", 1, Stage.STAGING)
    [(stream, seq)] = registry.ask("SELECT stream, seq FROM audit.event WHERE action = 'model_version.transition'")

    erased(lambda s: erasure.reason(s, OPERATOR, stream, seq, basis=BASIS))

    [(body,)] = registry.ask("SELECT body FROM audit.event WHERE action = 'audit.erase'")
    line = json.loads(body)
    assert (line["stream"], line["actor"], line["object"], line["model"]) == (
        "system:erasure", "operator", "model:1/version:1", "fraud",
    )  # fmt: skip
    said = {name: after for name, (_, after) in line["changes"].items()}
    assert said == {"stream": stream, "seq": seq, "field": "reason", "side": "after", "basis": BASIS}
    assert_gone(registry)


def test_a_deleted_and_a_purged_comment_can_still_be_erased(registry: Registry) -> None:
    deleted, purged = comment_on(None, SECRET), comment_on(1, SECRET)
    with change() as s:
        comments.delete(s, OPERATOR, "fraud", None, deleted)
        model_versions.delete(s, OPERATOR, "fraud", 1)
    with change() as s:
        trash.purge_version(s, OPERATOR, 1, 1)
    for number in (deleted, purged):
        assert erased(lambda s, n=number: erasure.comment(s, OPERATOR, n, basis=BASIS)).texts == 2  # type: ignore[misc]
    assert_gone(registry)


def test_a_description_is_gone_whatever_became_of_the_model(registry: Registry) -> None:
    with change() as s:
        registered_models.describe(s, OPERATOR, "fraud", SECRET)
        model_versions.describe(s, OPERATOR, "fraud", 1, SECRET)
    with change() as s:
        model_versions.delete(s, OPERATOR, "fraud", 1)
    assert erased(lambda s: erasure.version_description(s, OPERATOR, "fraud", 1, basis=BASIS)).rows == 1
    with change() as s:
        registered_models.delete(s, OPERATOR, "fraud")
    assert erased(lambda s: erasure.model_description(s, OPERATOR, "fraud", basis=BASIS)).rows == 1
    assert_gone(registry)
    with change() as s:
        trash.purge_model(s, OPERATOR, 1)
    assert_gone(registry)
    assert_gone(registry, "555-0123")


def test_of_one_name_the_live_model_is_meant_and_else_the_deleted_ones(registry: Registry) -> None:
    for words in (SECRET, "of the second"):
        with change() as s:
            registered_models.describe(s, OPERATOR, "fraud", words)
        with change() as s:
            registered_models.delete(s, OPERATOR, "fraud")
            registered_models.create(s, OPERATOR, "fraud", tags={})
    with pytest.raises(NothingToErase):
        erased(lambda s: erasure.model_description(s, OPERATOR, "fraud", basis=BASIS))
    with change() as s:
        registered_models.delete(s, OPERATOR, "fraud")
    assert erased(lambda s: erasure.model_description(s, OPERATOR, "fraud", basis=BASIS)).rows == 2
    assert_gone(registry)
    assert_gone(registry, "of the second")


def test_answers_that_repeat_the_text_go_and_others_stay(registry: Registry) -> None:
    number = comment_on(1, 'say "ä"')
    with change() as s:
        for key, body in {
            "plain": json.dumps({"text": 'say "ä"'}, ensure_ascii=False).encode(),
            "escaped": json.dumps({"comments": [{"text": 'say "ä"'}]}).encode(),
            "other": b'{"text": "say nothing"}',
            "no json": 'it was: say "ä"'.encode(),
        }.items():
            idempotency.keep(s, OPERATOR, key, b"r" * 32, Answer(200, {}, body))
    assert erased(lambda s: erasure.comment(s, OPERATOR, number, basis=BASIS)).answers == 3
    assert registry.ask("SELECT body FROM registry.idempotency_keys")[0][0].tobytes() == b'{"text": "say nothing"}'


REFUSED: list[tuple[type[Exception], Erase]] = [
    (NothingToErase, lambda s: erasure.comment(s, OPERATOR, 999, basis=BASIS)),
    (NothingToErase, lambda s: erasure.comment(s, OPERATOR, 2**70, basis=BASIS)),
    (NothingToErase, lambda s: erasure.model_description(s, OPERATOR, "nobody", basis=BASIS)),
    (NothingToErase, lambda s: erasure.model_description(s, OPERATOR, "fraud", basis=BASIS)),
    (NothingToErase, lambda s: erasure.version_description(s, OPERATOR, "fraud", 9, basis=BASIS)),
    (NothingToErase, lambda s: erasure.reason(s, OPERATOR, "model:1", 1, basis=BASIS)),
    (Invalid, lambda s: erasure.comment(s, OPERATOR, 1, basis=" ")),
    (Invalid, lambda s: erasure.comment(s, OPERATOR, 1, basis="x" * 1001)),
    (Forbidden, lambda s: erasure.comment(s, trusted("p", Role.APPROVER), 1, basis=BASIS)),
]


@pytest.mark.parametrize(("kind", "erase"), REFUSED)
def test_what_is_refused_changes_nothing(registry: Registry, kind: type[Exception], erase: Erase) -> None:
    before = registry.ask("SELECT max(id) FROM audit.event")
    with pytest.raises(kind):
        erased(erase)
    assert registry.ask("SELECT max(id) FROM audit.event") == before


def test_nothing_is_erased_twice(registry: Registry) -> None:
    number = comment_on(1, SECRET)
    erased(lambda s: erasure.comment(s, OPERATOR, number, basis=BASIS))
    with pytest.raises(NothingToErase):
        erased(lambda s: erasure.comment(s, OPERATOR, number, basis=BASIS))


def test_a_text_that_is_written_again_can_be_erased_again(registry: Registry) -> None:
    number = comment_on(1, SECRET)
    erased(lambda s: erasure.comment(s, OPERATOR, number, basis=BASIS))
    with change() as s:
        comments.edit(s, OPERATOR, "fraud", 1, number, SECRET)
    assert erased(lambda s: erasure.comment(s, OPERATOR, number, basis=BASIS)).texts == 2
    assert_gone(registry)


# The guard, as the owner and superuser that these tests are

TEXT = "event_id = (SELECT id FROM audit.event WHERE action = 'comment.create' LIMIT 1)"
ERASE_IT = f"SELECT audit.erase(event_id, field, side, 'b') FROM audit.private WHERE {TEXT}"
ACT = "SELECT set_config('app.actor', 'a', true), set_config('app.request_id', 'r', true)"
ATTACKS = [
    ["DELETE FROM audit.private"],
    ["UPDATE audit.private SET content = ''"],
    ["UPDATE audit.private SET salt = ''"],
    ["TRUNCATE audit.private"],
    ["SET session_replication_role = replica", "DELETE FROM audit.private"],
    # the setting is a hint, and no permission
    ["SET LOCAL audit.erasure = '1'", "DELETE FROM audit.private"],
    ["SET LOCAL audit.erasure = 'on'", "DELETE FROM audit.private"],
    ["SET LOCAL audit.erasure = '99999999999999999999999'", "DELETE FROM audit.private"],
    # an erasure of another text permits nothing
    [
        ACT,
        ERASE_IT,
        "SELECT set_config('audit.erasure', max(id)::text, true) FROM audit.event",
        "DELETE FROM audit.private",
    ],
    [
        ACT,
        ERASE_IT,
        "SELECT set_config('audit.erasure', max(id)::text, true) FROM audit.event",
        "UPDATE audit.private SET content = 'x'",
    ],
    # what audit.erase leaves behind permits nothing either
    [ACT, ERASE_IT, "DELETE FROM audit.private"],
    [
        "MERGE INTO audit.private p USING audit.event e ON e.id = p.event_id WHEN MATCHED THEN DELETE",
    ],
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack[-1][:40] + f"-{len(attack)}")
def test_no_text_leaves_but_by_an_erasure_that_names_it(registry: Registry, attack: list[str]) -> None:
    comment_on(1, "one")
    comment_on(1, "two")
    before = registry.ask("SELECT * FROM audit.private ORDER BY event_id")
    with pytest.raises(DBAPIError, match="append-only"), registry.engine.begin() as connection:
        for statement in attack:
            connection.exec_driver_sql(statement)
    assert [row[4] for row in registry.ask("SELECT * FROM audit.private ORDER BY event_id")] == [
        row[4] for row in before
    ]


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ("audit.erase(1, 'text', 'after', 'b')", "no text"),
        (f"audit.erase((SELECT event_id FROM audit.private WHERE {TEXT}), 'text', 'before', 'b')", "no text"),
        (f"audit.erase((SELECT event_id FROM audit.private WHERE {TEXT}), 'text', 'after', ' ')", "legal basis"),
        (f"audit.erase((SELECT event_id FROM audit.private WHERE {TEXT}), 'text', 'after', NULL)", "legal basis"),
        (
            f"audit.erase((SELECT event_id FROM audit.private WHERE {TEXT}), 'text', 'after', repeat('x', 1001))",
            "legal",
        ),
    ],
)
def test_the_function_wants_a_text_that_is_there_and_a_basis(registry: Registry, call: str, why: str) -> None:
    comment_on(1, "one")
    with pytest.raises(DBAPIError, match=why), registry.engine.begin() as connection:
        connection.exec_driver_sql(ACT)
        connection.exec_driver_sql(f"SELECT {call}")


def test_without_an_actor_nothing_is_erased(registry: Registry) -> None:
    comment_on(1, "one")
    with pytest.raises(DBAPIError, match="actor"), registry.engine.begin() as connection:
        connection.exec_driver_sql(ERASE_IT)


@pytest.mark.parametrize("role", ["registry_app", "audit_sealer", "audit_reader", "registry_migrator"])
def test_no_other_role_erases(registry: Registry, role: str) -> None:
    number = comment_on(1, "one")
    with registry.open(role), pytest.raises(DBAPIError, match="permission denied"):
        if role == "registry_app":
            erased(lambda s: erasure.comment(s, OPERATOR, number, basis=BASIS))
        else:
            erased(lambda s: s.execute(text(f"{ACT}; SELECT audit.erase(1, 'text', 'after', 'b')")))  # type: ignore[arg-type,return-value]
    assert registry.ask("SELECT text FROM registry.comments") == [("one",)]


def test_the_eraser_alone_erases_what_it_is_told_and_reads_nothing(registry: Registry) -> None:
    comment_on(1, "one")
    [(event,)] = registry.ask(f"SELECT event_id FROM audit.private WHERE {TEXT}")
    eraser = create_engine(as_role(registry.url, ERASER), poolclass=NullPool)
    for table in ("audit.private", "audit.event", "registry.comments"):
        with pytest.raises(DBAPIError, match="permission denied"), eraser.begin() as connection:
            connection.exec_driver_sql(f"SELECT * FROM {table}")
    with eraser.begin() as connection:
        connection.exec_driver_sql(ACT)
        connection.exec_driver_sql(f"SELECT audit.erase({event}, 'text', 'after', 'b')")
    report = registry.check(keys=[NO_KEY])
    assert [(one.check, one.table, one.what) for one in report.first_divergences] == [
        ("replay", "comments", "the text was erased from the log, but the table still has one")
    ]


def test_nobody_may_call_it_unless_told_so(registry: Registry) -> None:
    granted = registry.ask(
        "SELECT proname FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) "
        "WHERE pronamespace = 'audit'::regnamespace AND proname IN ('erase', 'refuse_unless_erased') AND grantee = 0"
    )
    assert granted == []
