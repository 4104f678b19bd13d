"""Tags: keys with values on models and on versions; the same rules for both, so the same tests."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from sqlalchemy import func, select

from registry.db import db, transaction
from registry.domain import model_versions, registered_models, tags
from registry.domain.access import OPERATOR
from registry.errors import Invalid, ModelNotFound, NotFound, VersionNotFound
from registry.tables import AuditEvent
from tests.factories import make_model, make_version, unique

pytestmark = pytest.mark.usefixtures("context")


@dataclass(frozen=True)
class Subject:
    """What carries tags: a model, or (with a number) a version."""

    name: str
    number: int | None = None

    def set(self, key: str, value: str) -> None:
        with transaction(OPERATOR) as session:
            if self.number is None:
                tags.set_on_model(session, OPERATOR, self.name, key, value)
            else:
                tags.set_on_version(session, OPERATOR, self.name, self.number, key, value)

    def unset(self, key: str) -> None:
        with transaction(OPERATOR) as session:
            if self.number is None:
                tags.unset_on_model(session, OPERATOR, self.name, key)
            else:
                tags.unset_on_version(session, OPERATOR, self.name, self.number, key)

    def tags(self) -> dict[str, str]:
        if self.number is None:
            return {tag.key: tag.value for tag in registered_models.get(db.session(), OPERATOR, self.name).model.tags}
        return {tag.key: tag.value for tag in model_versions.get(db.session(), OPERATOR, self.name, self.number).tags}

    def delete(self) -> None:
        with transaction(OPERATOR) as session:
            if self.number is None:
                registered_models.delete(session, OPERATOR, self.name)
            else:
                model_versions.delete(session, OPERATOR, self.name, self.number)


MODEL, VERSION = "a model", "a version"


@pytest.fixture(params=[MODEL, VERSION])
def subject(request: pytest.FixtureRequest) -> Subject:
    """A model, or the first of its two versions, with one tag."""
    name = make_model(team="risk")
    make_version(name, team="risk")
    make_version(name, team="risk")
    return Subject(name, None if request.param == MODEL else 1)


def neighbours(subject: Subject) -> list[Subject]:
    """All in the same model that could be mistaken for the subject."""
    return [other for other in (Subject(subject.name, number) for number in (None, 1, 2)) if other != subject]


def events_written() -> int:
    return db.session.scalars(select(func.count(AuditEvent.id))).one()


def test_a_tag_is_set_and_replaced_on_its_subject_alone(subject: Subject) -> None:
    subject.set("owner", "ada")
    assert subject.tags() == {"owner": "ada", "team": "risk"}
    subject.set("owner", "bob")
    assert subject.tags() == {"owner": "bob", "team": "risk"}
    assert [other.tags() for other in neighbours(subject)] == [{"team": "risk"}] * 2


def test_a_tag_is_taken_off_its_subject_alone(subject: Subject) -> None:
    for each in (subject, *neighbours(subject)):
        each.set("owner", "ada")
    subject.unset("owner")
    assert subject.tags() == {"team": "risk"}
    assert [other.tags() for other in neighbours(subject)] == [{"owner": "ada", "team": "risk"}] * 2


def test_another_model_keeps_its_tag(subject: Subject) -> None:
    other = make_model(team="risk")
    make_version(other, team="risk")
    subject.unset("team")
    assert [Subject(other).tags(), Subject(other, 1).tags()] == [{"team": "risk"}] * 2


def test_keys_that_differ_in_letter_case_are_two(subject: Subject) -> None:
    subject.set("Team", "fraud")
    subject.unset("TEAM")
    assert subject.tags() == {"Team": "fraud", "team": "risk"}


@pytest.mark.parametrize("value", ["", " ", "x" * 100_000, "line\nline 漢 \U0001f600"])
def test_a_value_is_kept_as_it_is(subject: Subject, value: str) -> None:
    subject.set("k", value)
    assert subject.tags()["k"] == value


def test_taking_off_what_is_not_there_changes_nothing(subject: Subject) -> None:
    before = events_written()
    subject.unset("owner")
    assert (subject.tags(), events_written()) == ({"team": "risk"}, before)


def test_tags_move_no_time(subject: Subject) -> None:
    before = times(subject)
    subject.set("owner", "ada")
    subject.unset("team")
    assert times(subject) == before


def times(subject: Subject) -> list[object]:
    model = registered_models.get(db.session(), OPERATOR, subject.name).model
    return [model.updated_at, model_versions.get(db.session(), OPERATOR, subject.name, 1).updated_at]


REFUSED: dict[str, tuple[Callable[[Subject], None], str]] = {
    "a bad key": (lambda s: s.set("a*b", ""), "Invalid value \"a*b\" for parameter 'key' supplied"),
    "no key": (lambda s: s.set("", ""), "This name would resolve to '.'"),
    "a key of 251": (lambda s: s.set("k" * 251, ""), "'key' exceeds the maximum length of 250 characters"),
    "a value of 100,001": (lambda s: s.set("k", "v" * 100_001), "'value' exceeds the maximum length of 100000"),
    "a prompt of 100,001": (lambda s: s.set("mlflow.prompt.text", "v" * 100_001), "Prompt text exceeds max length"),
    "a bad key to take off": (lambda s: s.unset("a//b"), "This name would resolve to 'a/b'"),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_changes_nothing(subject: Subject, change: Callable[[Subject], None], message: str) -> None:
    before = events_written()
    with pytest.raises(Invalid) as refused:
        change(subject)
    assert message in refused.value.message
    assert (subject.tags(), events_written()) == ({"team": "risk"}, before)


CHANGES: list[Callable[[Subject], None]] = [lambda s: s.set("k", "v"), lambda s: s.unset("team")]


@pytest.mark.parametrize("change", CHANGES, ids=["set", "unset"])
def test_what_was_deleted_has_no_tags_to_change(subject: Subject, change: Callable[[Subject], None]) -> None:
    subject.delete()
    before = events_written()
    with pytest.raises(NotFound):
        change(subject)
    assert events_written() == before


@pytest.mark.parametrize("change", CHANGES, ids=["set", "unset"])
def test_who_tags_what_is_not_there_is_told_what_is_missing(change: Callable[[Subject], None]) -> None:
    name = unique()
    with pytest.raises(ModelNotFound, match=f"^Registered Model with name={name} not found$"):
        change(Subject(name))
    with pytest.raises(VersionNotFound, match=rf"^Model Version \(name={name}, version=1\) not found$"):
        change(Subject(name, 1))
