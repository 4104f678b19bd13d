"""Our reading of database URLs against SQLAlchemy's: both read the same settings, in different processes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.exc import ArgumentError

from registry.database_url import DatabaseUrl

WRITTEN = [
    "postgresql://h/d",
    "postgresql+psycopg2://u:p@h:5432/d",
    "postgres://u@h/d?sslmode=verify-full&sslrootcert=%2Fetc%2Fca+of+ours.pem",
    "postgresql://a%40b:p%3A%2F%40%25%20+q@h.example:6543/d%2Fe%20f",
    "postgresql://u:@h/d",
    "postgresql://@h/d",
    "postgresql://u:p@[2001:db8::1]:5432/d",
    "postgresql:///d?host=/var/run/postgresql&port=5433",
    "postgresql://u@/d?host=%2Ftmp%2Fa%20b",
    "postgresql://u@/d?host=one:5432&host=two:5433",
    "postgresql://u@/d?host=one&host=two:5433",
    "postgresql://u@/d?host=one&host=two",
    "postgresql://u@/d?host=one,two&port=5432,5433&target_session_attrs=any",
    "postgresql://u@/d?host=one:5433",
    "postgresql://u@/d?host=one:",
    "postgresql://u@one/d?host=two&empty=&options=-c%20role%3Dx",
    "postgresql://h",
    "postgresql://",
]


def read_by_sqlalchemy(text: str) -> dict[str, object]:
    url = make_url(text)
    parts = {name: getattr(url, name) for name in ("username", "password", "host", "port", "database")}
    return parts | {"driver": url.drivername, "query": dict(url.query)}


def same(text: str) -> None:
    ours, theirs = DatabaseUrl.parse(text), make_url(text)
    assert vars(ours) == read_by_sqlalchemy(text)
    assert read_by_sqlalchemy(ours.text()) == read_by_sqlalchemy(text)
    assert ours.text() == theirs.render_as_string(hide_password=False)


@pytest.mark.parametrize("text", WRITTEN)
def test_it_is_read_and_written_as_sqlalchemy_does(text: str) -> None:
    same(text)


@pytest.mark.parametrize("text", [text for text in WRITTEN if text != "postgresql://"])
def test_the_driver_connects_to_the_same_place(text: str) -> None:
    dialect: Any = PGDialect_psycopg2
    _, theirs = dialect().create_connect_args(make_url(text))
    ours = DatabaseUrl.parse(text).options()
    assert {name: str(value) for name, value in ours.items()} == {name: str(value) for name, value in theirs.items()}


NAMES = st.text("ab@:/?#[]%+ é&=", max_size=8)


@given(username=NAMES, password=NAMES, database=NAMES, query=st.dictionaries(NAMES, NAMES.filter(bool), max_size=3))
def test_whatever_the_parts_are_they_come_back(
    username: str, password: str, database: str, query: dict[str, str]
) -> None:
    made = DatabaseUrl("postgresql", username, password, "h", 5432, database, query)
    assert DatabaseUrl.parse(made.text()) == made
    same(made.text())


@pytest.mark.parametrize(
    "text", ["nonsense", "", "postgresql:/h/d", "postgresql://u@h:port/d", "postgresql://u@a:1,b:2/d"]
)
def test_what_is_none_is_refused_by_both_and_not_repeated(text: str) -> None:
    with pytest.raises((ArgumentError, ValueError)):
        make_url(text)
    with pytest.raises(ValueError, match=r"URL|port") as refused:
        DatabaseUrl.parse(text)
    assert "h:port" not in str(refused.value)


def test_ports_stand_in_one_place() -> None:
    with pytest.raises(ValueError, match="ports"):
        DatabaseUrl.parse("postgresql://u@/d?host=one:1&host=two:2&port=3").options()


def test_a_password_is_not_shown() -> None:
    assert "hush" not in repr(DatabaseUrl.parse("postgresql://u:hush@h/d"))
