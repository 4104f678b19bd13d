"""Comments: signed remarks on a model version, or on a registered model as a whole."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.domain import access, lookup, model_versions, names, paging, principals, registered_models
from registry.domain.access import Principal
from registry.domain.paging import Key, Page
from registry.domain.registered_models import Locked
from registry.errors import CommentNotFound, Forbidden
from registry.tables import Comment, RegisteredModel
from registry.vocabulary import Permission


@dataclass(frozen=True, slots=True)
class Remark:
    """A comment with the name of its author."""

    comment: Comment
    author_name: str


def create(session: Session, principal: Principal, name: str, number: int | None, text: str) -> Remark:
    """Comment on a version, or on the model where `number` is None.

    :raises Forbidden: the principal may not comment.
    :raises Invalid: the text is blank or too long.
    :raises NotFound: no such model or version.
    """
    access.require(session, principal, Permission.COMMENT, name, number=number)
    check_comment(text)
    held = lock_subject(session, name, number)
    comment = Comment(
        model_id=held.model.id,
        number=number,
        author=principal.id,
        text=text,
        created_at=held.instant,
        updated_at=held.instant,
    )
    session.add(comment)
    session.flush()  # the answer shows its id
    return Remark(comment, principal.name)


def get(session: Session, principal: Principal, name: str, number: int | None, comment_id: int) -> Remark:
    """One comment on a version, or on the model where `number` is None.

    :raises Forbidden: the principal may not read the model.
    :raises NotFound: no such model, version or comment.
    """
    access.require(session, principal, Permission.READ, name, number=number)
    comment = find(session, lookup.find_subject(session, name, number), number, comment_id)
    called = principals.names_of(session, {comment.author})
    return Remark(comment, called.get(comment.author, comment.author))


def edit(session: Session, principal: Principal, name: str, number: int | None, comment_id: int, text: str) -> Remark:
    """Replace the text of one's own comment; the audit log keeps what it said before.

    :raises Forbidden: the principal may not comment, or somebody else wrote it.
    :raises Invalid: the text is blank or too long.
    :raises NotFound: no such model, version or comment.
    """
    access.require(session, principal, Permission.COMMENT, name, number=number)
    check_comment(text)
    held = lock_subject(session, name, number)
    comment = own(session, principal, held.model, number, comment_id)
    if comment.text != text:
        comment.text = text
        comment.updated_at = held.instant
        session.flush()
    return Remark(comment, principal.name)


def delete(session: Session, principal: Principal, name: str, number: int | None, comment_id: int) -> None:
    """Remove one's own comment; the audit log keeps what it said.

    :raises Forbidden: the principal may not comment, or somebody else wrote it.
    :raises NotFound: no such model, version or comment.
    """
    access.require(session, principal, Permission.COMMENT, name, number=number)
    held = lock_subject(session, name, number)
    session.delete(own(session, principal, held.model, number, comment_id))


def search(
    session: Session, principal: Principal, name: str, number: int | None, *, limit: int, token: str | None = None
) -> Page[Remark]:
    """The comments on a version or model, oldest first.

    :raises Forbidden: the principal may not read the model.
    :raises Invalid: the token is not one of this question.
    :raises NotFound: no such model or version.
    """
    access.require(session, principal, Permission.READ, name, number=number)
    model_id = lookup.find_subject(session, name, number)
    keys = [Key(Comment.id)]
    question = paging.fingerprint("comments", model_id, number)
    rows = select(Comment).where(Comment.model_id == model_id, Comment.number.is_not_distinct_from(number))
    if token:
        rows = rows.where(paging.after(keys, paging.decode(token, question, keys)))
    found = list(session.scalars(rows.order_by(Comment.id).limit(limit + 1)))
    page = paging.cut(found, limit, question, lambda comment: [comment.id])
    called = principals.names_of(session, {comment.author for comment in page.items})
    return Page([Remark(row, called.get(row.author, row.author)) for row in page.items], page.next_token)


def check_comment(text: str) -> None:
    """:raises Invalid: blank or too long."""
    if not text.strip():
        raise names.missing("text")
    names.check_text("text", text, names.COMMENT_MAX)


def lock_subject(session: Session, name: str, number: int | None) -> Locked:
    """Lock the model that a comment belongs to, seeing to it that its version exists."""
    if number is None:
        return registered_models.lock(session, name)
    held = model_versions.lock(session, name, number)
    return Locked(held.model, held.instant)


def own(session: Session, principal: Principal, model: RegisteredModel, number: int | None, comment_id: int) -> Comment:
    """The comment of this number, if the principal wrote it."""
    comment = find(session, model.id, number, comment_id)
    if comment.author != principal.id:
        raise Forbidden(
            f"Comment {comment_id} was written by somebody else; only its author may change it.", Permission.COMMENT
        )
    return comment


def find(session: Session, model_id: int, number: int | None, comment_id: int) -> Comment:
    """The comment of this number on a version, or on the model itself.

    :raises CommentNotFound: none, or it stands elsewhere.
    """
    comment = session.get(Comment, comment_id) if 1 <= comment_id < 2**63 else None
    if comment is None or (comment.model_id, comment.number) != (model_id, number):
        raise CommentNotFound(comment_id)
    return comment
