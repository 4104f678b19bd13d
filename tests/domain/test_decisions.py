"""What grants decide: allow, deny, patterns, stages, the owner, and what tokens narrow. Each row a sentence."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest

from registry.db import db, transaction
from registry.domain import access, aliases, grants, model_versions, registered_models, stages, tokens, trash
from registry.domain.access import OPERATOR, Decision, Grant, Principal, Scope
from registry.domain.grants import Wanted
from registry.errors import Forbidden, Invalid, ModelNotFound, VersionNotFound
from registry.vocabulary import Effect, Permission, Role, Stage
from tests.factories import authenticate, make_model, make_version, move, unique

pytestmark = pytest.mark.usefixtures("context")

READ, REGISTER, DESCRIBE, COMMENT, TRANSITION, PROMOTE, ALIAS, RENAME, DELETE, ADMINISTER = Permission
NONE, STAGING, PRODUCTION, ARCHIVED = Stage


def allow(*what: Role | Permission, on: str = "*", start: Collection[Stage] = (), to: Collection[Stage] = ()) -> Grant:
    return grant(Effect.ALLOW, what, on, start, to)


def deny(*what: Permission, on: str = "*", start: Collection[Stage] = (), to: Collection[Stage] = ()) -> Grant:
    return grant(Effect.DENY, what, on, start, to)


def grant(
    effect: Effect, what: Collection[Role | Permission], on: str, start: Collection[Stage], to: Collection[Stage]
) -> Grant:
    roles = [one for one in what if isinstance(one, Role)]
    permissions = access.PERMISSIONS[roles[0]] if roles else frozenset(map(Permission, what))
    first, last = (frozenset(each) if each else None for each in (start, to))
    return Grant(7, effect, permissions, on, first, last, "sam", roles[0] if roles else None)


def sam(*given: Grant, scope: Scope = access.FULL) -> Principal:
    return Principal("principal:0", "sam", "token:0", grants=given, scope=scope)


def decided(principal: Principal, permission: Permission, model: str | None = "churn-eu", **stages: Any) -> Decision:
    return access.decide(db.session(), principal, permission, model, **stages)


VIEWER, CONTRIBUTOR, APPROVER, ADMINISTRATOR = Role
CHURN = "churn-*"
Move = dict[str, Stage]
ROWS: list[tuple[str, list[Grant], Permission, Move, bool]] = [
    ("nothing is given without a grant", [], READ, {}, False),
    ("a role gives its permissions", [allow(CONTRIBUTOR)], DESCRIBE, {}, True),
    ("and no others", [allow(CONTRIBUTOR)], PROMOTE, {}, False),
    ("a role on a pattern gives them there", [allow(CONTRIBUTOR, on=CHURN)], DESCRIBE, {}, True),
    ("and nowhere else", [allow(CONTRIBUTOR, on="risk-*")], DESCRIBE, {}, False),
    ("nor reading", [allow(CONTRIBUTOR, on="risk-*")], READ, {}, False),
    ("letter case counts", [allow(CONTRIBUTOR, on="Churn-*")], READ, {}, False),
    ("grants add up", [allow(VIEWER), allow(DELETE, on=CHURN)], DELETE, {}, True),
    ("any permission implies reading", [allow(ALIAS, on=CHURN)], READ, {}, True),
    ("a denial wins over a role", [allow(ADMINISTRATOR), deny(DELETE, on=CHURN)], DELETE, {}, False),
    ("whichever comes first", [deny(DELETE, on=CHURN), allow(ADMINISTRATOR)], DELETE, {}, False),
    ("and takes nothing else", [allow(ADMINISTRATOR), deny(DELETE, on=CHURN)], RENAME, {}, True),
    ("nor elsewhere", [allow(ADMINISTRATOR), deny(DELETE, on="risk-*")], DELETE, {}, True),
    ("who may not read may do nothing", [allow(ADMINISTRATOR), deny(READ, on=CHURN)], DELETE, {}, False),
    ("a grant alone of promotion promotes", [allow(PROMOTE)], PROMOTE, {"stage_to": PRODUCTION}, True),
    ("to the stages it names", [allow(APPROVER, to=[STAGING])], TRANSITION, {"stage_to": STAGING}, True),
    ("to no others", [allow(APPROVER, to=[STAGING])], PROMOTE, {"stage_to": PRODUCTION}, False),
    ("from the stages it names", [allow(PROMOTE, start=[STAGING])], PROMOTE, {"stage_from": STAGING}, True),
    ("from no others", [allow(PROMOTE, start=[STAGING])], PROMOTE, {"stage_from": NONE}, False),
    (
        "both have to fit",
        [allow(PROMOTE, start=[STAGING], to=[PRODUCTION])],
        PROMOTE,
        {"stage_from": STAGING, "stage_to": PRODUCTION},
        True,
    ),
    (
        "and not one of them",
        [allow(PROMOTE, start=[STAGING], to=[PRODUCTION])],
        PROMOTE,
        {"stage_from": PRODUCTION, "stage_to": ARCHIVED},
        False,
    ),
    ("stages narrow only moves", [allow(APPROVER, to=[STAGING])], DESCRIBE, {}, True),
    ("some move is meant where no stage is said", [allow(PROMOTE, to=[PRODUCTION])], PROMOTE, {}, True),
    (
        "a denial of stages denies these",
        [allow(APPROVER), deny(PROMOTE, to=[PRODUCTION])],
        PROMOTE,
        {"stage_to": PRODUCTION},
        False,
    ),
    (
        "and no others",
        [allow(APPROVER), deny(PROMOTE, to=[PRODUCTION])],
        PROMOTE,
        {"stage_from": PRODUCTION, "stage_to": ARCHIVED},
        True,
    ),
    ("nor anything that is no move", [allow(APPROVER), deny(PROMOTE, to=[PRODUCTION])], DESCRIBE, {}, True),
    (
        "a denial by where a move begins",
        [allow(APPROVER), deny(TRANSITION, start=[ARCHIVED])],
        TRANSITION,
        {"stage_from": ARCHIVED, "stage_to": STAGING},
        False,
    ),
]


@pytest.mark.parametrize(
    ("given", "permission", "move", "allowed"),
    [row[1:] for row in ROWS],
    ids=[f"{n} {r[0]}" for n, r in enumerate(ROWS)],
)
def test_grants_decide(given: list[Grant], permission: Permission, move: Move, *, allowed: bool) -> None:
    found = decided(sam(*given), permission, **move)
    assert found.allowed == allowed
    assert (found.because is not None) != (found.missing is not None)
    if allowed:
        assert found.because in given


SCOPES: list[tuple[str, Scope, Permission, Move, bool]] = [
    ("a token of a role is good for its permissions", Scope(CONTRIBUTOR), DESCRIBE, {}, True),
    ("and no others", Scope(CONTRIBUTOR), PROMOTE, {}, False),
    ("one that only reads reads", Scope(VIEWER), READ, {}, True),
    ("and only reads", Scope(VIEWER), COMMENT, {}, False),
    ("one for some models is good there", Scope(models=(CHURN, "x")), DELETE, {}, True),
    ("and nowhere else", Scope(models=("risk-*",)), READ, {}, False),
    ("and not for what concerns everything", Scope(models=(CHURN,)), ADMINISTER, {}, False),
    ("nor is one for some stages", Scope(stages=frozenset({STAGING})), ADMINISTER, {}, False),
    ("one for a stage moves there", Scope(stages=frozenset({STAGING})), TRANSITION, {"stage_to": STAGING}, True),
    ("and not elsewhere", Scope(stages=frozenset({STAGING})), PROMOTE, {"stage_to": PRODUCTION}, False),
    (
        "nor out of Production",
        Scope(stages=frozenset({ARCHIVED})),
        PROMOTE,
        {"stage_from": PRODUCTION, "stage_to": ARCHIVED},
        False,
    ),
    (
        "unless that is among them",
        Scope(stages=frozenset({ARCHIVED, PRODUCTION})),
        PROMOTE,
        {"stage_from": PRODUCTION, "stage_to": ARCHIVED},
        True,
    ),
    ("what is no move it leaves alone", Scope(stages=frozenset({STAGING})), DELETE, {}, True),
]


@pytest.mark.parametrize(
    ("scope", "permission", "move", "allowed"),
    [row[1:] for row in SCOPES],
    ids=[f"{number} {row[0]}" for number, row in enumerate(SCOPES)],
)
def test_a_token_narrows_its_holder(scope: Scope, permission: Permission, move: Move, *, allowed: bool) -> None:
    holder = sam(allow(ADMINISTRATOR), scope=scope)
    assert decided(holder, permission, **move).allowed == allowed
    assert not decided(replace(holder, grants=()), permission, **move).allowed, "a token gives nothing"


# Words.


def refusal(principal: Principal, permission: Permission, **move: Any) -> str:
    with pytest.raises(Forbidden) as refused:
        access.require(db.session(), principal, permission, "churn-eu", **move)
    return refused.value.message


def test_a_refusal_says_what_is_missing_and_who_could_give_it() -> None:
    assert refusal(sam(allow(VIEWER)), PROMOTE, stage_to=PRODUCTION) == (
        "'sam' has no grant that gives 'promote' on 'churn-eu' to Production. "
        "An administrator can grant it, for instance as the role approver."
    )
    assert refusal(sam(allow(VIEWER)), COMMENT).endswith(
        "An administrator or the owner of the model can grant it, for instance as the role contributor."
    )


def test_or_which_grant_denies_it() -> None:
    denied = sam(allow(APPROVER), deny(PROMOTE, on=CHURN, to=[PRODUCTION]))
    assert refusal(denied, PROMOTE, stage_from=STAGING, stage_to=PRODUCTION) == (
        "'sam' is denied 'promote' on 'churn-eu' from Staging to Production by grant 7 "
        "(deny promote on 'churn-*' to Production). An administrator can change that."
    )


def test_or_that_the_token_is_too_narrow() -> None:
    holder = sam(allow(ADMINISTRATOR), scope=Scope(CONTRIBUTOR))
    assert refusal(holder, PROMOTE) == (
        "This token is narrowed to the role contributor: "
        "'promote' on 'churn-eu' takes one of 'sam' with the role approver."
    )
    moving = sam(allow(ADMINISTRATOR), scope=Scope(stages=frozenset({STAGING})))
    assert refusal(moving, PROMOTE, stage_to=PRODUCTION) == (
        "This token is narrowed to moves to 'Staging': use another one."
    )


def test_what_is_not_to_be_read_is_refused_in_the_words_of_what_is_not_there() -> None:
    nobody = sam(allow(ADMINISTRATOR), deny(READ, on=CHURN))
    for permission in Permission:
        with pytest.raises(ModelNotFound) as hidden:
            access.require(db.session(), nobody, permission, "churn-eu")
        assert hidden.value.message == ModelNotFound("churn-eu").message
        with pytest.raises(VersionNotFound) as version:
            access.require(db.session(), nobody, permission, "churn-eu", number=3)
        assert version.value.message == VersionNotFound("churn-eu", 3).message
    with pytest.raises(Invalid, match="cannot contain"):
        access.require(db.session(), sam(), READ, "a/b")


def test_a_name_to_be_taken_is_refused_whether_it_is_taken_or_not() -> None:
    name = make_model()
    stranger = sam(allow(CONTRIBUTOR, on="mine-*"))
    said = set()
    for wanted in (name, unique()):
        with pytest.raises(Forbidden) as refused:
            registered_models.create(db.session(), stranger, wanted, tags={})
        said.add(refused.value.message.replace(wanted, "it"))
    assert len(said) == 1


# The owner.


def known(role: Role = VIEWER, **narrowed: Any) -> Principal:
    """Somebody of whom the database knows, with a token."""
    name = unique("owner")
    with transaction(OPERATOR) as session:
        tokens.create(session, OPERATOR, name=name, role=role)
        secret = tokens.create(session, OPERATOR, name=name, role=ADMINISTRATOR, **narrowed).secret
        holder = authenticate(session, secret)
    assert holder is not None
    return holder.principal


def without_grants(principal: Principal) -> Principal:
    """The same one, as a new request would find it, with nothing but what it owns."""
    return replace(principal, grants=(), owned={})


def test_whoever_makes_a_model_owns_it() -> None:
    owner, other = known(CONTRIBUTOR), known(CONTRIBUTOR)
    name = make_model(owner)
    owner, other = without_grants(owner), without_grants(other)
    given = {permission for permission in Permission if access.may(db.session(), owner, permission, name)}
    assert given == {READ, REGISTER, DESCRIBE, COMMENT, TRANSITION, RENAME, DELETE}
    assert not any(access.may(db.session(), other, permission, name) for permission in Permission)
    assert decided(owner, RENAME, name).because == Grant(
        decided(owner, RENAME, name).because.id,  # type: ignore[union-attr]
        Effect.ALLOW,
        access.OWNERS,
        name,
        holder=owner.name,
        role="owner",
    )


def test_a_model_of_the_operator_has_no_owner() -> None:
    name = make_model()
    assert not [one for one in grants.search(db.session(), OPERATOR, model=name, limit=10_000).items if one.model_id]


def test_the_right_of_the_owner_follows_the_model_and_those_of_others_the_name() -> None:
    owner, name, new = known(APPROVER), unique(), unique()
    make_model(owner, name)
    reader = sam(allow(VIEWER, on=name))
    with transaction(owner) as session:
        registered_models.rename(session, owner, name, new)
    owner = without_grants(owner)
    assert access.may(db.session(), owner, DELETE, new)
    assert not access.may(db.session(), replace(owner, owned={}), DELETE, name)
    assert not access.may(db.session(), reader, READ, new)


def test_a_denial_wins_over_the_owner_as_well() -> None:
    owner = known(CONTRIBUTOR)
    name = make_model(owner)
    assert not access.may(db.session(), replace(owner, grants=(deny(RENAME, on=name),), owned={}), RENAME, name)
    assert not access.may(db.session(), replace(owner, grants=(deny(READ, on=name),), owned={}), DELETE, name)


@pytest.mark.parametrize(
    ("scope", "may_read", "may_delete"),
    [
        (Scope(CONTRIBUTOR), True, True),
        (Scope(VIEWER), True, False),
        (Scope(models=("none",)), False, False),
    ],
    ids=["of a contributor", "that only reads", "for other models"],
)
def test_a_token_narrows_an_owner_too(scope: Scope, *, may_read: bool, may_delete: bool) -> None:
    owner = known(CONTRIBUTOR)
    name = make_model(owner)
    owner = replace(without_grants(owner), scope=scope)
    assert access.may(db.session(), owner, READ, name) == may_read
    assert access.may(db.session(), owner, DELETE, name) == may_delete


def test_the_right_of_the_owner_comes_back_with_the_model_and_is_purged_with_it() -> None:
    owner = known(CONTRIBUTOR)
    name = make_model(owner)
    [mine] = [one for one in grants.search(db.session(), OPERATOR, holder=owner.name, limit=99).items if one.model_id]
    with transaction(OPERATOR) as session:
        model_id = registered_models.get(session, OPERATOR, name).model.id
        registered_models.delete(session, OPERATOR, name)
    assert not access.may(db.session(), without_grants(owner), READ, name)
    with transaction(OPERATOR) as session:
        trash.restore_model(session, OPERATOR, model_id)
    assert access.may(db.session(), without_grants(owner), READ, name)
    with transaction(OPERATOR) as session:
        registered_models.delete(session, OPERATOR, name)
        trash.purge_model(session, OPERATOR, model_id)
    assert mine.id not in {one.id for one in grants.search(db.session(), OPERATOR, holder=owner.name, limit=99).items}


def test_a_taken_away_ownership_is_one_no_more() -> None:
    owner = known(CONTRIBUTOR)
    name = make_model(owner)
    [mine] = [one for one in grants.search(db.session(), OPERATOR, holder=owner.name, limit=99).items if one.model_id]
    assert (mine.role, mine.pattern, mine.principal) == ("owner", name, owner.name)
    with transaction(OPERATOR) as session:
        grants.delete(session, OPERATOR, mine.id)
    assert not access.may(db.session(), without_grants(owner), READ, name)


def test_renaming_takes_the_right_on_both_names() -> None:
    owner = known(CONTRIBUTOR)
    name, new = make_model(owner), unique()
    owner = replace(without_grants(owner), grants=(allow(CONTRIBUTOR, on="mine-*"),))
    with pytest.raises(Forbidden, match="'register' on"), transaction(owner) as session:
        registered_models.rename(session, owner, name, new)
    with pytest.raises(Forbidden, match="'register' on"), transaction(owner) as session:
        registered_models.amend(session, owner, name, {"name": new, "description": "x"})
    with transaction(owner) as session:
        registered_models.rename(session, owner, name, unique("mine"))


def test_what_stands_in_production_or_has_an_alias_comes_along_with_a_name_only_by_the_right_to_do_that_there() -> None:
    bob = sam(allow(APPROVER, on="sandbox-*"), allow(CONTRIBUTOR, on="prod-*"), allow(REGISTER, PROMOTE, on="live-*"))
    name = make_model(bob, unique("sandbox"))
    number = make_version(name, bob)
    with transaction(bob) as session:
        registered_models.rename(session, bob, name, name := unique("prod"))
    with transaction(OPERATOR) as session:
        registered_models.rename(session, OPERATOR, name, name := unique("sandbox"))
    move(name, number, PRODUCTION, bob)
    with pytest.raises(Forbidden, match=r"'promote' on 'prod-.*' to Production"), transaction(bob) as session:
        registered_models.rename(session, bob, name, unique("prod"))
    with pytest.raises(Forbidden, match=r"'promote' on 'prod-.*' to Production"), transaction(bob) as session:
        registered_models.amend(session, bob, name, {"name": unique("prod"), "description": "x"})
    with transaction(bob) as session:
        aliases.set(session, bob, name, "champion", number)
    with pytest.raises(Forbidden, match="'alias' on 'live-"), transaction(bob) as session:
        registered_models.rename(session, bob, name, unique("live"))
    with transaction(bob) as session:
        aliases.unset(session, bob, name, "champion")
        registered_models.rename(session, bob, name, unique("live"))


WAYS = {
    "a transition": lambda session, who, name: stages.transition(
        session, who, name, 2, PRODUCTION, archive_others=True
    ),
    "a registration": lambda session, who, name: stages.register(
        session, who, name, stage=PRODUCTION, archive_others=True, source="s3://bucket/model", tags={}
    ),
    "a rollback": lambda session, who, name: stages.rollback(session, who, name, PRODUCTION),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_nobody_makes_way_where_that_is_denied(way: Any) -> None:
    name = make_model()
    make_version(name, stage=PRODUCTION)
    make_version(name)
    make_version(name, stage=PRODUCTION)
    move(name, 1, ARCHIVED)
    keeping = sam(allow(APPROVER), deny(PROMOTE, on=name, start=[PRODUCTION]))
    denied = r"'promote' on '.*' from Production to Archived by grant 7"
    with pytest.raises(Forbidden, match=denied), transaction(keeping) as session:
        way(session, keeping, name)
    narrowed = sam(allow(APPROVER, to=[PRODUCTION]))
    with transaction(narrowed) as session:
        way(session, narrowed, name)


def test_what_makes_no_way_is_not_denied() -> None:
    name = make_model()
    number = make_version(name)
    keeping = sam(allow(APPROVER), deny(PROMOTE, start=[PRODUCTION]))
    move(name, number, PRODUCTION, keeping, archive_others=True)


def test_what_stands_in_production_is_deleted_only_by_who_may_have_it_leave() -> None:
    owner = known(CONTRIBUTOR)
    name = make_model(owner)
    for stage in (STAGING, PRODUCTION):
        make_version(name, stage=stage)
    with transaction(owner) as session:
        model_versions.delete(session, owner, name, 1)
    with pytest.raises(Forbidden, match=r"'promote' on '.*' from Production"), transaction(owner) as session:
        model_versions.delete(session, owner, name, 2)
    with pytest.raises(Forbidden, match=r"'promote' on '.*' from Production"), transaction(owner) as session:
        registered_models.delete(session, owner, name)
    keeping = sam(allow(APPROVER), deny(PROMOTE, start=[PRODUCTION]))
    with pytest.raises(Forbidden), transaction(keeping) as session:
        model_versions.delete(session, keeping, name, 2)
    leaving = sam(allow(APPROVER), deny(PROMOTE, to=[PRODUCTION]))
    with transaction(leaving) as session:
        model_versions.delete(session, leaving, name, 2)
    with transaction(owner) as session:
        registered_models.delete(session, owner, name)


def test_a_stranger_to_the_tables_owns_nothing() -> None:
    with transaction(sam(allow(CONTRIBUTOR))) as session:
        registered_models.create(session, sam(allow(CONTRIBUTOR)), unique(), tags={})


def test_what_is_said_of_a_whole_role_is_the_highest_one() -> None:
    assert sam(allow(VIEWER), allow(APPROVER)).role is APPROVER
    assert sam(allow(APPROVER), scope=Scope(CONTRIBUTOR)).role is CONTRIBUTOR
    assert sam(allow(APPROVER, on=CHURN)).role is None
    assert sam(allow(CONTRIBUTOR, to=[STAGING]), allow(VIEWER)).role is VIEWER
    assert sam(allow(*access.APPROVER)).role is APPROVER


def test_a_grant_is_given_to_somebody_who_is_known() -> None:
    owner = known()
    with transaction(OPERATOR) as session:
        grants.create(session, OPERATOR, Wanted(principal=owner.name, role=CONTRIBUTOR, pattern=CHURN))
