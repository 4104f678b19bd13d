"""Registered models: made, renamed, described, deleted; what stays afterwards; and which numbers they give."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask, current_app
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from registry.config import Settings
from registry.db import db, transaction
from registry.domain import aliases, audit, comments, model_versions, references, registered_models, tags
from registry.domain.access import OPERATOR, Principal
from registry.domain.audit import Entry, Question
from registry.domain.names import PROMPT_TAG
from registry.domain.registered_models import ModelDetail
from registry.errors import AlreadyExists, Invalid, ModelNotFound, NotFound, RegistryError
from registry.tables import AuditEvent, ModelVersion, RegisteredModel
from registry.vocabulary import Action, Stage
from tests.conftest import application
from tests.factories import make_model, make_version, unique

NONE, STAGING, PRODUCTION, ARCHIVED = Stage


def row(says: str, *values: object) -> Any:
    """One row of a table, called by what it says."""
    return pytest.param(*values, id=says)


def act(change: Callable[[Session], object]) -> None:
    with transaction(OPERATOR) as session:
        change(session)


def get(name: str) -> ModelDetail:
    return registered_models.get(db.session(), OPERATOR, name)


def version(name: str, number: int) -> ModelVersion:
    return model_versions.get(db.session(), OPERATOR, name, number)


def events_written() -> int:
    return db.session.scalars(select(func.count(AuditEvent.id))).one()


def log(name: str) -> list[Entry]:
    return audit.search(db.session(), OPERATOR, Question(model=name), newest_first=False, limit=1000).items


def refusal_of(change: Callable[[Session], object], kind: type[RegistryError] = Invalid) -> RegistryError:
    """How a change is refused; it must not leave an event."""
    before = events_written()
    with pytest.raises(kind) as refused:
        act(change)
    assert events_written() == before
    return refused.value


pytestmark = pytest.mark.usefixtures("context")


def test_a_new_model_has_what_it_was_given(steward: Principal) -> None:
    name = unique()
    with transaction(steward) as session:
        made = registered_models.create(session, steward, name, description="d", tags={"b": "2", "a": ""})
        assert [(tag.key, tag.value) for tag in made.model.tags] == [("a", ""), ("b", "2")]
    found = get(name)
    assert (found.model.name, found.model.description, found.model.created_by) == (name, "d", steward.id)
    assert found.model.created_at == found.model.updated_at
    assert [(tag.key, tag.value) for tag in found.model.tags] == [("a", ""), ("b", "2")]
    assert (found.model.aliases, found.latest_versions) == ([], [])


def test_its_time_is_that_of_its_event() -> None:
    name = make_model(team="risk")
    assert {entry.at for entry in log(name)} == {get(name).model.created_at}


def test_an_empty_description_is_none() -> None:
    name = unique()
    act(lambda s: registered_models.create(s, OPERATOR, name, description="", tags={}))
    assert get(name).model.description is None


NOT_CREATED = [
    row("a blank name", {"name": " "}, "Missing value for required parameter 'name'."),
    row("a name that is no name", {"name": "a/b"}, "Invalid model name 'a/b'. Names cannot contain '/' or ':'."),
    row(
        "a description of 5,001 characters",
        {"description": "x" * 5_001},
        "'description' exceeds the maximum length of 5000 characters",
    ),
    row("a bad tag", {"tags": {"ok": "", "a//b": ""}}, "would resolve to 'a/b'"),
]


@pytest.mark.parametrize(("wrong", "message"), NOT_CREATED)
def test_a_model_is_not_made_with(wrong: dict[str, Any], message: str) -> None:
    given = {"name": unique(), "tags": {}} | wrong
    assert message in refusal_of(lambda s: registered_models.create(s, OPERATOR, **given)).message
    with pytest.raises((NotFound, Invalid)):
        get(given["name"])


def test_a_description_may_have_5000_characters() -> None:
    name = unique()
    act(lambda s: registered_models.create(s, OPERATOR, name, description="漢" * 5_000, tags={}))
    assert get(name).model.description == "漢" * 5_000


TAKEN_BY = (
    "but the name is already taken by a {}. MLflow does not allow creating a model and a prompt with the same name."
)
TAKEN = [
    row("a model by a model", False, False, "Registered Model (name={name}) already exists."),
    row("a prompt by a prompt", True, True, "Prompt (name={name}) already exists."),
    row(
        "a prompt by a model",
        True,
        False,
        "Tried to create a registered model with name '{name}', " + TAKEN_BY.format("prompt"),
    ),
    row(
        "a model by a prompt",
        False,
        True,
        "Tried to create a prompt with name '{name}', " + TAKEN_BY.format("registered model"),
    ),
]


@pytest.mark.parametrize("value", ["true", "false", ""])
@pytest.mark.parametrize(("prompt_there", "prompt_wanted", "message"), TAKEN)
def test_a_name_is_taken_only_once(*, prompt_there: bool, prompt_wanted: bool, value: str, message: str) -> None:
    name = make_model()
    if prompt_there:
        act(lambda s: tags.set_on_model(s, OPERATOR, name, PROMPT_TAG, value))
    wanted = {PROMPT_TAG: "true"} if prompt_wanted else {}

    refused = refusal_of(lambda s: registered_models.create(s, OPERATOR, name, tags=wanted), AlreadyExists)

    assert refused.message == message.format(name=name)


def test_names_that_differ_in_letter_case_are_two() -> None:
    name = make_model()
    assert get(make_model(name=name.upper())).model.id != get(name).model.id


def test_a_model_shows_the_newest_version_of_each_stage() -> None:
    name = make_model()
    for stage in (PRODUCTION, STAGING, PRODUCTION, NONE, STAGING, NONE, NONE):
        make_version(name, stage=stage, team="risk")
    act(lambda s: aliases.set(s, OPERATOR, name, "champion", 3))
    act(lambda s: model_versions.delete(s, OPERATOR, name, 7))

    newest = get(name).latest_versions

    assert [(each.number, each.stage) for each in newest] == [(3, PRODUCTION), (5, STAGING), (6, NONE)]
    assert [[alias.alias for alias in each.aliases] for each in newest] == [["champion"], [], []]
    assert [[tag.key for tag in each.tags] for each in newest] == [["team"]] * 3
    assert [each.model.name for each in newest] == [name] * 3


ASKED = [
    row("all stages unless asked otherwise", None, [2, 3, 4]),
    row("one", [PRODUCTION], [2]),
    row("two, by number and not as asked", [STAGING, PRODUCTION], [2, 3]),
    row("one named twice, once", [PRODUCTION, PRODUCTION], [2]),
    row("an empty one, not at all", [ARCHIVED], []),
    row("none", [], []),
]


@pytest.mark.parametrize(("stages", "numbers_found"), ASKED)
def test_the_newest_versions_of(stages: list[Stage] | None, numbers_found: list[int]) -> None:
    name = make_model()
    for stage in (PRODUCTION, PRODUCTION, STAGING, NONE):
        make_version(name, stage=stage)
    asked = {} if stages is None else {"stages": stages}
    found = registered_models.latest_versions(db.session(), OPERATOR, name, **asked)
    assert [each.number for each in found] == numbers_found


def test_a_renamed_model_takes_everything_along() -> None:
    name, new = make_model(team="risk"), unique()
    make_version(name, stage=PRODUCTION, team="risk")
    act(lambda s: aliases.set(s, OPERATOR, name, "champion", 1))
    act(lambda s: registered_models.describe(s, OPERATOR, name, "words"))
    old = get(name).model

    with transaction(OPERATOR) as session:
        answer = registered_models.rename(session, OPERATOR, name, new)
        assert (answer.model.name, [each.number for each in answer.latest_versions]) == (new, [1])

    found = get(new)
    assert (found.model.id, found.model.name, found.model.description) == (old.id, new, "words")
    assert [tag.value for tag in found.model.tags] == ["risk"]
    assert [alias.number for alias in found.model.aliases] == [1]
    assert [(each.number, each.stage, each.model.name) for each in found.latest_versions] == [(1, PRODUCTION, new)]


QUESTIONS = [
    row("get", lambda s, n: registered_models.get(s, OPERATOR, n)),
    row("newest versions", lambda s, n: registered_models.latest_versions(s, OPERATOR, n)),
    row("get a version", lambda s, n: model_versions.get(s, OPERATOR, n, 1)),
    row("its files", lambda s, n: model_versions.download_uri(s, OPERATOR, n, 1)),
    row("an alias", lambda s, n: aliases.get(s, OPERATOR, n, "champion")),
    row("the latest", lambda s, n: aliases.get(s, OPERATOR, n, "latest")),
    row("a reference", lambda s, n: references.resolve(s, OPERATOR, f"models:/{n}/1")),
    row("comments", lambda s, n: comments.search(s, OPERATOR, n, None, limit=10)),
    row("comments of a version", lambda s, n: comments.search(s, OPERATOR, n, 1, limit=10)),
]
CHANGES = [
    row("rename", lambda s, n: registered_models.rename(s, OPERATOR, n, unique())),
    row("describe", lambda s, n: registered_models.describe(s, OPERATOR, n, "words")),
    row("delete", lambda s, n: registered_models.delete(s, OPERATOR, n)),
    row("tag", lambda s, n: tags.set_on_model(s, OPERATOR, n, "k", "v")),
    row("take a tag off", lambda s, n: tags.unset_on_model(s, OPERATOR, n, "k")),
    row("set an alias", lambda s, n: aliases.set(s, OPERATOR, n, "champion", 1)),
    row("unset an alias", lambda s, n: aliases.unset(s, OPERATOR, n, "champion")),
    row("comment", lambda s, n: comments.create(s, OPERATOR, n, None, "words")),
    row("add a version", lambda s, n: model_versions.create(s, OPERATOR, n, source="s3://b/k", tags={})),
    row("copy a version", lambda s, n: model_versions.create(s, OPERATOR, n, source=f"models:/{n}/1", tags={})),
]


def furnished() -> str:
    name = make_model()
    make_version(name)
    act(lambda s: aliases.set(s, OPERATOR, name, "champion", 1))
    return name


@pytest.mark.parametrize("use", QUESTIONS + CHANGES)
def test_nothing_leads_from_the_old_name(use: Callable[[Session, str], object]) -> None:
    name = furnished()
    act(lambda s: registered_models.rename(s, OPERATOR, name, unique()))
    refusal_of(lambda s: use(s, name), NotFound)


@pytest.mark.parametrize("use", QUESTIONS + CHANGES)
def test_a_deleted_model_is_gone_for_everybody(use: Callable[[Session, str], object]) -> None:
    name = furnished()
    act(lambda s: registered_models.delete(s, OPERATOR, name))
    refusal_of(lambda s: use(s, name), NotFound)


@pytest.mark.parametrize("use", QUESTIONS + CHANGES)
def test_all_of_that_works_on_a_model_that_is_there(use: Callable[[Session, str], object]) -> None:
    name = furnished()
    act(lambda s: use(s, name))


def test_a_rename_moves_the_time_of_the_model_and_of_all_its_versions() -> None:
    name, new = make_model(), unique()
    for _ in range(3):
        make_version(name)
    act(lambda s: model_versions.delete(s, OPERATOR, name, 3))
    before = get(name).model.updated_at

    act(lambda s: registered_models.rename(s, OPERATOR, name, new))

    model = get(new).model
    rows = select(ModelVersion.updated_at).where(ModelVersion.model_id == model.id)
    assert {*db.session.scalars(rows), log(new)[-1].at} == {model.updated_at}
    assert model.created_at < before < model.updated_at


def test_a_rename_to_the_same_name_moves_the_time_alone() -> None:
    name = furnished()
    before, events = get(name).model.updated_at, events_written()
    act(lambda s: registered_models.rename(s, OPERATOR, name, name))
    assert get(name).model.updated_at == version(name, 1).updated_at > before
    assert events_written() == events


def test_a_rename_to_a_taken_name_is_refused() -> None:
    name, other = furnished(), make_model()
    refused = refusal_of(lambda s: registered_models.rename(s, OPERATOR, name, other), AlreadyExists)
    assert refused.message == f"Registered Model (name={other}) already exists."
    assert [get(name).model.name, get(other).model.name] == [name, other]


def test_a_name_that_was_left_or_deleted_is_free() -> None:
    left, deleted, name = make_model(), make_model(), make_model()
    act(lambda s: registered_models.rename(s, OPERATOR, left, unique()))
    act(lambda s: registered_models.delete(s, OPERATOR, deleted))
    act(lambda s: registered_models.rename(s, OPERATOR, name, left))
    assert get(make_model(name=deleted)).latest_versions == []
    assert get(left).model.name == left


NEW_NAMES = [
    row("blank", "", "Missing value for required parameter 'new_name'."),
    row("no name", "a:b", "Invalid model name 'a:b'. Names cannot contain '/' or ':'."),
    row("too long", "x" * 257, "'name' exceeds the maximum length of 256 characters"),
]


@pytest.mark.parametrize(("new", "message"), NEW_NAMES)
def test_a_new_name_is_checked_before_the_old_one_is_looked_up(new: str, message: str) -> None:
    assert refusal_of(lambda s: registered_models.rename(s, OPERATOR, unique(), new)).message == message


@pytest.mark.parametrize(("given", "kept"), [("words", "words"), ("", None), (None, None)])
def test_a_description_is_replaced_or_cleared(given: str | None, kept: str | None) -> None:
    name = furnished()
    act(lambda s: registered_models.describe(s, OPERATOR, name, "before"))
    times = get(name).model.updated_at, version(name, 1).updated_at

    with transaction(OPERATOR) as session:
        assert registered_models.describe(session, OPERATOR, name, given).model.description == kept

    model = get(name).model
    assert model.description == kept
    assert model.updated_at == log(name)[-1].at > times[0]
    assert version(name, 1).updated_at == times[1]


def test_a_description_that_is_too_long_changes_nothing() -> None:
    name = make_model()
    refused = refusal_of(lambda s: registered_models.describe(s, OPERATOR, name, "x" * 5_001))
    assert refused.message == "'description' exceeds the maximum length of 5000 characters"


def test_a_second_deletion_finds_nothing() -> None:
    name = make_model()
    act(lambda s: registered_models.delete(s, OPERATOR, name))
    refused = refusal_of(lambda s: registered_models.delete(s, OPERATOR, name), ModelNotFound)
    assert refused.message == f"Registered Model with name={name} not found"


@pytest.mark.parametrize("stage", Stage)
def test_a_model_may_be_deleted_whatever_the_stages(stage: Stage) -> None:
    name = make_model()
    make_version(name, stage=stage)
    act(lambda s: registered_models.delete(s, OPERATOR, name))
    with pytest.raises(ModelNotFound):
        get(name)


def test_a_model_made_again_under_a_deleted_name_is_another_one() -> None:
    name = furnished()
    act(lambda s: tags.set_on_model(s, OPERATOR, name, "team", "risk"))
    act(lambda s: registered_models.describe(s, OPERATOR, name, "words"))
    first = get(name).model.id
    act(lambda s: registered_models.delete(s, OPERATOR, name))

    found = get(make_model(name=name))

    assert found.model.id != first
    assert (found.model.description, found.model.tags, found.model.aliases, found.latest_versions) == (None, [], [], [])


# What was deleted can still be read.


def remember(name: str) -> None:
    """A model with everything that there is on one, deleted piece by piece."""
    act(lambda s: registered_models.create(s, OPERATOR, name, description="scores churn", tags={"team": "risk"}))
    act(
        lambda s: model_versions.create(
            s,
            OPERATOR,
            name,
            source="s3://b/gone",
            run_id="run-1",
            run_link="http://t/1",
            description="v",
            tags={"k": "1"},
        )
    )
    act(lambda s: aliases.set(s, OPERATOR, name, "champion", 1))
    act(lambda s: comments.create(s, OPERATOR, name, 1, "looks right"))
    act(lambda s: model_versions.delete(s, OPERATOR, name, 1))
    act(lambda s: registered_models.delete(s, OPERATOR, name))


REMEMBERED = [
    row("its name", Action.MODEL_CREATE, "name", "{name}"),
    row("its description", Action.MODEL_CREATE, "description", "scores churn"),
    row("its tags", Action.MODEL_TAG_SET, "value", "risk"),
    row("the source of a version", Action.VERSION_CREATE, "source", "s3://b/gone"),
    row("its run", Action.VERSION_CREATE, "run_id", "run-1"),
    row("its link", Action.VERSION_CREATE, "run_link", "http://t/1"),
    row("its description, too", Action.VERSION_CREATE, "description", "v"),
    row("its tags, too", Action.VERSION_TAG_SET, "value", "1"),
    row("its alias", Action.ALIAS_SET, "alias", "champion"),
    row("a comment", Action.COMMENT_CREATE, "text", "looks right"),
]


@pytest.fixture(scope="module")
def deleted(app: Flask) -> tuple[str, list[Entry]]:
    """The name of a deleted model, used again since, and what the log says under it."""
    name = unique()
    with app.app_context():
        remember(name)
        make_model(name=name)
        return name, log(name)


@pytest.mark.parametrize(("action", "field", "value"), REMEMBERED)
def test_the_log_remembers_of_a_deleted_model(
    deleted: tuple[str, list[Entry]], action: Action, field: str, value: str
) -> None:
    name, entries = deleted
    entry = next(each for each in entries if each.event.action == action)
    assert entry.changes[field] == [None, value.format(name=name)]


def test_the_log_tells_of_both_deletions_and_of_the_model_made_again(deleted: tuple[str, list[Entry]]) -> None:
    name, entries = deleted
    ends = [entry for entry in entries if "deleted_at" in entry.changes]
    assert [entry.event.action for entry in ends] == [Action.VERSION_DELETE, Action.MODEL_DELETE]
    assert [entry.line["model"] for entry in ends] == [name, name]
    assert ends[0].event.number == 1
    assert {entry.event.model_id for entry in entries[:-1]} == {ends[1].event.model_id}
    assert (entries[-1].event.action, entries[-1].event.model_id) == (Action.MODEL_CREATE, get(name).model.id)


def test_the_rows_of_a_deleted_model_stay_as_they_were() -> None:
    name = unique()
    remember(name)
    [model] = db.session.scalars(select(RegisteredModel).where(RegisteredModel.name == name)).all()
    [kept] = db.session.scalars(select(ModelVersion).where(ModelVersion.model_id == model.id)).all()
    assert (model.description, model.deleted_at) == ("scores churn", log(name)[-1].at)
    assert (kept.source, kept.run_id, kept.description) == ("s3://b/gone", "run-1", "v")


# Which number comes next.

STEPS: dict[str, Callable[..., object]] = {
    "create": lambda name: make_model(name=name),
    "add": make_version,
    "rename": lambda name, new: act(lambda s: registered_models.rename(s, OPERATOR, name, new)),
    "delete": lambda name: act(lambda s: registered_models.delete(s, OPERATOR, name)),
    "drop": lambda name, number: act(lambda s: model_versions.delete(s, OPERATOR, name, int(number))),
}


def tell(story: str) -> object:
    """Do the steps of a story, which calls its models A and B; the last one's answer."""
    called = {"A": unique(), "B": unique()}
    answer = None
    for step in story.split(", "):
        verb, *words = step.split()
        answer = STEPS[verb](*(called.get(word, word) for word in words))
    return answer


