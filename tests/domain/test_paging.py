"""Pages by key: every row once, in any mixture of directions; and tokens that lead nowhere else."""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql

from registry.db import db, transaction, unaudited
from registry.domain import model_versions, paging, registered_models, searching
from registry.domain.access import OPERATOR
from registry.domain.filtering import Comparison, OrderKey
from registry.domain.paging import Key, Page
from registry.domain.searching import Search
from registry.errors import Invalid
from registry.tables import ModelVersion, RegisteredModel
from tests.factories import make_model, make_version, unique

TIME, NAME, NUMBER = Key(ModelVersion.updated_at), Key(RegisteredModel.name), Key(ModelVersion.number)
AT = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
KEYS = [TIME, NAME, NUMBER]
VALUES = [AT, "a b/漢\U0001f600", 7]
QUESTION = paging.fingerprint("versions")
FIELDS = {"last_updated_timestamp": 0, "name": 1, "version_number": 2}


def row(says: str, *values: object) -> Any:
    """One row of a table, called by what it says."""
    return pytest.param(*values, id=says)


def token_of(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


# Tokens.


def test_a_token_gives_back_the_values_it_was_made_of() -> None:
    assert paging.decode(paging.encode(QUESTION, VALUES), QUESTION, KEYS) == VALUES


@pytest.mark.parametrize("at", [datetime(1970, 1, 1, tzinfo=UTC), AT, datetime(5000, 1, 1, tzinfo=UTC)])
def test_a_time_keeps_its_microseconds(at: datetime) -> None:
    assert paging.decode(paging.encode(QUESTION, [at]), QUESTION, [TIME]) == [at]


def test_a_token_can_stand_in_a_url() -> None:
    for number in range(300):
        assert set(paging.encode(QUESTION, [number, "\xff\xfe?>"])) <= set(
            base64.urlsafe_b64encode(bytes(range(256))).decode()
        )


def in_base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode()


NO_TOKENS = [
    row("a word", "token"),
    row("a character that base64 has not", "%%%%"),
    row("cut short", paging.encode(QUESTION, VALUES)[:-3]),
    row("letters beyond ASCII", "é漢"),
    row("half of a surrogate pair", "\ud800"),
    row("NUL", "\0"),
    row("spaces", "    "),
    row("base64 of no JSON", in_base64(b"hello")),
    row("base64 of no text", in_base64(b"\xff\xfe")),
    row("a number", token_of(5)),
    row("null", token_of(None)),
    row("an empty list", token_of([])),
    row("three things", token_of([QUESTION, [], 1])),
    row("no object of two", token_of({})),
    row("a nest a hundred thousand deep", in_base64(b"[" * 100_000)),
    row("a number of ten thousand digits", in_base64(b"[1, [" + b"9" * 10_000 + b"]]")),
]


@pytest.mark.parametrize("token", NO_TOKENS)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(Invalid) as refused:
        paging.decode(token, QUESTION, [NUMBER])
    assert (refused.value.message, refused.value.field) == (
        "Invalid page token, could not base64-decode",
        "page_token",
    )


FOREIGN = [
    row("another question", token_of([paging.fingerprint("models"), [1]])),
    row("no question", token_of([None, [1]])),
    row("an object of two", token_of({"offset": 1, "x": 2})),
    row("a text of two", token_of("ab")),
    row("no list of values", token_of([QUESTION, 1])),
    row("an object of values", token_of([QUESTION, {"0": 1}])),
    row("too few values", token_of([QUESTION, []])),
    row("too many values", token_of([QUESTION, [1, 2]])),
]


@pytest.mark.parametrize("token", FOREIGN)
def test_a_token_of_something_else_is_refused(token: str) -> None:
    with pytest.raises(Invalid, match=r"it belongs to another filter or order\. Start again without it"):
        paging.decode(token, QUESTION, [NUMBER])


WRONG_VALUES = [
    row("a text for a number", NUMBER, "1"),
    row("a fraction for a number", NUMBER, 1.0),
    row("infinity for a number", NUMBER, float("inf")),
    row("a truth value for a number", NUMBER, True),
    row("nothing for a number", NUMBER, None),
    row("a list for a number", NUMBER, [1]),
    row("a number beyond all", NUMBER, 2**63),
    row("a number below all", NUMBER, -(2**63)),
    row("a number for a text", NAME, 1),
    row("nothing for a text", NAME, None),
    row("a text for a time", TIME, "2026-01-01"),
    row("a truth value for a time", TIME, True),
    row("a fraction for a time", TIME, 1.5),
    row("a time beyond all", TIME, 10**17),
    row("a time before all", TIME, -(10**17) + 1),
    row("a time before the epoch", TIME, -1),
]


@pytest.mark.parametrize(("key", "value"), WRONG_VALUES)
def test_a_token_with_another_value_in_it_is_refused(key: Key, value: object) -> None:
    with pytest.raises(Invalid, match=r"it was changed\. Start again without it"):
        paging.decode(token_of([QUESTION, [value]]), QUESTION, [key])


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_a_token_with_a_text_that_the_database_cannot_keep_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        paging.decode(token_of([QUESTION, [text]]), QUESTION, [NAME])


def test_every_part_of_a_question_counts() -> None:
    parts = [("models", "name", False), ("models", "name", True), ("versions", "name", False), ("models", "", False)]
    assert len({paging.fingerprint(*part) for part in parts}) == len(parts)
    assert paging.fingerprint("a", "b") != paging.fingerprint("a, b") != paging.fingerprint(("a", "b"))


# Cutting.


@pytest.mark.parametrize(
    ("rows", "kept", "last"), [([], [], None), ([1], [1], None), ([1, 2], [1, 2], None), ([1, 2, 3], [1, 2], 2)]
)
def test_a_page_ends_where_it_is_full_and_leads_on_only_if_there_is_more(
    rows: list[int], kept: list[int], last: int | None
) -> None:
    page = paging.cut(rows, 2, QUESTION, lambda number: [number])
    assert page.items == kept
    found = page.next_token and paging.decode(page.next_token, QUESTION, [NUMBER])
    assert found == (None if last is None else [last])


# Conditions.


@pytest.mark.parametrize(("descending", "sign"), [(False, ">"), (True, "<")])
def test_one_direction_is_one_comparison_of_rows_which_an_index_answers(*, descending: bool, sign: str) -> None:
    keys = [Key(key.column, descending) for key in KEYS]
    condition = str(paging.after(keys, VALUES).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    assert f") {sign} (" in condition
    assert "OR" not in condition


@pytest.mark.parametrize(("descending", "sign"), [(False, ">="), (True, "<=")])
def test_in_mixed_directions_an_index_can_begin_at_the_first_column(*, descending: bool, sign: str) -> None:
    keys = [Key(TIME.column, descending), Key(NAME.column, not descending), Key(NUMBER.column, descending)]
    condition = str(paging.after(keys, VALUES).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    assert condition.startswith(f"registry.model_versions.updated_at {sign} ")
    assert " AND (registry.model_versions.updated_at " in condition


# Walking.


@pytest.fixture(scope="module")
def family(app: Flask) -> str:
    """Three models of four versions each, with many equal times among them."""
    family = unique("family")
    with app.app_context():
        for letter in "cab":
            name = make_model(name=f"{family}-{letter}")
            for _ in range(4):
                make_version(name)
        with unaudited() as session:
            for number in range(1, 5):
                same = AT if number in (1, 4) else AT.replace(microsecond=number)
                mine = ModelVersion.model_id.in_(session.scalars(ids(family)).all())
                session.execute(update(ModelVersion).where(mine, ModelVersion.number == number).values(updated_at=same))
    return family


def ids(family: str) -> Any:
    return select(RegisteredModel.id).where(RegisteredModel.name.like(f"{family}-%"))


def ask(family: str, order: Sequence[OrderKey], size: int, token: str | None = None) -> Page[ModelVersion]:
    search = Search([Comparison("name", None, "LIKE", f"{family}-%")], order, limit=size, token=token)
    return searching.versions(db.session(), OPERATOR, search)


def walk(page_after: Callable[[str | None], Page[ModelVersion]]) -> Iterator[list[ModelVersion]]:
    token = None
    while True:
        page = page_after(token)
        yield page.items
        token = page.next_token
        if token is None:
            return


def place(version: ModelVersion) -> tuple[datetime, str, int]:
    return version.updated_at, version.model.name, version.number


def in_order(versions: list[ModelVersion], order: Sequence[OrderKey]) -> list[ModelVersion]:
    """Sort in plain Python: the last key first, since sorting is stable."""
    found = list(versions)
    for key in reversed(order):
        found.sort(key=lambda version: place(version)[FIELDS[key.field]], reverse=key.descending)
    return found


DIRECTIONS = list(product([False, True], repeat=3))


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("size", [1, 3, 5, 12, 13])
@pytest.mark.parametrize("directions", DIRECTIONS, ids=lambda each: "".join("v" if down else "^" for down in each))
def test_pages_show_every_row_once_in_any_directions(family: str, directions: tuple[bool, ...], size: int) -> None:
    order = [OrderKey(key, descending) for key, descending in zip(FIELDS, directions, strict=True)]
    everything = in_order(ask(family, order, 100).items, order)

    pages = list(walk(lambda token: ask(family, order, size, token)))

    assert [place(version) for page in pages for version in page] == [place(version) for version in everything]
    assert len(everything) == 12
    assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1)
    assert pages[-1]


@pytest.mark.usefixtures("context")
def test_a_page_that_is_just_full_is_the_last(family: str) -> None:
    order = [OrderKey("name"), OrderKey("version_number")]
    assert ask(family, order, 12).next_token is None
    assert ask(family, order, 11).next_token is not None


@pytest.mark.usefixtures("context")
def test_rows_that_come_and_go_in_between_neither_repeat_nor_hide_others() -> None:
    name = make_model()
    for _ in range(6):
        make_version(name)
    search = Search([Comparison("name", None, "=", name)], [OrderKey("version_number", descending=True)], limit=3)
    first = searching.versions(db.session(), OPERATOR, search)
    make_version(name)
    with transaction(OPERATOR) as session:
        model_versions.delete(session, OPERATOR, name, 5)
        model_versions.delete(session, OPERATOR, name, 2)
    again = Search(search.comparisons, search.order, limit=3, token=first.next_token)
    second = searching.versions(db.session(), OPERATOR, again)
    assert [version.number for version in first.items] == [6, 5, 4]
    assert ([version.number for version in second.items], second.next_token) == ([3, 1], None)


@pytest.mark.usefixtures("context")
def test_a_token_leads_on_also_when_its_row_is_gone() -> None:
    names = sorted(make_model(name=f"{word}-{unique('')}") for word in "abc")
    among = [Comparison("name", None, "IN", tuple(names))]
    first = searching.models(db.session(), OPERATOR, Search(among, [OrderKey("name")], limit=1))
    with transaction(OPERATOR) as session:
        registered_models.delete(session, OPERATOR, names[0])
    rest = searching.models(db.session(), OPERATOR, Search(among, [OrderKey("name")], token=first.next_token))
    assert [detail.model.name for detail in rest.items] == names[1:]


BY_NAME, BY_NUMBER = OrderKey("name"), OrderKey("version_number")
OTHERS = [
    row("another filter", Search([Comparison("name", None, "LIKE", "b%")], [BY_NAME, BY_NUMBER])),
    row("another operator", Search([Comparison("name", None, "ILIKE", "a%")], [BY_NAME, BY_NUMBER])),
    row("no filter", Search([], [BY_NAME, BY_NUMBER])),
    row("another order", Search([Comparison("name", None, "LIKE", "a%")], [BY_NUMBER, BY_NAME])),
    row(
        "another direction",
        Search([Comparison("name", None, "LIKE", "a%")], [BY_NAME, OrderKey("version_number", True)]),
    ),
    row("prompts", Search([Comparison("name", None, "LIKE", "a%")], [BY_NAME, BY_NUMBER], prompts=True)),
]


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("other", OTHERS)
def test_a_token_belongs_to_filter_and_order(other: Search) -> None:
    question = Search([Comparison("name", None, "LIKE", "a%")], [BY_NAME, BY_NUMBER])
    mark = paging.fingerprint("versions", tuple(question.comparisons), tuple(question.order), question.prompts)
    token = paging.encode(mark, ["a", 1])
    searching.versions(db.session(), OPERATOR, with_token(question, token))
    with pytest.raises(Invalid, match="it belongs to another filter or order"):
        searching.versions(db.session(), OPERATOR, with_token(other, token))
    with pytest.raises(Invalid, match="it belongs to another filter or order"):
        searching.models(db.session(), OPERATOR, with_token(Search(question.comparisons, [BY_NAME]), token))


def with_token(search: Search, token: str) -> Search:
    return Search(search.comparisons, search.order, search.prompts, search.limit, token)


@pytest.mark.usefixtures("context")
def test_the_size_of_a_page_may_change_on_the_way(family: str) -> None:
    order = [OrderKey("name"), OrderKey("version_number")]
    first = ask(family, order, 5)
    rest = ask(family, order, 100, first.next_token)
    everything = ask(family, order, 100)
    assert [place(version) for version in first.items + rest.items] == [place(version) for version in everything.items]


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("token", [None, ""])
def test_no_token_and_an_empty_one_begin_at_the_beginning(family: str, token: str | None) -> None:
    order = [OrderKey("name"), OrderKey("version_number")]
    assert ask(family, order, 1, token).items[0].number == 1
