"""Models and versions for tests, with sensible defaults; each call commits, as a request does."""

import secrets

from sqlalchemy import text
from sqlalchemy.orm import Session

from registry.db import take_time, transaction
from registry.domain import access, model_versions, registered_models, stages, tokens
from registry.domain.access import OPERATOR, Principal
from registry.vocabulary import Role, Stage


def trusted(name: str, role: Role, identity: str = "principal:0", credential: str = "") -> Principal:
    """Somebody with a role over all models, whom no table knows."""
    return Principal(identity, name, credential, grants=(access.whole(role, name),))


def unique(word: str = "Model") -> str:
    """A name that no other test uses."""
    return f"{word}-{secrets.token_hex(5)}"


def make_model(principal: Principal = OPERATOR, name: str | None = None, **tags: str) -> str:
    """Register a model and return its name. Needs an application context."""
    name = name or unique()
    with transaction(principal) as session:
        registered_models.create(session, principal, name, tags=tags)
    return name


def make_version(
    name: str,
    principal: Principal = OPERATOR,
    stage: Stage = Stage.NONE,
    source: str = "s3://bucket/model",
    **tags: str,
) -> int:
    """Register a version, move it to `stage`, and return its number. Needs an application context."""
    with transaction(principal) as session:
        number = model_versions.create(session, principal, name, source=source, tags=tags).number
        if stage is not Stage.NONE:
            stages.transition(session, principal, name, number, stage)
    return number


def move(name: str, number: int, to: Stage, principal: Principal = OPERATOR, *, archive_others: bool = False) -> None:
    """Move a version. Needs an application context."""
    with transaction(principal) as session:
        stages.transition(session, principal, name, number, to, archive_others=archive_others)


def make_events(count: int, streams: int = 1) -> list[str]:
    """Models with so many tags in all, set in one transaction, and so with as many events; returns their names.

    Needs an application context.
    """
    names = [make_model() for _ in range(streams)]
    with transaction(OPERATOR) as session:
        take_time(session, 600_000)
        session.execute(
            text(
                "INSERT INTO registry.registered_model_tags SELECT m.id, 'key-' || n, 'value ' || n "
                "FROM generate_series(1, :each) n, registry.registered_models m WHERE m.name = ANY (:names)"
            ),
            {"each": count // streams, "names": names},
        )
    return names


def authenticate(session: Session, secret: str) -> tokens.Holder | None:
    """Who holds a token, as this session sees it; the service asks outside of any."""
    question = text("SELECT * FROM registry.standing(:digest, '{}')")
    row = session.execute(question, {"digest": tokens.digest(secret)}).one_or_none()
    return None if row is None else tokens.holder(tokens.standing_of(row, ()))
