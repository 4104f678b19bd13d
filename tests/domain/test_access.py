"""Who may do what: the permissions of each role, and every function of the domain with the least role that it takes."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from registry import domain
from registry.db import db, transaction
from registry.domain import (
    access,
    aliases,
    audit,
    audit_export,
    audit_tail,
    checkpoints,
    comments,
    erasure,
    explaining,
    grants,
    imports,
    model_versions,
    proofs,
    references,
    registered_models,
    searching,
    snapshot,
    stages,
    tags,
    tenures,
    tokens,
    transitions,
    trash,
)
from registry.domain.access import ANONYMOUS, OPERATOR, Principal
from registry.domain.audit import Question
from registry.domain.filtering import OrderKey
from registry.domain.grants import Wanted
from registry.domain.searching import Search
from registry.errors import Forbidden, ModelNotFound, NotFound, PrincipalNotFound, VersionNotFound
from registry.tables import AuditEvent
from registry.vocabulary import Permission, Role, Stage
from tests.conftest import superuser
from tests.factories import make_model, make_version, move, trusted, unique

pytestmark = pytest.mark.usefixtures("context")

VIEWER, CONTRIBUTOR, APPROVER, ADMINISTRATOR = Role
SEARCH = Search(order=(OrderKey("name"),))


def somebody(role: Role) -> Principal:
    """The same person in each role, so that what it wrote is its own."""
    return trusted("sam", role, credential="token:0")


# Roles.

MAY: dict[Role, set[str]] = {
    VIEWER: {"read"},
    CONTRIBUTOR: {"read", "register", "describe", "comment", "transition"},
    APPROVER: {"read", "register", "describe", "comment", "transition", "promote", "alias", "rename", "delete"},
    ADMINISTRATOR: {*Permission},
}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("permission", Permission)
def test_a_role_may(role: Role, permission: Permission) -> None:
    assert access.may(db.session(), somebody(role), permission) == (permission in MAY[role])
    assert access.may(db.session(), somebody(role), permission, "Model") == (permission in MAY[role])
    if permission in MAY[role]:
        access.require(db.session(), somebody(role), permission, "Model")
    else:
        with pytest.raises(Forbidden):
            access.require(db.session(), somebody(role), permission, "Model")


def test_each_role_may_what_the_one_before_may_and_more() -> None:
    assert all(MAY[lower] < MAY[higher] for lower, higher in pairwise(Role))
    assert set(access.PERMISSIONS) == set(Role)


@pytest.mark.parametrize("principal", [OPERATOR, ANONYMOUS], ids=lambda each: each.id)
def test_who_has_the_machine_and_everybody_without_authentication_may_everything(principal: Principal) -> None:
    assert all(access.may(db.session(), principal, permission) for permission in Permission)


def test_a_refusal_says_what_is_missing_and_which_role_would_do() -> None:
    with pytest.raises(Forbidden) as refused:
        access.require(db.session(), somebody(CONTRIBUTOR), Permission.ALIAS, "Model")
    assert refused.value.message == (
        "'sam' has no grant that gives 'alias' on 'Model'. "
        "An administrator can grant it, for instance as the role approver."
    )


# Functions.


@dataclass(frozen=True)
class World:
    """What there is to act on: a model with 1 in Staging, 2 in Production, others before; one in the trash."""

    name: str
    model: int
    deleted: int
    comment: int
    token: int
    grant: int


def make_world() -> World:
    sam = somebody(ADMINISTRATOR)
    name = make_model(sam, team="risk")
    make_version(name, sam, team="risk")
    make_version(name, sam)
    for number, stage in enumerate((Stage.STAGING, Stage.PRODUCTION), 1):
        move(name, make_version(name, sam, stage), Stage.ARCHIVED, sam)
        move(name, number, stage, sam)
    spare = make_version(name, sam)
    with transaction(sam) as session:
        aliases.set(session, sam, name, "champion", 1)
        comment = comments.create(session, sam, name, 1, "words").comment.id
        token = tokens.create(session, sam, name=unique("robot"), role=VIEWER).id
        grant = grants.create(session, sam, Wanted(group=unique("team"), role=VIEWER)).id
        model = registered_models.get(session, sam, name).model.id
        model_versions.delete(session, sam, name, spare)
        gone = registered_models.create(session, sam, unique(), tags={}).model
        registered_models.delete(session, sam, gone.name)
    return World(name, model, gone.id, comment, token, grant)


def export(session: Session, principal: Principal, question: Question) -> Iterator[int]:
    return audit_export.export(session, lambda: nullcontext(session), principal, question, lambda _, found: len(found))


def export_signed(session: Session, principal: Principal) -> object:
    return audit_export.signed(session, lambda: nullcontext(session), principal)


def tail(session: Session, principal: Principal) -> object:
    return audit_tail.read(session, principal, Question(), after=-1, limit=1)


def past(session: Session, principal: Principal) -> object:
    return list(snapshot.as_of(session, lambda: nullcontext(session), principal).models)


def explain(session: Session, principal: Principal) -> None:
    """Nobody is called so, as administrators are told; everybody may ask about himself."""
    with pytest.raises(PrincipalNotFound):
        explaining.explain(session, principal, Permission.READ, who="nobody")


def unsigned(call: Callable[[], object]) -> None:
    """Nobody signs the log that tests share: whoever may read it is told so."""
    with pytest.raises(NotFound, match="signed"):
        call()


def register(session: Session, principal: Principal, name: str, stage: Stage) -> object:
    return stages.register(session, principal, name, stage=stage, source="s3://b/k", tags={})


THEN = datetime(2024, 3, 1, tzinfo=UTC)


def model_elsewhere() -> imports.Model:
    return imports.Model(unique(), None, {}, created_at=THEN, updated_at=THEN)


def version_elsewhere() -> imports.Version:
    return imports.Version(77, Stage.NONE, "s3://b/k", "", "", None, {}, None, created_at=THEN, updated_at=THEN)


Call = Callable[[Session, Principal, World], object]
READING: list[tuple[Callable[..., object], Role, Call]] = [
    (registered_models.get, VIEWER, lambda s, p, w: registered_models.get(s, p, w.name)),
    (registered_models.latest_versions, VIEWER, lambda s, p, w: registered_models.latest_versions(s, p, w.name)),
    (registered_models.hold, VIEWER, lambda s, p, w: registered_models.hold(s, p, w.name)),
    (model_versions.get, VIEWER, lambda s, p, w: model_versions.get(s, p, w.name, 1)),
    (model_versions.download_uri, VIEWER, lambda s, p, w: model_versions.download_uri(s, p, w.name, 1)),
    (tenures.holders, VIEWER, lambda s, p, w: tenures.holders(s, p, w.name, Stage.STAGING)),
    (tenures.history, VIEWER, lambda s, p, w: tenures.history(s, p, w.name, Stage.STAGING, limit=100)),
    (transitions.search, VIEWER, lambda s, p, w: transitions.search(s, p, w.name, 1, limit=10)),
    (aliases.get, VIEWER, lambda s, p, w: aliases.get(s, p, w.name, "champion")),
    (aliases.all_of, VIEWER, lambda s, p, w: aliases.all_of(s, p, w.name)),
    (tags.all_of, VIEWER, lambda s, p, w: tags.all_of(s, p, w.name, 1)),
    (tags.get, VIEWER, lambda s, p, w: tags.get(s, p, w.name, None, "team")),
    (comments.get, VIEWER, lambda s, p, w: comments.get(s, p, w.name, 1, w.comment)),
    (comments.search, VIEWER, lambda s, p, w: comments.search(s, p, w.name, 1, limit=10)),
    (references.resolve, VIEWER, lambda s, p, w: references.resolve(s, p, f"models:/{w.name}/1")),
    (searching.models, VIEWER, lambda s, p, w: searching.models(s, p, SEARCH)),
    (searching.versions, VIEWER, lambda s, p, w: searching.versions(s, p, SEARCH)),
    (searching.versions_of, VIEWER, lambda s, p, w: searching.versions_of(s, p, w.name, SEARCH)),
    (audit.matching, VIEWER, lambda s, p, w: audit.matching(s, p, Question(model=w.name))),
    (audit_export.export, VIEWER, lambda s, p, w: list(export(s, p, Question(model=w.name)))),
    (audit.search, VIEWER, lambda s, p, w: audit.search(s, p, Question(model=w.name))),
    (audit_tail.read, VIEWER, lambda s, p, w: tail(s, p)),
    (audit_export.signed, VIEWER, lambda s, p, w: export_signed(s, p)),
    (checkpoints.read, VIEWER, lambda s, p, w: unsigned(lambda: checkpoints.read(s, p))),
    (proofs.inclusion, VIEWER, lambda s, p, w: unsigned(lambda: proofs.inclusion(s, p, 0))),
    (proofs.consistency, VIEWER, lambda s, p, w: unsigned(lambda: proofs.consistency(s, p, 0))),
    (snapshot.as_of, VIEWER, lambda s, p, w: past(s, p)),
    (tokens.search, ADMINISTRATOR, lambda s, p, w: tokens.search(s, p, limit=10)),
    (tokens.get, ADMINISTRATOR, lambda s, p, w: tokens.get(s, p, w.token)),
    (grants.search, ADMINISTRATOR, lambda s, p, w: grants.search(s, p, limit=10)),
    (grants.get, ADMINISTRATOR, lambda s, p, w: grants.get(s, p, w.grant)),
    (grants.hold, ADMINISTRATOR, lambda s, p, w: grants.hold(s, p, w.grant)),
    (explaining.explain, ADMINISTRATOR, lambda s, p, w: explain(s, p)),
    (trash.models, ADMINISTRATOR, lambda s, p, w: trash.models(s, p, limit=10)),
    (trash.versions, ADMINISTRATOR, lambda s, p, w: trash.versions(s, p, limit=10)),
    (trash.hold, ADMINISTRATOR, lambda s, p, w: trash.hold(s, p, w.deleted)),
    (tokens.hold, ADMINISTRATOR, lambda s, p, w: tokens.hold(s, p)),
    (trash.get_model, ADMINISTRATOR, lambda s, p, w: trash.get_model(s, p, w.deleted)),
    (trash.get_version, ADMINISTRATOR, lambda s, p, w: trash.get_version(s, p, w.model, 5)),
    (imports.here_already, VIEWER, lambda s, p, w: imports.here_already(s, p, w.name, [version_elsewhere()])),
]
CHANGING: list[tuple[Callable[..., object], Role, Call]] = [
    (registered_models.create, CONTRIBUTOR, lambda s, p, w: registered_models.create(s, p, unique(), tags={})),
    (registered_models.rename, APPROVER, lambda s, p, w: registered_models.rename(s, p, w.name, unique())),
    (registered_models.describe, CONTRIBUTOR, lambda s, p, w: registered_models.describe(s, p, w.name, "words")),
    (
        registered_models.amend,
        CONTRIBUTOR,
        lambda s, p, w: registered_models.amend(s, p, w.name, {"description": "so"}),
    ),
    (registered_models.amend, APPROVER, lambda s, p, w: registered_models.amend(s, p, w.name, {"name": unique()})),
    (registered_models.delete, APPROVER, lambda s, p, w: registered_models.delete(s, p, w.name)),
    (
        model_versions.create,
        CONTRIBUTOR,
        lambda s, p, w: model_versions.create(s, p, w.name, source="s3://b/k", tags={}),
    ),
    (model_versions.describe, CONTRIBUTOR, lambda s, p, w: model_versions.describe(s, p, w.name, 1, "words")),
    (model_versions.amend, CONTRIBUTOR, lambda s, p, w: model_versions.amend(s, p, w.name, 1, {"description": "so"})),
    (model_versions.delete, APPROVER, lambda s, p, w: model_versions.delete(s, p, w.name, 1)),
    (stages.transition, CONTRIBUTOR, lambda s, p, w: stages.transition(s, p, w.name, 1, Stage.ARCHIVED)),
    (stages.transition, APPROVER, lambda s, p, w: stages.transition(s, p, w.name, 1, Stage.PRODUCTION)),
    (stages.transition, APPROVER, lambda s, p, w: stages.transition(s, p, w.name, 2, Stage.ARCHIVED)),
    (stages.rollback, CONTRIBUTOR, lambda s, p, w: stages.rollback(s, p, w.name, Stage.STAGING)),
    (stages.rollback, APPROVER, lambda s, p, w: stages.rollback(s, p, w.name, Stage.PRODUCTION)),
    (stages.register, CONTRIBUTOR, lambda s, p, w: register(s, p, w.name, Stage.STAGING)),
    (stages.register, APPROVER, lambda s, p, w: register(s, p, w.name, Stage.PRODUCTION)),
    (aliases.set, APPROVER, lambda s, p, w: aliases.set(s, p, w.name, "champion", 2)),
    (aliases.unset, APPROVER, lambda s, p, w: aliases.unset(s, p, w.name, "champion")),
    (tags.set_on_model, CONTRIBUTOR, lambda s, p, w: tags.set_on_model(s, p, w.name, "k", "v")),
    (tags.unset_on_model, CONTRIBUTOR, lambda s, p, w: tags.unset_on_model(s, p, w.name, "team")),
    (tags.set_on_version, CONTRIBUTOR, lambda s, p, w: tags.set_on_version(s, p, w.name, 1, "k", "v")),
    (tags.unset_on_version, CONTRIBUTOR, lambda s, p, w: tags.unset_on_version(s, p, w.name, 1, "team")),
    (tags.change, CONTRIBUTOR, lambda s, p, w: tags.change(s, p, w.name, 1, {"k": "v", "team": None})),
    (comments.create, CONTRIBUTOR, lambda s, p, w: comments.create(s, p, w.name, 1, "words")),
    (comments.edit, CONTRIBUTOR, lambda s, p, w: comments.edit(s, p, w.name, 1, w.comment, "other words")),
    (comments.delete, CONTRIBUTOR, lambda s, p, w: comments.delete(s, p, w.name, 1, w.comment)),
    (trash.restore_model, ADMINISTRATOR, lambda s, p, w: trash.restore_model(s, p, w.deleted)),
    (trash.purge_model, ADMINISTRATOR, lambda s, p, w: trash.purge_model(s, p, w.deleted)),
    (trash.restore_version, ADMINISTRATOR, lambda s, p, w: trash.restore_version(s, p, w.model, 5)),
    (trash.purge_version, ADMINISTRATOR, lambda s, p, w: trash.purge_version(s, p, w.model, 5)),
    (imports.take_model, ADMINISTRATOR, lambda s, p, w: imports.take_model(s, p, model_elsewhere())),
    (imports.take_version, ADMINISTRATOR, lambda s, p, w: imports.take_version(s, p, w.name, version_elsewhere())),
    (imports.take_alias, ADMINISTRATOR, lambda s, p, w: imports.take_alias(s, p, w.name, "rival", 1)),
    (tokens.create, ADMINISTRATOR, lambda s, p, w: tokens.create(s, p, name=unique("robot"), role=VIEWER)),
    (grants.create, ADMINISTRATOR, lambda s, p, w: grants.create(s, p, Wanted(group=unique("team"), role=VIEWER))),
    (grants.delete, ADMINISTRATOR, lambda s, p, w: grants.delete(s, p, w.grant)),
    (tokens.revoke, ADMINISTRATOR, lambda s, p, w: tokens.revoke(s, p, w.token)),
    (tokens.ensure_administrator, ADMINISTRATOR, lambda s, p, w: tokens.ensure_administrator(s, p, unique("given"))),
]
# Here they are refused; that they work is for tests/domain/test_erasure.py, as the service's own role may not erase.
ERASING: list[tuple[Callable[..., object], Role, Call]] = [
    (erasure.comment, ADMINISTRATOR, lambda s, p, w: erasure.comment(s, p, w.comment, basis="law")),
    (erasure.model_description, ADMINISTRATOR, lambda s, p, w: erasure.model_description(s, p, w.name, basis="law")),
    (
        erasure.version_description,
        ADMINISTRATOR,
        lambda s, p, w: erasure.version_description(s, p, w.name, 1, basis="law"),
    ),
    (erasure.reason, ADMINISTRATOR, lambda s, p, w: erasure.reason(s, p, f"model:{w.model}", 1, basis="law")),
]
# By these modules the others ask.
ASKING = {"access", "visible"}
# What takes a principal and asks for nothing itself.
ASK_NOTHING = {
    "administrators.one_stays": "serves those who have asked",
    "audit.conditions": "serves matching, which has asked",
    "audit.models_ever_called": "serves matching, which has asked",
    "comments.own": "serves edit and delete, which have asked",
    "erasure.check": "is how erasure asks",
    "grants.find": "serves get and delete, which ask",
    "grants.is_of_owner": "is how the others ask",
    "grants.require": "is how the others ask",
    "grants.require_giving": "is how create asks",
    "grants.shown": "serves search and find",
    "idempotency.claim": "keys are the caller's own; what is done under one asks",
    "idempotency.keep": "serves whoever was allowed to do what it keeps the answer of",
    "idempotency.lock_number": "serves claim",
    "imports.origin_of": "serves take_version, which has asked",
    "registered_models.give_name": "serves rename and amend, which have asked",
    "registered_models.insert_model": "serves create, which has asked",
    "proofs.check_readable": "serves inclusion, which has asked",
    "references.require_reading": "is how resolve asks",
    "registered_models.own": "serves create, which has asked",
    "registered_models.require_bringing": "is how rename and amend ask of what comes along",
    "registered_models.require_rename": "is how rename and amend ask",
    "snapshot.events": "serves as_of, which has asked",
    "snapshot.live": "serves as_of, which has asked",
    "sources.accept": "serves create, which has asked; to read what is copied is asked for in its own test",
    "sources.accept_model": "serves accept",
    "sources.accept_registered": "serves accept",
    "stages.require_move": "is how moves ask",
    "stages.require_making_way": "is how moves ask of those who make way",
    "stages.require_some_move": "is how moves ask",
    "tenures.model_called": "serves holders, which has asked",
    "tokens.accept_given": "serves ensure_administrator, which has asked",
    "tokens.give_role": "serves create and accept_given",
    "trash.lock": "serves those that have asked",
}


def called(function: Callable[..., object]) -> str:
    return f"{function.__module__.rpartition('.')[2]}.{function.__name__}"


def test_every_function_that_takes_a_principal_stands_in_a_table_here() -> None:
    found = set()
    for module in pkgutil.iter_modules(domain.__path__):
        if module.name in ASKING:
            continue
        loaded = importlib.import_module(f"{domain.__name__}.{module.name}")
        for _, function in inspect.getmembers(loaded, inspect.isfunction):
            if function.__module__ == loaded.__name__ and {"principal", "operator"} & parameters(function):
                found.add(called(function))
    assert found == {called(function) for function, _, _ in READING + CHANGING + ERASING} | ASK_NOTHING.keys()


def parameters(function: Callable[..., object]) -> set[str]:
    return set(inspect.signature(function).parameters)


def rows(table: list[tuple[Callable[..., object], Role, Call]], suits: Callable[[Role, Role], bool]) -> list[Any]:
    """Each function with each role that suits, given the least role that it takes."""
    return [
        pytest.param(call, role, least, id=f"{called(function)} ({least}) by {role} {number}")
        for number, (function, least, call) in enumerate(table)
        for role in Role
        if suits(role, least)
    ]


def is_lower(role: Role, least: Role) -> bool:
    return list(Role).index(role) < list(Role).index(least)


@pytest.fixture(scope="module")
def app(app_alone: Flask) -> Flask:
    return app_alone


@pytest.fixture(scope="module")
def world(app: Flask) -> World:
    with app.app_context():
        return make_world()


def everything() -> str:
    """A digest of all rows of all tables, but for the clocks of the streams, which whoever takes a lock sets."""
    ours = "schemaname IN ('registry', 'audit') AND tablename <> 'stream'"
    with superuser() as connection:
        tables = connection.scalars(text(f"SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE {ours}"))
        digests = [
            connection.scalar(text(f"SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} t"))
            for table in sorted(tables)
        ]
    return " ".join(map(str, digests))


def refuse(call: Call, principal: Principal, world: World) -> Forbidden:
    """Be refused, and commit all the same: a refusal comes before anything was done."""
    with transaction(principal) as session, pytest.raises(Forbidden) as refused:
        call(session, principal, world)
    return refused.value


@pytest.mark.parametrize(("call", "role", "least"), rows(CHANGING + READING + ERASING, is_lower))
def test_a_role_that_is_too_small_is_refused_and_changes_nothing(
    world: World, call: Call, role: Role, least: Role
) -> None:
    before = everything()
    refused = refuse(call, somebody(role), world)
    assert refused.message.startswith(("'sam' has no grant that gives ", "'sam' may not manage these grants. "))
    assert everything() == before


@pytest.mark.parametrize(("call", "role", "least"), rows(CHANGING + READING + ERASING, lambda role, _: role == VIEWER))
def test_who_has_no_grant_is_refused_everything_and_learns_of_nothing(
    world: World, call: Call, role: Role, least: Role
) -> None:
    before = everything()
    stranger = Principal("principal:0", "sam", "token:0")
    with transaction(stranger) as session, pytest.raises((Forbidden, ModelNotFound, VersionNotFound)) as refused:
        call(session, stranger, world)
    assert type(refused.value) is not Forbidden or world.name not in refused.value.message
    assert everything() == before


@pytest.mark.parametrize(("call", "role", "least"), rows(READING, lambda role, least: role == least))
def test_the_least_role_reads_and_leaves_no_event(world: World, call: Call, role: Role, least: Role) -> None:
    before = everything()
    with transaction(somebody(role)) as session:
        call(session, somebody(role), world)
    assert everything() == before


@pytest.mark.parametrize(("call", "role", "least"), rows(CHANGING, lambda role, least: role == least))
def test_the_least_role_changes_and_the_event_says_who(call: Call, role: Role, least: Role) -> None:
    world = make_world()
    last = db.session.scalar(select(func.max(AuditEvent.id)))
    with transaction(somebody(role)) as session:
        call(session, somebody(role), world)
    actors = db.session.scalars(select(AuditEvent.actor).where(AuditEvent.id > last)).all()
    assert set(actors) == {"principal:0"}


def test_a_refused_promotion_archives_nobody(world: World) -> None:
    before = everything()
    carla = somebody(CONTRIBUTOR)
    with transaction(carla) as session, pytest.raises(Forbidden):
        stages.transition(session, carla, world.name, 1, Stage.PRODUCTION, archive_others=True)
    assert everything() == before
