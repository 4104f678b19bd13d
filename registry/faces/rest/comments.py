"""`…/comments`: signed remarks on a model or on one of its versions."""

from typing import Any

from flask import Blueprint, g

from registry.domain import comments
from registry.faces.contract import operation
from registry.faces.inbound import change, reading
from registry.faces.rest.schemas.labels import Comments, CommentText, OneComment
from registry.faces.rest.wire import PageQuery, created, load_body, load_query

ONE = OneComment()
MANY = Comments()


@operation(
    "Comment",
    "A remark that bears the caller's name.",
    body=CommentText,
    answer=OneComment,
    status=201,
)
def create(name: str, number: int | None = None) -> tuple[dict[str, Any], int, dict[str, str]]:
    """POST …/comments."""
    asked = load_body(CommentText)
    with change() as session:
        made = comments.create(session, g.principal, name, number, asked["text"])
        subject = "model" if number is None else "version"
        return created(ONE.dump(made), f"get_{subject}_comment", name=name, number=number, comment_id=made.comment.id)


@operation(
    "One comment",
    "What it says, who wrote it and when.",
    answer=OneComment,
)
def get(name: str, comment_id: int, number: int | None = None) -> dict[str, Any]:
    """GET …/comments/<id>."""
    return dict(ONE.dump(comments.get(reading(), g.principal, name, number, comment_id)))


@operation(
    "Comments, oldest first",
    "Page by page.",
    query=PageQuery,
    answer=Comments,
)
def search(name: str, number: int | None = None) -> dict[str, Any]:
    """GET …/comments."""
    asked = load_query(PageQuery)
    page = comments.search(reading(), g.principal, name, number, limit=asked["limit"], token=asked["page_token"])
    return dict(MANY.dump(page))


@operation(
    "Edit one's own comment",
    "Only its author can; the audit log keeps what it said before.",
    body=CommentText,
    answer=OneComment,
)
def edit(name: str, comment_id: int, number: int | None = None) -> dict[str, Any]:
    """PATCH …/comments/<id>."""
    asked = load_body(CommentText)
    with change() as session:
        return dict(ONE.dump(comments.edit(session, g.principal, name, number, comment_id, asked["text"])))


@operation(
    "Delete one's own comment",
    "Only its author can.",
    status=204,
)
def delete(name: str, comment_id: int, number: int | None = None) -> tuple[str, int]:
    """DELETE …/comments/<id>."""
    with change() as session:
        comments.delete(session, g.principal, name, number, comment_id)
        return "", 204


def mount(face: Blueprint) -> None:
    """Give the face these routes, for models and for versions."""
    for subject, at in {"model": "/models/<name>", "version": "/models/<name>/versions/<int:number>"}.items():
        face.post(f"{at}/comments", endpoint=f"comment_on_{subject}")(create)
        face.get(f"{at}/comments", endpoint=f"{subject}_comments")(search)
        face.get(f"{at}/comments/<int:comment_id>", endpoint=f"get_{subject}_comment")(get)
        face.patch(f"{at}/comments/<int:comment_id>", endpoint=f"edit_{subject}_comment")(edit)
        face.delete(f"{at}/comments/<int:comment_id>", endpoint=f"delete_{subject}_comment")(delete)
