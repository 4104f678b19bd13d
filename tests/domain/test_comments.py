"""Comments on models and on versions: everybody's to read, their author's to change."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import func, select

from registry.db import db, transaction
from registry.domain import audit, comments, model_versions, registered_models
from registry.domain.access import OPERATOR, Principal
from registry.domain.audit import Question
from registry.domain.comments import Remark
from registry.domain.paging import Page
from registry.errors import CommentNotFound, Forbidden, Invalid, ModelNotFound, VersionNotFound
from registry.tables import AuditEvent
from registry.vocabulary import Role
from tests.factories import make_model, make_version, unique

pytestmark = pytest.mark.usefixtures("context")

MODEL, VERSION = "a model", "a version"


@dataclass(frozen=True)
class Subject:
    """What is commented on: a model, or (with a number) a version."""

    name: str
    number: int | None = None

    def comment(self, text: str, by: Principal = OPERATOR) -> int:
        with transaction(by) as session:
            return comments.create(session, by, self.name, self.number, text).comment.id

    def edit(self, comment: int, text: str, by: Principal = OPERATOR) -> None:
        with transaction(by) as session:
            comments.edit(session, by, self.name, self.number, comment, text)

    def delete(self, comment: int, by: Principal = OPERATOR) -> None:
        with transaction(by) as session:
            comments.delete(session, by, self.name, self.number, comment)

    def page(self, limit: int = 100, token: str | None = None) -> Page[Remark]:
        return comments.search(db.session(), OPERATOR, self.name, self.number, limit=limit, token=token)

    def texts(self) -> list[str]:
        return [remark.comment.text for remark in self.page().items]


@pytest.fixture(params=[MODEL, VERSION])
def subject(request: pytest.FixtureRequest) -> Subject:
    """A model, or the first of its two versions."""
    name = make_model()
    make_version(name)
    make_version(name)
    return Subject(name, None if request.param == MODEL else 1)


def neighbours(subject: Subject) -> list[Subject]:
    """All that could be mistaken for the subject: the rest of its model, and another model."""
    other = make_model()
    make_version(other)
    everything = [*(Subject(subject.name, number) for number in (None, 1, 2)), Subject(other), Subject(other, 1)]
    return [each for each in everything if each != subject]


def events_written() -> int:
    return db.session.scalars(select(func.count(AuditEvent.id))).one()


def last_time(name: str) -> Any:
    return audit.search(db.session(), OPERATOR, Question(model=name), limit=1).items[0].at


def test_a_comment_is_signed_and_dated(subject: Subject, steward: Principal) -> None:
    made = subject.comment("looks right\n漢 \U0001f600", steward)
    [remark] = subject.page().items
    assert (remark.comment.id, remark.comment.text) == (made, "looks right\n漢 \U0001f600")
    assert (remark.comment.author, remark.author_name) == (steward.id, steward.name)
    assert remark.comment.created_at == remark.comment.updated_at == last_time(subject.name)


def test_who_comments_is_answered_with_the_comment_and_the_name(subject: Subject, steward: Principal) -> None:
    with transaction(steward) as session:
        remark = comments.create(session, steward, subject.name, subject.number, "words")
        assert (remark.comment.text, remark.author_name, remark.comment.id > 0) == ("words", steward.name, True)


def test_an_author_without_a_name_is_shown_by_its_id(subject: Subject) -> None:
    subject.comment("words", OPERATOR)
    assert [remark.author_name for remark in subject.page().items] == ["operator"]


def test_a_comment_belongs_to_its_subject_alone(subject: Subject) -> None:
    subject.comment("words")
    assert [each.texts() for each in neighbours(subject)] == [[]] * 4
    assert subject.texts() == ["words"]


def test_comments_move_no_time_of_what_they_are_about(subject: Subject) -> None:
    before = times(subject.name)
    made = subject.comment("words")
    subject.edit(made, "other words")
    subject.delete(made)
    assert times(subject.name) == before


def times(name: str) -> list[object]:
    model = registered_models.get(db.session(), OPERATOR, name).model
    return [model.updated_at, model_versions.get(db.session(), OPERATOR, name, 1).updated_at]


def test_an_edit_replaces_the_text_and_moves_its_time(subject: Subject) -> None:
    first, second = subject.comment("first"), subject.comment("second")
    with transaction(OPERATOR) as session:
        remark = comments.edit(session, OPERATOR, subject.name, subject.number, first, "better")
        assert (remark.comment.id, remark.comment.text, remark.author_name) == (first, "better", "operator")
    edited, other = (remark.comment for remark in subject.page().items)
    assert (edited.id, edited.text, other.id, other.text) == (first, "better", second, "second")
    assert edited.created_at < edited.updated_at == last_time(subject.name)
    assert other.created_at == other.updated_at


def test_an_edit_that_changes_nothing_leaves_no_trace(subject: Subject) -> None:
    made, before = subject.comment("words"), events_written()
    subject.edit(made, "words")
    [remark] = subject.page().items
    assert remark.comment.created_at == remark.comment.updated_at
    assert events_written() == before


def test_a_deleted_comment_is_gone_and_others_stay(subject: Subject) -> None:
    first = subject.comment("first")
    subject.comment("second")
    subject.delete(first)
    assert subject.texts() == ["second"]
    with pytest.raises(CommentNotFound, match=f"^Comment {first} not found"):
        subject.delete(first)


CHANGES: list[Callable[[Subject, int, Principal], None]] = [
    lambda subject, comment, by: subject.edit(comment, "not mine", by),
    lambda subject, comment, by: subject.delete(comment, by),
]
both_changes = pytest.mark.parametrize("change", CHANGES, ids=["edit", "delete"])


@pytest.mark.parametrize("role", [Role.CONTRIBUTOR, Role.APPROVER, Role.ADMINISTRATOR])
@both_changes
def test_nobody_changes_what_somebody_else_wrote(
    subject: Subject,
    credentials: dict[Role, tuple[Principal, str]],
    role: Role,
    change: Callable[[Subject, int, Principal], None],
) -> None:
    made, before = subject.comment("mine"), events_written()
    with pytest.raises(Forbidden, match=f"^Comment {made} was written by somebody else"):
        change(subject, made, credentials[role][0])
    assert (subject.texts(), events_written()) == (["mine"], before)


@both_changes
def test_a_comment_is_not_reached_by_way_of_another_subject(
    subject: Subject, change: Callable[[Subject, int, Principal], None]
) -> None:
    made = subject.comment("here")
    for other in neighbours(subject):
        with pytest.raises(CommentNotFound):
            change(other, made, OPERATOR)
    assert subject.texts() == ["here"]


@pytest.mark.parametrize("number", [0, -1, 2**62, 2**63, 10**30])
@both_changes
def test_a_comment_that_is_not_there(
    subject: Subject, change: Callable[[Subject, int, Principal], None], number: int
) -> None:
    with pytest.raises(CommentNotFound):
        change(subject, number, OPERATOR)


BAD_TEXTS: list[Any] = [
    pytest.param("", "Missing value for required parameter 'text'.", id="nothing"),
    pytest.param(" \n\t", "Missing value for required parameter 'text'.", id="blanks"),
    pytest.param("x" * 16_385, "'text' exceeds the maximum length of 16384 characters", id="16,385 characters"),
]


@pytest.mark.parametrize(("text", "message"), BAD_TEXTS)
def test_a_comment_must_say_something_and_not_too_much(subject: Subject, text: str, message: str) -> None:
    made, before = subject.comment("words"), events_written()
    for change in (lambda: subject.comment(text), lambda: subject.edit(made, text)):
        with pytest.raises(Invalid) as refused:
            change()
        assert (refused.value.message, refused.value.field) == (message, "text")
    assert (subject.texts(), events_written()) == (["words"], before)


def test_a_comment_may_have_16384_characters(subject: Subject) -> None:
    subject.comment("漢" * 16_384)
    assert subject.texts() == ["漢" * 16_384]


MISSING: list[Any] = [
    pytest.param(None, ModelNotFound, "Registered Model with name={name} not found", id=MODEL),
    pytest.param(1, VersionNotFound, "Model Version (name={name}, version=1) not found", id=VERSION),
]
USES: dict[str, Callable[[Subject], object]] = {
    "create": lambda subject: subject.comment("words"),
    "edit": lambda subject: subject.edit(1, "words"),
    "delete": lambda subject: subject.delete(1),
    "search": lambda subject: subject.page(),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize(("number", "kind", "message"), MISSING)
def test_who_comments_on_what_is_not_there_is_told(
    use: Callable[[Subject], object], number: int | None, kind: type[Exception], message: str
) -> None:
    name = unique()
    with pytest.raises(kind) as refused:
        use(Subject(name, number))
    assert str(refused.value) == message.format(name=name)


def walk(subject: Subject, size: int) -> Iterator[list[int]]:
    token = None
    while True:
        page = subject.page(size, token)
        yield [remark.comment.id for remark in page.items]
        token = page.next_token
        if token is None:
            return


@pytest.mark.parametrize(("size", "sizes"), [(1, [1, 1, 1, 1]), (3, [3, 1]), (4, [4]), (5, [4])])
def test_pages_show_every_comment_once_the_oldest_first(subject: Subject, size: int, sizes: list[int]) -> None:
    made = [subject.comment(f"comment {number}") for number in range(4)]
    pages = list(walk(subject, size))
    assert [len(page) for page in pages] == sizes
    assert [number for page in pages for number in page] == made
    times = [remark.comment.created_at for remark in subject.page().items]
    assert all(earlier < later for earlier, later in pairwise(times))


def test_a_token_leads_on_in_its_own_subject_alone(subject: Subject) -> None:
    for number in range(2):
        subject.comment(f"comment {number}")
    token = subject.page(1).next_token
    for other in neighbours(subject):
        with pytest.raises(Invalid, match="it belongs to another filter or order"):
            other.page(1, token)
