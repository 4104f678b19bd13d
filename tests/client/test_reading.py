"""Answers: what a newer or a broken service sends."""

from datetime import UTC, datetime
from typing import Any

import pytest

from registry.client import Caller, IssuedToken, Transition, UnexpectedAnswer, Version
from registry.client.reading import read

VERSION: dict[str, Any] = {
    "name": "Churn",
    "version": 3,
    "stage": "Production",
    "source": "s3://x",
    "tags": {"a": "b"},
    "aliases": ["champion"],
    "created_at": "2026-11-24T14:03:00.123456Z",
    "updated_at": "2026-11-24T15:03:00+01:00",
}


def test_an_answer_is_read_by_the_types_of_its_fields() -> None:
    version = read(Version, VERSION, '"tag"')

    assert (version.version, version.tags, version.aliases) == (3, {"a": "b"}, ("champion",))
    assert version.created_at == datetime(2026, 11, 24, 14, 3, 0, 123456, tzinfo=UTC)
    assert version.updated_at == datetime(2026, 11, 24, 14, 3, tzinfo=UTC)
    assert version.run_id is None
    assert version.etag == '"tag"'


def test_what_is_not_known_yet_is_kept_aside() -> None:
    version = read(Version, VERSION | {"signature": {"of": "tomorrow"}, "stage": "Shadow"})

    assert version.document["signature"] == {"of": "tomorrow"}
    assert version.stage == "Shadow"


def test_a_word_of_python_is_no_obstacle() -> None:
    move = {"version": 1, "from": None, "to": "Staging", "at": "2026-11-24T14:03:00Z", "by": {"id": "p:1", "name": "A"}}

    assert (read(Transition, move).from_stage, read(Transition, move).to_stage) == (None, "Staging")


@pytest.mark.parametrize(
    "broken",
    [
        None,
        [],
        {name: value for name, value in VERSION.items() if name != "source"},
        VERSION | {"version": "3"},
        VERSION | {"version": True},
        VERSION | {"stage": None},
        VERSION | {"tags": ["a"]},
        VERSION | {"aliases": [1]},
        VERSION | {"created_at": "yesterday"},
        VERSION | {"created_at": "2026-11-24T14:03:00"},
    ],
)
def test_an_answer_that_makes_no_sense_is_an_error_of_its_own(broken: Any) -> None:
    with pytest.raises(UnexpectedAnswer, match="does not understand as Version"):
        read(Version, broken)


def test_a_secret_does_not_show_where_objects_are_printed() -> None:
    token = read(
        IssuedToken,
        {"id": 1, "name": "ci", "role": "viewer", "created_at": "2026-11-24T14:03:00Z", "secret": "mreg_hush"},
    )

    assert token.secret == "mreg_hush"
    assert "hush" not in repr(token)


def test_equality_is_of_what_is_known() -> None:
    one = {"id": "p:1", "name": "A", "role": "viewer"}

    assert read(Caller, one) == read(Caller, one | {"new": 1})
