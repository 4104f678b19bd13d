"""What upgrades make of the data that a database has already."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from registry import ownership, schema
from registry.config import Settings
from registry.db import db
from registry.domain import tokens
from registry.vocabulary import Role
from tests.conftest import application, database

BEFORE_GRANTS = 11
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
def old_url(server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database from before there were grants."""
    here = schema.migrations_dir()
    shutil.copytree(here, tmp_path / "migrations")
    for path in (tmp_path / "migrations" / "versions").glob("*.py"):
        if int(path.name[:4]) > BEFORE_GRANTS:
            path.unlink()
    with database(server_url) as url, monkeypatch.context() as then:
        then.setattr(schema, "migrations_dir", lambda: tmp_path / "migrations")
        then.setattr(ownership, "settle", lambda _: False)  # it knows all the tables of today
        schema._scripts.cache_clear()
        schema.upgrade(url)
        then.undo()
        schema._scripts.cache_clear()
        yield url


def test_every_token_is_worth_after_the_upgrade_what_it_was_before(old_url: str) -> None:
    names, roles, secrets, revoked, expires = (list(column) for column in zip(*TOKENS, strict=True))
    given = {"names": names, "roles": roles, "secrets": secrets, "revoked": revoked, "expires": expires}
    with create_engine(old_url, poolclass=NullPool).begin() as connection:
        for statement in MAKE.split(";"):
            connection.execute(text(statement), {key: given[key] for key in given if f":{key}" in statement})
    schema.upgrade(old_url)
    with application(Settings(database_url=old_url)) as app, app.app_context():
        found = {secret: tokens.authenticate(db.session(), secret) for secret in secrets}
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
