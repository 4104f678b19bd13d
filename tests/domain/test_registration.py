"""Registering a version and moving it to a stage at once: the rights and the rules of both, and both or neither."""

from typing import Any

import pytest
from sqlalchemy.orm import Session

from registry.db import transaction
from registry.domain import audit, lookup, model_versions, references, stages
from registry.domain.access import OPERATOR, Principal
from registry.domain.audit import Question
from registry.errors import Conflict, Forbidden, Invalid, NotFound
from registry.tables import ModelVersion
from registry.vocabulary import Action, Role, Stage
from tests.factories import make_model, make_version, trusted

pytestmark = pytest.mark.usefixtures("context")
CONTRIBUTOR = trusted("carla", Role.CONTRIBUTOR)
VIEWER = trusted("vera", Role.VIEWER)
DIGEST, OTHER = "sha256:" + "0a" * 32, "sha256:" + "0b" * 32


def register(name: str, stage: Stage | None, principal: Principal = OPERATOR, **given: Any) -> ModelVersion:
    given = {"source": "s3://bucket/model", "tags": {}} | given
    with transaction(principal) as session:
        return stages.register(session, principal, name, stage=stage, **given)


def count(session: Session, name: str) -> int:
    return len(audit.search(session, OPERATOR, Question(model=name), limit=1000).items)


def test_it_is_registered_moved_and_the_others_make_way(session: Session) -> None:
    name = make_model()
    make_version(name, stage=Stage.PRODUCTION)

    made = register(name, Stage.PRODUCTION, archive_others=True, expected=[1])

    assert (made.number, made.stage) == (2, Stage.PRODUCTION)
    assert lookup.find_version(session, name, 1).stage == Stage.ARCHIVED
    found = audit.search(session, OPERATOR, Question(model=name), newest_first=False).items[-3:]
    assert [(entry.event.action, entry.event.number) for entry in found] == [
        (Action.VERSION_CREATE, 2),
        (Action.VERSION_TRANSITION, 1),
        (Action.VERSION_TRANSITION, 2),
    ]
    assert len({entry.at for entry in found}) == 1


def test_without_a_stage_it_stands_in_none(session: Session) -> None:
    name = make_model()
    assert register(name, None).stage == Stage.NONE


REFUSED: list[tuple[Stage, Principal, dict[str, Any], type[Exception]]] = [
    (Stage.PRODUCTION, CONTRIBUTOR, {}, Forbidden),
    (Stage.STAGING, VIEWER, {}, Forbidden),
    (Stage.PRODUCTION, OPERATOR, {"expected": [7]}, Conflict),
    (Stage.PRODUCTION, OPERATOR, {"expected": []}, Conflict),
    (Stage.ARCHIVED, OPERATOR, {"archive_others": True}, Invalid),
    (Stage.STAGING, OPERATOR, {"source": "s3://b/../k"}, Invalid),
    (Stage.STAGING, OPERATOR, {"source": "models:/never-made/1"}, NotFound),
]


@pytest.mark.parametrize(("stage", "who", "given", "refusal"), REFUSED)
def test_refused_it_leaves_neither_version_nor_number(
    session: Session, stage: Stage, who: Principal, given: dict[str, Any], refusal: type[Exception]
) -> None:
    name = make_model()
    make_version(name, stage=Stage.PRODUCTION)
    before = count(session, name)
    with pytest.raises(refusal):
        register(name, stage, who, **given)
    session.rollback()
    assert count(session, name) == before
    assert register(name, None).number == 2


# Digests.


def test_a_digest_is_kept_as_it_is_given_and_is_on_record(session: Session) -> None:
    name = make_model()
    assert register(name, None, digest=DIGEST).digest == DIGEST
    assert references.resolve(session, OPERATOR, f"models:/{name}/1").version.digest == DIGEST
    [entry] = audit.search(session, OPERATOR, Question(model=name, action=Action.VERSION_CREATE)).items
    assert entry.changes["digest"] == [None, DIGEST]


@pytest.mark.parametrize("given", [None, DIGEST])
def test_a_copy_has_the_digest_of_what_it_is_a_copy_of(given: str | None) -> None:
    name = make_model()
    register(name, None, digest=DIGEST)
    assert register(make_model(), None, source=f"models:/{name}/1", digest=given).digest == DIGEST


def test_a_copy_cannot_have_another_digest() -> None:
    name = make_model()
    register(name, None, digest=DIGEST)
    with pytest.raises(Invalid) as refused:
        register(make_model(), None, source=f"models:/{name}/1", digest=OTHER)
    assert refused.value.field == "digest"
    assert DIGEST in refused.value.message


def test_a_copy_of_a_version_without_a_digest_may_have_one() -> None:
    name = make_model()
    make_version(name)
    assert register(make_model(), None, source=f"models:/{name}/1").digest is None
    assert register(make_model(), None, source=f"models:/{name}/1", digest=OTHER).digest == OTHER


@pytest.mark.parametrize("length", [32, 40, 64, 128])
def test_a_digest_of_any_usual_length_is_taken(length: int) -> None:
    assert register(make_model(), None, digest="blake2b:" + "f" * length).digest


@pytest.mark.parametrize(
    "digest",
    [
        "",
        "sha256",
        "a" * 64,
        "sha256:" + "a" * 31,
        "sha256:" + "a" * 129,
        "SHA256:" + "a" * 64,
        "sha256:" + "A" * 64,
        "sha256:" + "g" * 64,
        "sha-256:" + "a" * 64,
        " sha256:" + "a" * 64,
        "sha256:" + "a" * 64 + "\n",
        ":" + "a" * 64,
    ],
)
def test_what_is_no_digest_is_refused(session: Session, digest: str) -> None:
    name = make_model()
    with pytest.raises(Invalid) as refused, transaction(OPERATOR) as change:
        model_versions.create(change, OPERATOR, name, source="s3://b/k", digest=digest, tags={})
    assert refused.value.field == "digest"