NEXT = [
    row("the first", "create A, add A", 1, 1),
    row("the next", "create A, add A, add A", 2, 2),
    row("numbers of another model do not count", "create A, add A, create B, add B", 1, 1),
    row("the highest was deleted", "create A, add A, add A, drop A 2, add A", 3, 3),
    row("all were deleted", "create A, add A, add A, drop A 1, drop A 2, add A", 3, 3),
    row("the model was made again", "create A, add A, add A, delete A, create A, add A", 3, 1),
    row("its highest was deleted before", "create A, add A, add A, drop A 2, delete A, create A, add A", 3, 1),
    row("it was made again twice", "create A, add A, delete A, create A, add A, delete A, create A, add A", 3, 1),
    row("once without a version", "create A, add A, delete A, create A, delete A, create A, add A", 2, 1),
    row("the model was renamed", "create A, add A, rename A B, add B", 2, 2),
    row("the name was left by another", "create A, add A, add A, rename A B, create A, add A", 3, 1),
    row("who left it goes on as before", "create A, add A, add A, rename A B, create A, add A, add B", 3, 3),
    row("left and deleted", "create A, add A, rename A B, delete B, create A, add A", 2, 1),
    row("renamed to a deleted one's name", "create A, add A, add A, delete A, create B, rename B A, add A", 3, 1),
    row("with more of its own", "create A, add A, delete A, create B, add B, add B, rename B A, add A", 3, 3),
    row("renamed there and back", "create A, add A, rename A B, rename B A, add A", 2, 2),
    row("back where another was", "create A, add A, rename A B, create A, add A, delete A, rename B A, add A", 3, 2),
]


