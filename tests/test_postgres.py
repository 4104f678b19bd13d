"""The driver alone: transactions that end, rows and values, and which faults pass."""

import pytest
from psycopg2 import DatabaseError, InterfaceError, OperationalError, ProgrammingError, errors

from registry import postgres
from registry.config import with_driver
from registry.database_url import DatabaseUrl


def test_a_block_is_kept_whole_or_not_at_all(bare_database_url: str) -> None:
    url = with_driver(DatabaseUrl.parse(bare_database_url))
    with postgres.connected(url, application_name="mine") as connection:
        with postgres.transaction(connection):
            postgres.execute(connection, "CREATE TEMP TABLE numbers (n int)")
            postgres.execute(connection, "INSERT INTO numbers VALUES (%(n)s)", n=1)
        with pytest.raises(ZeroDivisionError), postgres.transaction(connection):
            postgres.execute(connection, "INSERT INTO numbers VALUES (2)")
            raise ZeroDivisionError
        assert postgres.rows(connection, "SELECT n, n + 1 FROM numbers") == [(1, 2)]
        assert postgres.value(connection, "SELECT n FROM numbers WHERE n > 1") is None
        assert postgres.value(connection, "SHOW application_name") == "mine"
    assert connection.closed


def test_a_connection_that_is_gone_says_why_it_went(bare_database_url: str) -> None:
    with (
        postgres.connected(bare_database_url) as connection,
        pytest.raises(OperationalError, match="closed the connection"),
        postgres.transaction(connection),
    ):
        postgres.execute(connection, "SELECT pg_terminate_backend(pg_backend_pid())")


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (OperationalError(), True),
        (InterfaceError(), True),
        (DatabaseError(), True),
        (ProgrammingError(), False),
        (ValueError(), False),
        (None, False),
    ],
)
def test_faults_without_a_code_are_the_connections(error: BaseException | None, passes: bool) -> None:
    assert postgres.is_lost(error) is postgres.is_passing(error) is passes


@pytest.mark.parametrize(
    ("code", "lost", "passes"),
    [
        ("57P01", True, True),
        ("08006", True, True),
        ("57014", False, True),
        ("40001", False, True),
        ("53300", False, True),
        ("55P03", False, True),
        ("25006", False, True),
        ("42501", False, False),
        ("23505", False, False),
    ],
)
def test_faults_with_one_are_what_it_says(code: str, lost: bool, passes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "code_of", lambda _: code)
    error = errors.lookup(code)()
    assert (postgres.is_lost(error), postgres.is_passing(error)) == (lost, passes)


def test_what_is_said_is_one_line() -> None:
    assert postgres.first_line(OperationalError("\n  it broke \nHINT: mend it")) == "it broke"
    assert postgres.first_line(OperationalError()) == "no reason given"
