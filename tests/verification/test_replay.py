"""The replay by itself: which row an event is about, what it adds up to, and what cannot follow what."""

import hashlib
from typing import Any

import pytest

from registry.verification.captured import BY_KIND
from registry.verification.replay import Contradiction, Interval, State, Text, key_of

MODEL: dict[str, Any] = {"id": [None, 7], "name": [None, "fraud"]}
VERSION: dict[str, Any] = {"model_id": [None, 7], "number": [None, 1], "stage": [None, "None"]}


def line(action: str, where: str, at_us: int = 1, seq: int = 1, **changes: list[Any]) -> dict[str, Any]:
    """An event of model 7; of version 1 where its object says so."""
    found: dict[str, Any] = {"stream": "model:7", "seq": seq, "at_us": at_us, "action": action, "changes": changes}
    found |= {"object": f"model:7{where}", "model_id": 7} | ({"version": 1} if "/version:1" in where else {})
    return found


def state_after(*lines: dict[str, Any]) -> State:
    state = State()
    for one in lines:
        state.take(one)
    return state


MADE = line("registered_model.create", "", **MODEL)
MADE_VERSION = line("model_version.create", "/version:1", **VERSION)


@pytest.mark.parametrize(
    ("kind", "where", "key"),
    [
        ("registered_model", "", (7,)),
        ("model_version", "/version:1", (7, 1)),
        ("registered_model_tag", "/tag:a/b:c", (7, "a/b:c")),
        ("registered_model_tag", "/tag:/tag:x", (7, "/tag:x")),
        ("model_version_tag", "/version:1/tag:version:2/tag:x", (7, 1, "version:2/tag:x")),
        ("alias", "/alias:a/b", (7, "a/b")),
        ("comment", "/comment:9", (9,)),
        ("comment", "/version:1/comment:9", (9,)),
    ],
)
def test_an_object_names_one_row(kind: str, where: str, key: tuple[Any, ...]) -> None:
    assert key_of(BY_KIND[kind], line(f"{kind}.x", where)) == key


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("registered_model", "model:8"),
        ("registered_model", "model:7/"),
        ("model_version", "model:7/version:2"),
        ("comment", "model:7/comment:"),
        ("comment", "model:7/comment:x"),
        ("token", "token:-1"),
        ("principal", "token:1"),
        ("alias", "model:8/alias:x"),
        ("registered_model_tag", "model:7/alias:x"),
    ],
)
def test_an_object_that_names_none_contradicts(kind: str, given: str) -> None:
    with pytest.raises(Contradiction, match="names no row"):
        key_of(BY_KIND[kind], line(f"{kind}.x", "") | {"object": given})


CONTRADICTIONS: list[tuple[str, list[dict[str, Any]], dict[str, Any]]] = [
    ("is there already", [MADE], MADE),
    ("no event has made", [], line("registered_model.rename", "", name=["fraud", "theft"])),
    ("it was 'theft'", [MADE], line("registered_model.rename", "", name=["theft", "x"])),
    ("it was None", [MADE], line("registered_model.rename", "", name=[None, "x"])),
    ("it was 'x'", [MADE], line("registered_model.describe", "", description=["x", None])),
    ("no event has made", [], line("alias.unset", "/alias:a", model_id=[7, None], alias=["a", None], number=[1, None])),
    ("no table has rows", [], line("webhook.create", "")),
]


@pytest.mark.parametrize(("said", "before", "then"), CONTRADICTIONS, ids=[one[0] for one in CONTRADICTIONS])
def test_what_cannot_follow_is_said(said: str, before: list[dict[str, Any]], then: dict[str, Any]) -> None:
    state = state_after(*before)
    with pytest.raises(Contradiction, match=said):
        state.take(then)


def test_after_a_contradiction_the_event_counts_all_the_same() -> None:
    state = state_after(MADE)
    with pytest.raises(Contradiction):
        state.take(line("registered_model.rename", "", name=["theft", "x"]))
    assert state.rows["registered_models"][7,]["name"] == "x"


def test_what_is_null_is_not_there_and_what_is_deleted_is_gone() -> None:
    state = state_after(
        MADE,
        line("registered_model.describe", "", description=[None, "words"]),
        line("registered_model.describe", "", description=["words", None]),
    )
    assert state.rows["registered_models"] == {(7,): {"id": 7, "name": "fraud"}}
    gone: dict[str, Any] = {name: [after, None] for name, (_, after) in VERSION.items()}
    state.take(MADE_VERSION)
    state.take(line("model_version.purge", "/version:1", **gone))
    assert state.rows["model_versions"] == {}
    assert state.numbers == {7: 1}


def test_a_row_may_change_its_key() -> None:
    made: dict[str, Any] = {"model_id": [None, 7], "key": [None, "a"], "value": [None, "v"]}
    state = state_after(
        line("registered_model_tag.set", "/tag:a", **made), line("registered_model_tag.set", "/tag:b", key=["a", "b"])
    )
    assert state.rows["registered_model_tags"] == {(7, "b"): {"model_id": 7, "key": "b", "value": "v"}}


def test_events_that_no_row_stands_for_change_nothing() -> None:
    state = State()
    state.take(line("token.refuse", "") | {"stream": "system:access"})
    assert not any(state.rows.values())


def stage(at_us: int, seq: int, was: str, now: str) -> dict[str, Any]:
    return line("model_version.transition", "/version:1", at_us, seq, stage=[was, now])


def test_intervals_follow_each_other_and_what_lasted_no_time_never_was() -> None:
    state = state_after(
        MADE_VERSION,
        stage(5, 2, "None", "Staging"),
        stage(5, 3, "Staging", "Production"),
        stage(9, 4, "Production", "Archived"),
        line("model_version.delete", "/version:1", 12, 5, deleted_at=[None, "2026"]),
        line("model_version.restore", "/version:1", 15, 6, deleted_at=["2026", None]),
    )
    assert state.intervals["stage_intervals"].of[7, 1] == [
        Interval("None", 1, 1, 5, 2),
        Interval("Production", 5, 3, 9, 4),
        Interval("Archived", 9, 4, 12, 5),
        Interval("Archived", 15, 6),
    ]


def test_what_was_made_and_removed_at_one_instant_left_no_interval() -> None:
    made: dict[str, Any] = {"model_id": [None, 7], "alias": [None, "a"], "number": [None, 1]}
    gone: dict[str, Any] = {name: [after, None] for name, (_, after) in made.items()}
    state = state_after(line("alias.set", "/alias:a", 3, 1, **made), line("alias.unset", "/alias:a", 3, 2, **gone))
    assert state.intervals["alias_intervals"].of == {}


def test_a_text_is_known_by_its_salted_digest_and_without_its_salt_not_at_all() -> None:
    digest = hashlib.sha256(b"salt" + "wörds".encode()).hexdigest()
    state = State()
    made = line("registered_model.create", "", **MODEL, description=[None, {"salted_sha256": digest}])
    state.take(made, {("description", "after"): b"salt"})
    known = state.rows["registered_models"][7,]["description"]
    assert known == Text(digest, b"salt")
    assert known.is_text("wörds")
    assert not known.is_text("words")
    assert not known.is_text(None)
    assert not Text(digest, None).is_text("wörds")
