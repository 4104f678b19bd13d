"""Patterns of names: Python and PostgreSQL read them alike."""

import itertools
import re

import pytest
from sqlalchemy import select, text

from registry.db import transaction
from registry.domain import patterns
from registry.domain.access import OPERATOR
from registry.errors import Invalid
from registry.tables import RegisteredModel

MEANT = [
    ("*", ["", "a", "churn-eu", "*"]),
    ("churn", ["churn"]),
    ("churn-*", ["churn-", "churn-eu", "churn-*"]),
    ("*-eu", ["churn-eu", "-eu"]),
    ("churn-*-eu", ["churn-x-eu", "churn--eu"]),
    ("a*b*c", ["abc", "aXbYc", "abbc", "abcbc"]),
    ("*b*b*", ["bb", "abab", "bab"]),
    ("a**b", ["ab", "axb"]),
    ("ab*ba", ["abba", "abxba"]),
    ("100%", ["100%"]),
    ("a_c", ["a_c"]),
    ("a_*", ["a_", "a_c"]),
    ("a\\*", ["a\\", "a\\b"]),
    ("[a]?*", ["[a]?", "[a]?x"]),
    ("Ünï*", ["Ünï", "Ünïx"]),
]
NOT_MEANT = [
    ("churn", ["churn-eu", "Churn", "xchurn", ""]),
    ("churn-*", ["churn", "Churn-eu", "xchurn-eu"]),
    ("*-eu", ["churn-eu-1", "eu"]),
    ("churn-*-eu", ["churn-eu", "churn-eu-"]),
    ("a*b*c", ["ac", "acb", "ab"]),
    ("ab*ba", ["aba", "ab", "ba"]),
    ("100%", ["100x", "1000"]),
    ("a_c", ["abc"]),
    ("a_*", ["ab"]),
    ("a\\*", ["a*", "ab"]),
    ("[a]?*", ["a", "[a]"]),
]
CASES = [(pattern, name, True) for pattern, names in MEANT for name in names]
CASES += [(pattern, name, False) for pattern, names in NOT_MEANT for name in names]


@pytest.mark.parametrize(("pattern", "name", "meant"), CASES)
def test_a_pattern_means_a_name_or_not(pattern: str, name: str, *, meant: bool) -> None:
    assert patterns.matches(pattern, name) == meant


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize(("pattern", "name", "meant"), CASES)
def test_postgresql_agrees_in_both_directions(pattern: str, name: str, *, meant: bool) -> None:
    column = RegisteredModel.name
    with transaction(OPERATOR, dry_run=True) as session:
        stored = session.execute(
            text(
                "INSERT INTO registry.registered_models (name, created_at, updated_at, created_by) "
                "VALUES (:name, now(), now(), 'operator'), (:pattern, now(), now(), 'operator') "
                "ON CONFLICT DO NOTHING RETURNING id"
            ),
            {"name": name, "pattern": pattern},
        ).scalars()
        ids = list(stored)
        here = RegisteredModel.id.in_(ids)
        by_pattern = session.scalars(select(column).where(here, patterns.like(column, pattern))).all()
        by_name = session.scalars(select(column).where(here, patterns.meaning(column, name))).all()
    assert (name in by_pattern) == meant
    assert (pattern in by_name) == meant


def test_it_agrees_with_the_plainest_way_to_read_a_pattern() -> None:
    for pattern in map("".join, itertools.product("ab*", repeat=4)):
        plain = re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)
        for length in range(6):
            for name in map("".join, itertools.product("ab", repeat=length)):
                assert patterns.matches(pattern, name) == (plain.fullmatch(name) is not None), (pattern, name)


@pytest.mark.parametrize("pattern", ["", "  ", "a" * 257, "a\0b", "*a*b*c*d*"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(Invalid):
        patterns.check("pattern", pattern)


@pytest.mark.parametrize("pattern", ["*", "a" * 256, "*a*b*c*", "churn-*"])
def test_what_is_one_is_not(pattern: str) -> None:
    patterns.check("pattern", pattern)


def test_only_what_has_no_star_means_one_name() -> None:
    assert patterns.is_exact("churn")
    assert not patterns.is_exact("churn*")
