"""What comes from elsewhere keeps its numbers and times; the log tells of the import and of nothing before it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from registry.db import transaction
from registry.domain import aliases, audit, imports, model_versions, references, registered_models, stages, trash
from registry.domain.access import OPERATOR, Principal
from registry.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound, RegistryError
from registry.vocabulary import Stage
from tests.factories import make_model, make_version, move, unique

THEN = datetime(2021, 3, 3, 14, 3, 0, 123000, tzinfo=UTC)
LATER = THEN + timedelta(days=400)


def a_model(**parts: Any) -> imports.Model:
    return replace(imports.Model(unique(), "Who leaves", {"team": "growth"}, THEN, LATER), **parts)


def a_version(number: int = 7, **parts: Any) -> imports.Version:
    made = imports.Version(
        number, Stage.PRODUCTION, "s3://bucket/model", "run", "", "seventh", {"auc": "0.9"}, None, THEN, LATER
    )
    return replace(made, **parts)


def take(model: imports.Model, *versions: imports.Version) -> list[bool]:
    with transaction(OPERATOR, reason="import from http://mlflow.example") as session:
        taken = [imports.take_model(session, OPERATOR, model)]
        return taken + [imports.take_version(session, OPERATOR, model.name, version) for version in versions]


def test_numbers_times_stage_texts_and_tags_are_those_of_before(session: Session) -> None:
    model, version = a_model(), a_version()

    assert take(model, version) == [True, True]

    found = registered_models.get(session, OPERATOR, model.name).model
    assert (found.description, found.created_at, found.updated_at) == ("Who leaves", THEN, LATER)
    assert [(tag.key, tag.value) for tag in found.tags] == [("team", "growth")]
    got = model_versions.get(session, OPERATOR, model.name, 7)
    assert (got.stage, got.source, got.run_id, got.description) == ("Production", "s3://bucket/model", "run", "seventh")
    assert (got.created_at, got.updated_at) == (THEN, LATER)
    assert [(tag.key, tag.value) for tag in got.tags] == [("auc", "0.9")]


def test_the_log_tells_of_the_import_at_the_time_of_the_import(session: Session) -> None:
    began = datetime.now(UTC)
    model = a_model()
    take(model, a_version())

    events = audit.search(session, OPERATOR, audit.Question(model=model.name), limit=10).items

    assert {entry.event.action for entry in events} == {
        "registered_model.create",
        "registered_model_tag.set",
        "model_version.create",
        "model_version_tag.set",
    }
    assert {entry.actor.id for entry in events} == {"operator"}
    assert {entry.reason for entry in events} == {"import from http://mlflow.example"}
    assert all(entry.at >= began for entry in events)


def test_the_past_begins_with_the_import(session: Session) -> None:
    began = datetime.now(UTC)
    model = a_model()
    take(model, a_version())
    uri = f"models:/{model.name}/Production"

    assert references.resolve(session, OPERATOR, uri, at=datetime.now(UTC)).version.number == 7
    with pytest.raises(NotFound):
        references.resolve(session, OPERATOR, uri, at=began)


def test_numbers_go_on_from_the_highest_and_gaps_stay(session: Session) -> None:
    model = a_model()
    take(model, a_version(9), a_version(4))

    assert make_version(model.name) == 10


def test_a_second_import_changes_nothing(session: Session) -> None:
    model, version = a_model(), a_version()
    take(model, version)
    move(model.name, 7, Stage.ARCHIVED)
    before = events_of(session)

    assert take(model, version) == [False, False]

    assert events_of(session) == before
    assert model_versions.get(session, OPERATOR, model.name, 7).stage == "Archived"
    other = a_version(7, source="s3://bucket/other")
    assert imports.here_already(session, OPERATOR, model.name, [version]) == {7: Stage.ARCHIVED}
    assert imports.here_already(session, OPERATOR, model.name, [other]) == {}


def events_of(session: Session) -> int:
    session.rollback()
    count: int = session.execute(text("SELECT count(*) FROM audit.event")).scalar_one()
    return count


def test_what_has_come_since_comes_and_moves_the_time_of_the_model(session: Session) -> None:
    model = a_model()
    take(model, a_version(1))
    newest = LATER + timedelta(days=1)

    assert take(replace(model, updated_at=newest), a_version(1), a_version(2)) == [False, False, True]

    assert registered_models.get(session, OPERATOR, model.name).model.updated_at == newest


def refused(kind: type[RegistryError], model: imports.Model, *versions: imports.Version) -> str:
    with pytest.raises(kind) as refusal:
        take(model, *versions)
    return refusal.value.message


def test_another_model_of_the_name_is_left_alone(context: None) -> None:
    name = make_model()

    assert "rename one of them" in refused(AlreadyExists, a_model(name=name))


def test_what_was_deleted_here_is_not_brought_again(session: Session, steward: Principal) -> None:
    model, version = a_model(), a_version()
    take(model, version)
    with transaction(steward):
        model_versions.delete(session, steward, model.name, 7)
    assert take(model, version) == [False, False]
    assert imports.here_already(session, OPERATOR, model.name, [version]) == {7: None}

    model_id = registered_models.get(session, OPERATOR, model.name).model.id
    with transaction(steward):
        trash.purge_version(session, steward, model_id, 7)
    assert take(model, version) == [False, False]
    with pytest.raises(NotFound):
        model_versions.get(session, OPERATOR, model.name, 7)

    with transaction(steward):
        registered_models.delete(session, steward, model.name)
    assert "deleted here" in refused(AlreadyExists, model)


def test_a_name_whose_numbers_were_given_before_is_refused(session: Session, steward: Principal) -> None:
    name = make_model()
    make_version(name)
    with transaction(steward):
        registered_models.delete(session, steward, name)

    assert "REGISTRY_VERSION_NUMBERS=restart" in refused(Conflict, a_model(name=name))


def test_a_number_that_was_given_here_meanwhile_is_a_conflict(context: None) -> None:
    model = a_model()
    take(model, a_version(1))
    assert make_version(model.name) == 2

    assert "belongs to another version" in refused(Conflict, model, a_version(2))


@pytest.mark.parametrize(
    ("version", "telling"),
    [
        (a_version(0), "no version number"),
        (a_version(2**31), "no version number"),
        (a_version(source="/mlruns/1"), "REGISTRY_LOCAL_SOURCES=on"),
        (a_version(source="https://elsewhere.example/model"), "REGISTRY_SOURCE_HOSTS"),
        (a_version(source="models:/m-" + "a" * 32, storage_location="/mlruns/1"), "REGISTRY_LOCAL_SOURCES=on"),
        (a_version(description="x" * 5001), "maximum length"),
        (a_version(description="a\x00b"), "NUL"),
        (a_version(tags={"a": "\ud800"}), "not valid Unicode"),
        (a_version(tags={"a,b": "x"}), "Names may only contain"),
        (a_version(run_id="r" * 65), "maximum length"),
    ],
)
def test_what_could_not_be_registered_here_cannot_be_imported(
    session: Session, version: imports.Version, telling: str
) -> None:
    model = a_model()

    assert telling in refused(Invalid, model, version)

    with pytest.raises(NotFound):
        registered_models.get(session, OPERATOR, model.name)


def test_a_source_that_names_another_model_is_kept_with_the_place_of_its_files(session: Session) -> None:
    model = a_model()
    logged, copied = "models:/m-" + "a" * 32, "models:/Elsewhere/3"
    take(
        model,
        a_version(1, source=logged, storage_location="s3://bucket/logged"),
        a_version(2, source=copied, storage_location="s3://bucket/copied"),
    )

    first = model_versions.get(session, OPERATOR, model.name, 1)
    second = model_versions.get(session, OPERATOR, model.name, 2)
    assert (first.source, first.logged_model_id, first.storage_location) == (logged, logged[8:], "s3://bucket/logged")
    assert (second.source, second.logged_model_id, second.storage_location) == (copied, None, "s3://bucket/copied")


def test_prompts_keep_their_placeholders(session: Session) -> None:
    prompt = {"mlflow.prompt.is_prompt": "true"}
    model = a_model(tags=prompt)

    assert take(model, a_version(1, source="prompt-template", stage=Stage.NONE, tags=prompt)) == [True, True]


def test_aliases_are_set_once_and_never_moved(session: Session) -> None:
    model = a_model()
    take(model, a_version(1), a_version(2))

    def alias(name: str, number: int) -> bool:
        with transaction(OPERATOR) as writing:
            return imports.take_alias(writing, OPERATOR, model.name, name, number)

    assert alias("champion", 1) is True
    assert alias("champion", 1) is False
    with pytest.raises(Conflict, match="names version 1 here, and version 2 there"):
        alias("champion", 2)
    with pytest.raises(Invalid, match="reserved"):
        alias("latest", 2)
    assert aliases.all_of(session, OPERATOR, model.name) == {"champion": 1}


def test_only_an_administrator_imports(session: Session, reader: Principal) -> None:
    model = a_model()
    take(model, a_version(1))
    attempts: list[Callable[[], bool]] = [
        lambda: imports.take_model(session, reader, a_model()),
        lambda: imports.take_version(session, reader, model.name, a_version(2)),
        lambda: imports.take_alias(session, reader, model.name, "champion", 1),
    ]
    for attempt in attempts:
        with pytest.raises(Forbidden), transaction(reader):
            attempt()


def test_an_imported_production_makes_way_like_any_other(session: Session, steward: Principal) -> None:
    model = a_model()
    take(model, a_version(1), a_version(2, stage=Stage.NONE))

    with transaction(steward):
        stages.transition(session, steward, model.name, 2, Stage.PRODUCTION, archive_others=True, expected=[1])

    assert model_versions.get(session, OPERATOR, model.name, 1).stage == "Archived"


def test_tags_that_cannot_be_kept_are_named_one_by_one() -> None:
    kept, why_not = imports.fitting({"good": "1", "a,b": "2", "long": "x" * 100_001})

    assert kept == {"good": "1"}
    assert [text.partition(":")[0] for text in why_not] == ["tag 'a,b'", "tag 'long'"]
