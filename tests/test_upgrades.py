"""What upgrades make of the data that a database has already."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from registry import ownership, schema
from registry.config import Settings
from registry.db import db
from registry.domain import tokens
from registry.verification.verify import Verification
from registry.vocabulary import Role
from tests.conftest import application, database
from tests.factories import authenticate

BEFORE_GRANTS = 11
BEFORE_CHEAPER = 14
BEFORE_WORDS_APART = 16
MAKE = """
    SELECT set_config('app.actor', 'test', true), set_config('app.request_id', 'test', true);
    INSERT INTO registry.principals (name) SELECT DISTINCT name FROM unnest(CAST(:names AS text[])) name;
    INSERT INTO registry.tokens (principal_id, role, digest, revoked_at, expires_at)
        SELECT p.id, t.role, sha256(convert_to(t.secret, 'UTF8')), t.revoked_at, t.expires_at
        FROM unnest(CAST(:names AS text[]), CAST(:roles AS text[]), CAST(:secrets AS text[]),
            CAST(:revoked AS timestamptz[]), CAST(:expires AS timestamptz[]))
            AS t (name, role, secret, revoked_at, expires_at)
        JOIN registry.principals p USING (name)
"""
LONG_AGO = "2020-01-01T00:00:00Z"
TOKENS = [
    # whose, role, secret, revoked at, expires at
    ("ada", "administrator", "a-1", None, None),
    ("ada", "viewer", "a-2", None, "2999-01-01T00:00:00Z"),
    ("bob", "contributor", "b-1", None, None),
    ("bob", "approver", "b-2", LONG_AGO, None),
    ("eve", "administrator", "e-1", None, LONG_AGO),
]


@pytest.fixture
def until(request: pytest.FixtureRequest) -> int:
    """The last migration that the database has: before there were grants, unless a test says otherwise."""
    return int(getattr(request, "param", BEFORE_GRANTS))


@pytest.fixture
def old_url(server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: int) -> Iterator[str]:
    """A database as it was in earlier days."""
    here = schema.migrations_dir()
    shutil.copytree(here, tmp_path / "migrations")
    for path in (tmp_path / "migrations" / "versions").glob("*.py"):
        if int(path.name[:4]) > until:
            path.unlink()
    with database(server_url) as url, monkeypatch.context() as then:
        then.setattr(schema, "migrations_dir", lambda: tmp_path / "migrations")
        then.setattr(ownership, "settle", lambda _: False)  # it knows all the tables of today
        schema.revisions.cache_clear()
        schema.upgrade(url)
        then.undo()
        schema.revisions.cache_clear()
        yield url


def test_every_token_is_worth_after_the_upgrade_what_it_was_before(old_url: str) -> None:
    names, roles, secrets, revoked, expires = (list(column) for column in zip(*TOKENS, strict=True))
    given = {"names": names, "roles": roles, "secrets": secrets, "revoked": revoked, "expires": expires}
    with create_engine(old_url, poolclass=NullPool).begin() as connection:
        for statement in MAKE.split(";"):
            connection.execute(text(statement), {key: given[key] for key in given if f":{key}" in statement})
    schema.upgrade(old_url)
    with application(Settings(database_url=old_url)) as app, app.app_context():
        found = {secret: authenticate(db.session(), secret) for secret in secrets}
        worth = {secret: holder and holder.principal.role for secret, holder in found.items()}
        granted = "SELECT p.name, g.role, g.pattern FROM registry.grants g JOIN registry.principals p"
        made = db.session.execute(text(f"{granted} ON p.id = g.principal_id")).all()
        events = db.session.scalars(text("SELECT actor FROM audit.event WHERE action = 'grant.create'")).all()
    assert worth == {
        "a-1": Role.ADMINISTRATOR,
        "a-2": Role.VIEWER,
        "b-1": Role.CONTRIBUTOR,
        "b-2": None,
        "e-1": None,
    }
    assert sorted(map(tuple, made)) == [("ada", "administrator", "*"), ("bob", "contributor", "*")]
    assert set(events) == {"migration:0012"}
    assert hashlib.sha256(b"a-1").digest() == tokens.digest("a-1")


LONG = "s3://bucket/" + "long/" * 300
TOLD = (
    "SELECT set_config('app.actor', 'principal:1', true), set_config('app.credential', 'token:1', true), "
    "set_config('app.request_id', 'r', true), set_config('app.reason', '{reason}', true); "
)
THEN = "timestamptz '2026-01-01 00:00:00.5+02'"
A_LIFE = (
    # Each line is a transaction: rows made, changed and removed, of every kind, with texts that are kept apart.
    f"INSERT INTO registry.principals (name, created_at) VALUES ('ada \"a\" \\ \u00e4', {THEN})",
    (
        "INSERT INTO registry.tokens (principal_id, role, digest, description, models, created_at) "
        f"VALUES (1, 'viewer', '\\x01', 'hers', ARRAY['a*', NULL, 'b'], {THEN})"
    ),
    f"UPDATE registry.tokens SET last_used_at = {THEN}; UPDATE registry.tokens SET revoked_at = {THEN}",
    (
        f"INSERT INTO registry.registered_models (name, created_at, updated_at, created_by) "
        f"VALUES ('m', {THEN}, {THEN}, 'principal:1'), ('n', {THEN}, {THEN}, 'principal:1')"
    ),
    (
        f"INSERT INTO registry.grants (principal_id, effect, role, model_id, created_at, created_by, description) "
        f"VALUES (1, 'allow', 'owner', 1, {THEN}, 'principal:1', 'made it')"
    ),
    "DELETE FROM registry.grants",
    "UPDATE registry.registered_models SET updated_at = now(), last_number = 3 WHERE id = 1",
    "UPDATE registry.registered_models SET description = 'words', name = 'm' WHERE id = 1",
    "UPDATE registry.registered_models SET description = 'other words', name = 'o' WHERE id = 1",
    (
        "INSERT INTO registry.model_versions "
        "(model_id, number, source, description, created_at, updated_at, created_by) "
        f"SELECT 1, n, '{LONG}' || n, 'about ' || n, {THEN}, {THEN}, 'principal:1' FROM generate_series(1, 3) n"
    ),
    (
        "UPDATE registry.model_versions SET stage = 'Production', description = NULL WHERE number = 1; "
        "UPDATE registry.model_versions SET stage = 'Archived' WHERE number = 1; "
        "UPDATE registry.model_versions SET stage = 'Production' WHERE number = 2"
    ),
    "UPDATE registry.model_versions SET description = 'more'",
    "UPDATE registry.model_versions SET digest = 'sha256:00', updated_at = now() WHERE number = 2",
    "INSERT INTO registry.registered_model_tags VALUES (1, 'k/1', 'v'), (2, 'k', '')",
    f"UPDATE registry.registered_model_tags SET value = '{LONG}'; DELETE FROM registry.registered_model_tags",
    (
        "INSERT INTO registry.model_version_tags VALUES (1, 2, 'k', 'a'); "
        "INSERT INTO registry.model_version_tags VALUES (1, 2, 'k', 'b') "
        "ON CONFLICT (model_id, number, key) DO UPDATE SET value = excluded.value"
    ),
    "DELETE FROM registry.model_version_tags",
    "INSERT INTO registry.aliases VALUES (1, 'champion', 1); UPDATE registry.aliases SET number = 2",
    "UPDATE registry.aliases SET number = 3; UPDATE registry.aliases SET number = 3",
    "UPDATE registry.aliases SET number = 3; UPDATE registry.aliases SET number = 1",
    "DELETE FROM registry.aliases; INSERT INTO registry.aliases VALUES (1, 'champion', 1)",
    (
        "DELETE FROM registry.aliases; INSERT INTO registry.aliases VALUES (1, 'champion', 2); "
        "DELETE FROM registry.aliases"
    ),
    (
        f"INSERT INTO registry.comments (model_id, number, author, text, created_at, updated_at) "
        f"VALUES (1, 2, 'principal:1', 'first', {THEN}, {THEN}), (1, NULL, 'principal:1', 'of all', {THEN}, {THEN})"
    ),
    "UPDATE registry.comments SET text = 'second', updated_at = now(); DELETE FROM registry.comments",
    f"UPDATE registry.model_versions SET deleted_at = {THEN} WHERE number < 3",
    (
        "UPDATE registry.model_versions SET deleted_at = NULL WHERE number = 1; "
        "DELETE FROM registry.model_versions WHERE number = 2"
    ),
    f"UPDATE registry.registered_models SET deleted_at = {THEN} WHERE id = 2",
    f"UPDATE registry.registered_models SET purged_at = {THEN} WHERE id = 2",
)
LINES = "SELECT body FROM audit.event WHERE stream NOT LIKE 'system:%' ORDER BY id"
CANONICAL = "SELECT count(*) FROM audit.event WHERE body <> body::jsonb::text"
TEXTS = (
    "SELECT e.stream, e.seq, p.field, p.side, p.content FROM audit.private p JOIN audit.event e ON e.id = p.event_id "
    "ORDER BY e.id, p.field, p.side"
)
TRACKED = (
    "SELECT model_id, number, stage, opened_seq, closed_seq FROM registry.stage_intervals ORDER BY 1, opened_seq, 2",
    "SELECT model_id, number, alias, opened_seq, closed_seq FROM registry.alias_intervals ORDER BY 1, opened_seq, 2",
    "SELECT model_id, name, opened_seq, closed_seq FROM registry.name_intervals ORDER BY 1, opened_seq",
)


def live(url: str) -> None:
    """Let everything happen, in SQL, as of any release."""
    with create_engine(url, poolclass=NullPool).connect() as connection:
        plain = connection.execution_options(no_parameters=True)
        for number, statements in enumerate(A_LIFE):
            with connection.begin():
                plain.exec_driver_sql(TOLD.format(reason="because" if number % 2 else ""))
                plain.exec_driver_sql(statements)


def told(url: str) -> list[Any]:
    """What the log and the intervals say, but for times, salts and hashes, which differ each time."""
    with create_engine(url, poolclass=NullPool).connect() as connection:
        assert connection.scalar(text(CANONICAL)) == 0
        lines = [json.loads(body) for body in connection.scalars(text(LINES))]
        others = [list(map(tuple, connection.execute(text(question)))) for question in (TEXTS, *TRACKED)]
    for line in lines:
        line.update({"at_us": 0, "prev": bool(line["prev"])})
    return [json.loads(re.sub(r'(salted_sha256": ")[0-9a-f]{64}', r"\1", json.dumps(lines))), *others]


@pytest.mark.parametrize("until", [BEFORE_CHEAPER, BEFORE_WORDS_APART], indirect=True)
def test_the_cheaper_log_says_what_the_one_before_said(old_url: str, server_url: str) -> None:
    with database(server_url) as new_url:
        schema.upgrade(new_url)
        for url in (old_url, new_url):
            live(url)
        assert told(old_url) == told(new_url)


@pytest.mark.parametrize("until", [BEFORE_CHEAPER, BEFORE_WORDS_APART], indirect=True)
def test_an_old_log_and_what_follows_in_the_cheaper_one_are_one_log(old_url: str) -> None:
    live(old_url)
    schema.upgrade(old_url)
    with create_engine(old_url, poolclass=NullPool).begin() as connection:
        connection.exec_driver_sql(TOLD.format(reason="after"))
        connection.exec_driver_sql("UPDATE registry.model_versions SET stage = 'Staging' WHERE number = 3")
        connection.exec_driver_sql("INSERT INTO registry.aliases VALUES (1, 'champion', 3)")
    report = Verification(None).run(create_engine(old_url, poolclass=NullPool))
    assert report.divergences == {}, report.first_divergences
    assert report.events > len(A_LIFE)


WORDS = "SELECT model_id, CAST(name AS text), CAST(description AS text) FROM registry.model_words ORDER BY 1"


@pytest.mark.parametrize("until", [BEFORE_WORDS_APART], indirect=True)
def test_the_words_of_the_models_that_are_there_are_those_of_models_made_later(old_url: str, server_url: str) -> None:
    with database(server_url) as new_url:
        live(old_url)
        for url in (old_url, new_url):
            schema.upgrade(url)
        live(new_url)
        found = []
        for url in (old_url, new_url):
            with create_engine(url, poolclass=NullPool).connect() as connection:
                found.append(list(map(tuple, connection.execute(text(WORDS)))))
    assert found == [[(1, "'o':1", "'other':1 'words':2")]] * 2  # the other model is deleted