@pytest.fixture(scope="module")
def restarting(database_url: str) -> Iterator[Flask]:
    """The service that counts again from 1, as an MLflow server does."""
    with application(Settings(database_url=database_url, version_numbers="restart")) as app:
        yield app


@pytest.mark.parametrize(("story", "continued", "restarted"), NEXT)
def test_the_next_number_where(restarting: Flask, story: str, continued: int, restarted: int) -> None:
    assert tell(story) == continued
    with restarting.app_context():
        assert tell(story) == restarted


@contextmanager
def just_before(statement: str, interfere: Callable[[], None]) -> Iterator[None]:
    """Let somebody else interfere, once, right before a statement that begins so is sent."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    waiting = [interfere]

    def elsewhere() -> None:
        with app.app_context():
            waiting.pop()()

    def watch(_: object, __: object, sent: str, *___: object) -> None:
        if waiting and sent.startswith(statement):
            with ThreadPoolExecutor(1) as pool:
                pool.submit(elsewhere).result()

    event.listen(db.engine, "before_cursor_execute", watch)
    try:
        yield
    finally:
        event.remove(db.engine, "before_cursor_execute", watch)
    assert not waiting


def come_and_go(name: str) -> None:
    make_model(name=name)
    make_version(name)
    act(lambda s: registered_models.delete(s, OPERATOR, name))


def test_no_number_is_used_twice_when_somebody_comes_and_goes_just_before_a_name_is_taken() -> None:
    name = unique()
    with just_before("INSERT INTO registry.registered_models", lambda: come_and_go(name)):
        make_model(name=name)
    assert make_version(name) == 2


def test_no_number_is_used_twice_when_somebody_comes_and_goes_just_before_a_rename() -> None:
    name, new = make_model(), unique()
    with just_before("UPDATE registry.registered_models SET name=", lambda: come_and_go(new)):
        act(lambda s: registered_models.rename(s, OPERATOR, name, new))
    assert make_version(new) == 2
