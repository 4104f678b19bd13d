"""Model versions: made, read, described, deleted."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry.db import db, transaction
from registry.domain import aliases, audit, comments, model_versions, references, registered_models, stages, tags
from registry.domain.access import OPERATOR, Principal
from registry.domain.audit import Question
from registry.errors import AliasNotFound, Invalid, ModelNotFound, RegistryError, VersionNotFound
from registry.tables import AuditEvent, ModelVersion
from registry.vocabulary import Stage
from tests.factories import make_model, make_version, unique

pytestmark = pytest.mark.usefixtures("context")


def row(says: str, *values: object) -> Any:
    """One row of a table, called by what it says."""
    return pytest.param(*values, id=says)


def act(change: Callable[[Session], object]) -> None:
    with transaction(OPERATOR) as session:
        change(session)


def create(name: str, **given: Any) -> None:
    asked = {"source": "s3://bucket/model", "tags": {}} | given
    act(lambda s: model_versions.create(s, OPERATOR, name, **asked))


def get(name: str, number: int) -> ModelVersion:
    return model_versions.get(db.session(), OPERATOR, name, number)


def model_time(name: str) -> Any:
    return registered_models.get(db.session(), OPERATOR, name).model.updated_at


def last_time(name: str) -> Any:
    return audit.search(db.session(), OPERATOR, Question(model=name), limit=1).items[0].at


def refusal_of(change: Callable[[Session], object], kind: type[RegistryError]) -> RegistryError:
    """How a change is refused; it must not leave an event."""
    count = select(func.count(AuditEvent.id))
    before = db.session.scalar(count)
    with pytest.raises(kind) as refused:
        act(change)
    assert db.session.scalar(count) == before
    return refused.value


def test_a_new_version_has_what_it_was_given(steward: Principal) -> None:
    name = make_model()
    with transaction(steward) as session:
        made = model_versions.create(
            session,
            steward,
            name,
            source="s3://b/k",
            run_id="run-1",
            run_link="http://t/1",
            description="d",
            logged_model_id="m-1",
            tags={"b": "2", "a": ""},
        )
        assert (made.number, [tag.key for tag in made.tags], made.aliases) == (1, ["a", "b"], [])
    found = get(name, 1)
    assert (found.model.name, found.number, found.stage, found.created_by) == (name, 1, Stage.NONE, steward.id)
    assert (found.source, found.run_id, found.run_link) == ("s3://b/k", "run-1", "http://t/1")
    assert (found.description, found.logged_model_id, found.storage_location) == ("d", "m-1", None)
    assert [(tag.key, tag.value) for tag in found.tags] == [("a", ""), ("b", "2")]


def test_what_is_not_said_is_empty() -> None:
    name = make_model()
    create(name)
    found = get(name, 1)
    assert (found.run_id, found.run_link, found.description, found.logged_model_id) == ("", "", None, None)


def test_an_empty_description_stays_empty() -> None:
    name = make_model()
    create(name, description="")
    assert get(name, 1).description == ""


def test_numbers_count_up_in_each_model_by_itself() -> None:
    name, other = make_model(), make_model()
    assert [make_version(name), make_version(name), make_version(other), make_version(name)] == [1, 2, 1, 3]


def test_a_new_version_moves_the_time_of_its_model_to_its_own() -> None:
    name = make_model()
    before = model_time(name)
    make_version(name)
    found = get(name, 1)
    assert found.created_at == found.updated_at == model_time(name) == last_time(name) > before


LONGEST = [
    row("a run id of 64 characters", {"run_id": "r" * 64}),
    row("a run link of 2,000", {"run_link": "l" * 2_000}),
    row("a description of 5,000", {"description": "漢" * 5_000}),
    row("a source of 2,000", {"source": "s3://b/" + "k" * 1_993}),
    row("a tag of 100,000", {"tags": {"k" * 250: "v" * 100_000}}),
]


@pytest.mark.parametrize("given", LONGEST)
def test_a_version_may_have(given: dict[str, Any]) -> None:
    name = make_model()
    create(name, **given)
    found = get(name, 1)
    shown = {field: getattr(found, field) for field in given}
    assert shown | {"tags": {tag.key: tag.value for tag in found.tags}} == {"tags": {}} | given


def too_long(field: str, limit: int) -> str:
    return f"'{field}' exceeds the maximum length of {limit} characters"


TOO_LONG = [
    row("a run id of 65 characters", {"run_id": "r" * 65}, too_long("run_id", 64)),
    row("a run id of 65 in the source", {"source": f"runs:/{'r' * 65}/model"}, too_long("run_id", 64)),
    row("a run link of 2,001", {"run_link": "l" * 2_001}, too_long("run_link", 2_000)),
    row("a description of 5,001", {"description": "d" * 5_001}, too_long("description", 5_000)),
    row("a source of 2,001", {"source": "s3://b/" + "k" * 1_994}, too_long("source", 2_000)),
    row("the id of a logged model of 65", {"logged_model_id": "m" * 65}, too_long("model_id", 64)),
    row("a tag of 100,001", {"tags": {"k": "v" * 100_001}}, too_long("value", 100_000)),
    row("a tag with a bad key", {"tags": {"good": "", "": ""}}, "This name would resolve to '.'"),
    row("a source that leads elsewhere", {"source": "s3://b/../k"}, "without relative path references"),
]


@pytest.mark.parametrize(("given", "message"), TOO_LONG)
def test_a_version_may_not_have(given: dict[str, Any], message: str) -> None:
    name = make_model()
    asked = {"source": "s3://bucket/model", "tags": {}} | given
    assert message in refusal_of(lambda s: model_versions.create(s, OPERATOR, name, **asked), Invalid).message
    assert make_version(name) == 1


def test_a_version_needs_a_model() -> None:
    name = unique()
    refused = refusal_of(lambda s: model_versions.create(s, OPERATOR, name, source="s3://b/k", tags={}), ModelNotFound)
    assert refused.message == f"Registered Model with name={name} not found"


@pytest.mark.parametrize("number", [-1, 0, 2, 2**31 - 1, 2**31, 2**63, 10**30])
def test_a_number_that_no_version_has_is_not_found(number: int) -> None:
    name = make_model()
    make_version(name)
    with pytest.raises(VersionNotFound) as refused:
        get(name, number)
    assert refused.value.message == f"Model Version (name={name}, version={number}) not found"


def test_a_version_of_another_model_is_not_found() -> None:
    make_version(make_model())
    with pytest.raises(VersionNotFound):
        get(make_model(), 1)


@pytest.mark.parametrize("given", ["words", "", None])
def test_a_description_is_replaced_by_the_very_one_given(given: str | None) -> None:
    name = make_model()
    create(name, description="before")
    make_version(name)
    model_before, other_before = model_time(name), get(name, 2).updated_at

    with transaction(OPERATOR) as session:
        assert model_versions.describe(session, OPERATOR, name, 1, given).description == given

    found = get(name, 1)
    assert (found.description, found.updated_at) == (given, last_time(name))
    assert found.updated_at > found.created_at
    assert (model_time(name), get(name, 2).updated_at) == (model_before, other_before)


def test_a_description_that_is_too_long_changes_nothing() -> None:
    name = make_model()
    make_version(name)
    refused = refusal_of(lambda s: model_versions.describe(s, OPERATOR, name, 1, "x" * 5_001), Invalid)
    assert refused.message == too_long("description", 5_000)


USES: list[Any] = [
    row("get", lambda s, n: model_versions.get(s, OPERATOR, n, 1)),
    row("its files", lambda s, n: model_versions.download_uri(s, OPERATOR, n, 1)),
    row("a reference", lambda s, n: references.resolve(s, OPERATOR, f"models:/{n}/1")),
    row("describe", lambda s, n: model_versions.describe(s, OPERATOR, n, 1, "words")),
    row("delete", lambda s, n: model_versions.delete(s, OPERATOR, n, 1)),
    row("transition", lambda s, n: stages.transition(s, OPERATOR, n, 1, Stage.STAGING)),
    row("tag", lambda s, n: tags.set_on_version(s, OPERATOR, n, 1, "k", "v")),
    row("take a tag off", lambda s, n: tags.unset_on_version(s, OPERATOR, n, 1, "k")),
    row("set an alias", lambda s, n: aliases.set(s, OPERATOR, n, "champion", 1)),
    row("comment", lambda s, n: comments.create(s, OPERATOR, n, 1, "words")),
    row("read comments", lambda s, n: comments.search(s, OPERATOR, n, 1, limit=10)),
    row("copy", lambda s, n: model_versions.create(s, OPERATOR, n, source=f"models:/{n}/1", tags={})),
]


@pytest.mark.parametrize("use", USES)
def test_a_deleted_version_is_gone_for_everybody(use: Callable[[Session, str], object]) -> None:
    name, other = make_model(), make_model()
    make_version(name)
    make_version(other)
    act(lambda s: model_versions.delete(s, OPERATOR, name, 1))

    refused = refusal_of(lambda s: use(s, name), VersionNotFound)

    assert refused.message == f"Model Version (name={name}, version=1) not found"
    act(lambda s: use(s, other))


@pytest.mark.parametrize("stage", Stage)
def test_a_version_may_be_deleted_whatever_its_stage(stage: Stage) -> None:
    name = make_model()
    make_version(name, stage=stage)
    act(lambda s: model_versions.delete(s, OPERATOR, name, 1))
    detail = registered_models.get(db.session(), OPERATOR, name)
    assert (detail.latest_versions, detail.model.updated_at) == ([], last_time(name))


def test_the_newest_of_a_stage_makes_room_for_the_one_before() -> None:
    name = make_model()
    for _ in range(2):
        make_version(name, stage=Stage.PRODUCTION)
    act(lambda s: model_versions.delete(s, OPERATOR, name, 2))
    [newest] = registered_models.latest_versions(db.session(), OPERATOR, name)
    assert newest.number == 1


def test_aliases_of_a_deleted_version_go_and_others_stay() -> None:
    name, other = make_model(), make_model()
    for model in (name, name, other):
        make_version(model)
    with transaction(OPERATOR) as session:
        for model, alias, number in ((name, "first", 1), (name, "also", 1), (name, "second", 2), (other, "first", 1)):
            aliases.set(session, OPERATOR, model, alias, number)

    act(lambda s: model_versions.delete(s, OPERATOR, name, 1))

    left = registered_models.get(db.session(), OPERATOR, name).model.aliases
    assert [(alias.alias, alias.number) for alias in left] == [("second", 2)]
    with pytest.raises(AliasNotFound):
        aliases.get(db.session(), OPERATOR, name, "first")
    assert aliases.get(db.session(), OPERATOR, other, "first").number == 1


def test_the_row_of_a_deleted_version_stays_as_it_was() -> None:
    name = make_model()
    create(name, source="s3://b/gone", run_id="run-1", description="d", tags={"k": "v"})
    version = get(name, 1)
    model_id, before = version.model_id, version.updated_at

    act(lambda s: model_versions.delete(s, OPERATOR, name, 1))

    kept = db.session.get(ModelVersion, (model_id, 1))
    assert kept is not None
    assert (kept.source, kept.run_id, kept.description, kept.stage) == ("s3://b/gone", "run-1", "d", "None")
    assert kept.deleted_at == kept.updated_at == last_time(name) > before


FILES = [
    row("an object store", "s3://b/k", "s3://b/k"),
    row("a run", "runs:/run-1/model", "runs:/run-1/model"),
    row("a logged model", "models:/m-" + "0" * 32, "models:/m-" + "0" * 32),
    row("a prompt", "dummy-source", "dummy-source"),
]


@pytest.mark.parametrize(("source", "uri"), FILES)
def test_the_files_of_a_version_are_where_its_source_is(source: str, uri: str) -> None:
    name = make_model()
    create(name, source=source, tags={"mlflow.prompt.is_prompt": "true"} if source == "dummy-source" else {})
    assert model_versions.download_uri(db.session(), OPERATOR, name, 1) == uri


def test_the_files_of_a_copy_of_a_copy_are_where_the_first_ones_are() -> None:
    name, copy, copy_of_copy = make_model(), make_model(), make_model()
    create(name, source="s3://b/k", run_id="run-1")
    create(copy, source=f"models:/{name}/latest")
    create(copy_of_copy, source=f"models:/{copy}/1")
    act(lambda s: registered_models.delete(s, OPERATOR, name))

    found = get(copy_of_copy, 1)

    assert (found.source, found.run_id) == (f"models:/{copy}/1", "run-1")
    assert model_versions.download_uri(db.session(), OPERATOR, copy_of_copy, 1) == "s3://b/k"
