"""A real PostgreSQL for all tests: the one named by REGISTRY_TEST_DATABASE_URL, or an embedded one of their own.

Tests commit, as the service does, and keep out of each other's way by the names they use; nothing is rolled back,
because the audit log could not be. A test that needs a registry to itself asks for `empty_database_url`.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest
from flask import Flask
from flask.testing import FlaskClient
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT
from sqlalchemy import Connection, create_engine, make_url
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from registry import config, embedded, ownership, schema
from registry.app import create_app
from registry.config import Settings
from registry.database_url import DatabaseUrl
from registry.db import db, transaction
from registry.domain import tokens
from registry.domain.access import OPERATOR, Principal
from registry.vocabulary import Role
from tests.factories import authenticate, unique
from tests.live import Live, serving


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A URL whose user may create databases on the server that the tests use."""
    given = os.environ.get("REGISTRY_TEST_DATABASE_URL")
    if given:
        yield config.with_driver(DatabaseUrl.parse(given))
        return
    directory = Path(tempfile.mkdtemp(prefix="registry-test-"))
    directory.chmod(0o755)  # root's substitute must get through
    try:
        with embedded.start(directory, durable=False) as server:
            superuser = make_url(server.url).set(username="postgres", database="postgres")
            yield superuser.render_as_string(hide_password=False)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def execute(url: str, statement: str) -> None:
    """Run one statement outside any transaction."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with closing(psycopg2.connect(plain)) as connection:
        connection.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
        with connection.cursor() as cursor:
            cursor.execute(statement)


@contextmanager
def database(server: str, template: str = "template1") -> Iterator[str]:
    """A database of its own on the server, gone afterwards."""
    name = f"registry_test_{secrets.token_hex(6)}"
    execute(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        execute(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def bare_database_url(server_url: str) -> Iterator[str]:
    """A database without anything in it."""
    with database(server_url) as url:
        yield url


@pytest.fixture(scope="session")
def template_url(server_url: str) -> Iterator[str]:
    """A migrated database that nobody connects to, for copies."""
    with database(server_url) as url:
        schema.upgrade(url)
        yield url


@pytest.fixture(scope="session")
def database_url(server_url: str, template_url: str) -> Iterator[str]:
    """The migrated database that most tests share."""
    with database(server_url, str(make_url(template_url).database)) as url:
        yield url


@pytest.fixture
def empty_database_url(server_url: str, template_url: str) -> Iterator[str]:
    """A migrated database for one test alone."""
    with database(server_url, str(make_url(template_url).database)) as url:
        yield url


def as_role(url: str, role: str) -> str:
    """The same database for one of the separate roles, as the service and its sealer connect."""
    named = make_url(url)
    if named.password:
        execute(url, f"ALTER ROLE {role} PASSWORD '{named.password}'")
    return named.set(username=role).render_as_string(hide_password=False)


@contextmanager
def superuser() -> Iterator[Connection]:
    """A look, in a transaction, at all that is in the application's database, or a change behind everybody's back."""
    given = os.environ.get("REGISTRY_TEST_DATABASE_URL")
    who = make_url(given) if given else db.engine.url.set(username=embedded.SUPERUSER)
    url = db.engine.url.set(username=who.username, password=who.password)
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        yield connection


@contextmanager
def application(settings: Settings) -> Iterator[Flask]:
    """The service on a database; its connections are closed afterwards."""
    app = create_app(settings)
    try:
        yield app
    finally:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


def patient(url: str) -> Settings:
    """The service on this database, in the role that owns nothing there, for many tests."""
    return Settings(
        database_url=as_role(url, ownership.APP),
        pool_size=40,
        failed_attempts_per_address=1_000_000,  # all tests have the same
        failed_attempts_per_token=1_000_000,
    )


@pytest.fixture(scope="session")
def app(database_url: str) -> Iterator[Flask]:
    """The service on the shared database."""
    with application(patient(database_url)) as app:
        yield app


@pytest.fixture(scope="module")
def app_alone(server_url: str, template_url: str) -> Iterator[Flask]:
    """The service on a database of its own, for a module that looks at all rows: others have ever more."""
    with database(server_url, str(make_url(template_url).database)) as url, application(patient(url)) as app:
        yield app


@pytest.fixture
def context(app: Flask) -> Iterator[None]:
    """An application context, for tests that call the domain directly."""
    with app.app_context():
        yield


@pytest.fixture
def session(context: None) -> Session:
    """A session for reading; writes go through `change()`."""
    return db.session()


def issue(app: Flask, role: Role) -> tuple[Principal, str]:
    """A principal with this role, and its token."""
    with app.app_context(), transaction(OPERATOR) as session:
        issued = tokens.create(session, OPERATOR, name=unique(role), role=role)
        holder = authenticate(session, issued.secret)
        assert holder is not None
        return holder.principal, issued.secret


@pytest.fixture(scope="session")
def credentials(app: Flask) -> dict[Role, tuple[Principal, str]]:
    """One principal with a token for each role."""
    return {role: issue(app, role) for role in Role}


@pytest.fixture
def steward(credentials: dict[Role, tuple[Principal, str]]) -> Principal:
    """Somebody who may do everything."""
    return credentials[Role.ADMINISTRATOR][0]


@pytest.fixture
def reader(credentials: dict[Role, tuple[Principal, str]]) -> Principal:
    """Somebody who may only read."""
    return credentials[Role.VIEWER][0]


@pytest.fixture
def client(app: Flask, credentials: dict[Role, tuple[Principal, str]]) -> FlaskClient:
    """An HTTP client with the steward's token."""
    return client_with(app, credentials[Role.ADMINISTRATOR][1])


def client_with(app: Flask, token: str | None) -> FlaskClient:
    """An HTTP client with a token, or with none."""
    client = app.test_client()
    if token is not None:
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


@pytest.fixture(scope="session")
def live(
    tmp_path_factory: pytest.TempPathFactory, database_url: str, credentials: dict[Role, tuple[Principal, str]]
) -> Iterator[Live]:
    """A running service on the shared database, for what speaks to one over the network."""
    with serving(tmp_path_factory.mktemp("live"), as_role(database_url, ownership.APP), credentials) as started:
        yield started
