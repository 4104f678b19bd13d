"""Grants: made, listed, taken away; by administrators, and within limits by the owners of models."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from registry.config import Settings
from registry.db import db, transaction
from registry.domain import access, granted, grants, registered_models, tokens
from registry.domain.access import OPERATOR, Principal
from registry.domain.grants import GrantInfo, Wanted
from registry.errors import Conflict, Forbidden, GrantNotFound, Invalid, PrincipalNotFound
from registry.tables import AuditEvent, Grant
from registry.vocabulary import Action, Effect, Permission, Role, Stage
from tests.conftest import application, superuser
from tests.factories import authenticate, make_model, trusted, unique

pytestmark = pytest.mark.usefixtures("context")
DENY = Effect.DENY


def somebody(role: Role | None = None) -> Principal:
    """Somebody with a token of an administrator's kind, who is granted a role, or nothing."""
    name = unique("somebody")
    with transaction(OPERATOR) as session:
        issued = tokens.create(session, OPERATOR, name=name, role=Role.ADMINISTRATOR)
        assert issued.grant_id is not None
        grants.delete(session, OPERATOR, issued.grant_id)
        if role:
            grants.create(session, OPERATOR, Wanted(principal=name, role=role))
    return again(issued.secret)


def again(secret: str) -> Principal:
    holder = authenticate(db.session(), secret)
    assert holder is not None
    return holder.principal


def give(by: Principal = OPERATOR, **wanted: Any) -> GrantInfo:
    with transaction(by) as session:
        return grants.create(session, by, Wanted(**wanted))


def take(grant_id: int, by: Principal = OPERATOR) -> None:
    with transaction(by) as session:
        grants.delete(session, by, grant_id)


def listed(by: Principal = OPERATOR, **asked: Any) -> list[GrantInfo]:
    return grants.search(db.session(), by, limit=10_000, **asked).items


# Making.


def test_a_grant_is_shown_as_it_was_asked_for() -> None:
    name = somebody().name
    wanted: dict[str, Any] = {
        "permissions": [Permission.PROMOTE, Permission.ALIAS, Permission.PROMOTE],
        "pattern": "churn-*",
        "stages_from": [Stage.STAGING],
        "stages_to": [Stage.PRODUCTION, Stage.ARCHIVED],
        "description": "for the release week",
    }
    made = give(principal=name, **wanted)
    assert made == grants.get(db.session(), OPERATOR, made.id) == listed(holder=name)[-1]
    assert (made.principal, made.group, made.effect, made.role, made.model_id) == (name, None, "allow", None, None)
    assert made.permissions == ["alias", "promote"]
    assert (made.pattern, made.stages_from, made.stages_to) == ("churn-*", ["Staging"], ["Archived", "Production"])
    assert (made.description, made.created_by) == ("for the release week", "operator")


def test_it_is_on_record_like_any_change_and_so_is_that_it_goes() -> None:
    made = give(group=unique("team"), role=Role.VIEWER)
    take(made.id)
    mine = select(AuditEvent.action).where(AuditEvent.object == f"grant:{made.id}").order_by(AuditEvent.id)
    assert db.session.scalars(mine).all() == [Action.GRANT_CREATE, Action.GRANT_DELETE]


def test_it_comes_along_with_the_next_request_of_its_holder_and_goes_with_it() -> None:
    name = unique("somebody")
    with transaction(OPERATOR) as session:
        secret = tokens.create(session, OPERATOR, name=name, role=Role.ADMINISTRATOR).secret
    before = again(secret).grants
    made = give(principal=name, effect=DENY, permissions=[Permission.DELETE], pattern="churn-*")
    [more] = [grant for grant in again(secret).grants if grant not in before]
    assert (more.id, more.effect, more.permissions) == (made.id, DENY, frozenset({Permission.DELETE}))
    assert (more.pattern, more.holder, more.role) == ("churn-*", name, None)
    take(made.id)
    assert again(secret).grants == before


def test_the_grants_of_a_principal_and_its_groups_are_read_in_one_statement() -> None:
    principal, team, other = somebody(Role.VIEWER), unique("team"), unique("team")
    number = access.number_of(principal)
    assert number is not None
    give(group=team, role=Role.APPROVER, pattern="churn-*", stages_to=[Stage.STAGING])
    give(group=other, role=Role.ADMINISTRATOR)
    found = granted.of(db.session(), number, principal.name, [team, "nobody"])
    assert [(grant.role, grant.holder) for grant in found] == [
        ("viewer", principal.name),
        ("approver", f"group {team}"),
    ]
    assert found[1].stages_to == frozenset({Stage.STAGING})
    assert granted.of(db.session(), number, principal.name) == found[:1]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nobody": ({"role": Role.VIEWER}, "for a principal or for a group"),
    "both": ({"principal": "a", "group": "b", "role": Role.VIEWER}, "for a principal or for a group"),
    "of nothing": ({"group": "g"}, "of a role or of some permissions"),
    "of both": ({"group": "g", "role": Role.VIEWER, "permissions": [Permission.READ]}, "of a role or of some"),
    "no permission": ({"group": "g", "permissions": []}, "at least one permission"),
    "a blank group": ({"group": " ", "role": Role.VIEWER}, "Missing value for required parameter 'group'"),
    "a long group": ({"group": "g" * 501, "role": Role.VIEWER}, "'group' exceeds the maximum length"),
    "a long description": ({"group": "g", "role": Role.VIEWER, "description": "d" * 1_001}, "'description' exceeds"),
    "a blank pattern": ({"group": "g", "role": Role.VIEWER, "pattern": ""}, "parameter 'pattern'"),
    "five stars": ({"group": "g", "role": Role.VIEWER, "pattern": "*a*b*c*d*"}, "more than 4 '*'"),
    "a role denied": ({"group": "g", "role": Role.APPROVER, "effect": DENY}, "Every role includes reading"),
    "an administrator of some": ({"group": "g", "role": Role.ADMINISTRATOR, "pattern": "c-*"}, "over all models"),
    "no stage": ({"group": "g", "role": Role.APPROVER, "stages_to": []}, "at least one stage"),
    "stages of a reader": ({"group": "g", "role": Role.VIEWER, "stages_to": [Stage.STAGING]}, "Stages narrow moves"),
    "stages of a denial": (
        {"group": "g", "permissions": [Permission.DELETE], "effect": DENY, "stages_to": [Stage.STAGING]},
        "Stages narrow moves",
    ),
}


@pytest.mark.parametrize(("wanted", "message"), WRONG.values(), ids=WRONG)
def test_a_grant_that_makes_no_sense_is_not_made(wanted: dict[str, Any], message: str) -> None:
    before = len(listed())
    with pytest.raises(Invalid) as refused:
        give(**wanted)
    assert message in refused.value.message
    assert len(listed()) == before


def test_nobody_unknown_is_given_anything() -> None:
    name = unique("nobody")
    with pytest.raises(PrincipalNotFound) as refused:
        give(principal=name, role=Role.VIEWER)
    assert refused.value.message == (
        f"There is no principal called '{name}'. It comes into being with its first token or sign-in."
    )


BROKEN = [
    ("holder", "principal_id = NULL, group_name = NULL"),
    ("holder", "group_name = 'g'"),
    ("what", "role = NULL"),
    ("what", "permissions = '{read}'"),
    ("owner", "model_id = (SELECT max(id) FROM registry.registered_models)"),
    ("owner", "role = 'owner'"),
    ("deny", "effect = 'deny'"),
    ("role", "role = 'king'"),
    ("effect", "effect = 'maybe', role = NULL, permissions = '{read}'"),
    ("permissions", "role = NULL, permissions = '{fly}'"),
    ("permissions", "role = NULL, permissions = '{}'"),
    ("stages_to", "stages_to = '{Nowhere}'"),
    ("stages_from", "stages_from = '{}'"),
]


@pytest.mark.parametrize(("constraint", "change"), BROKEN)
def test_the_database_keeps_no_grant_that_could_not_be_read(constraint: str, change: str) -> None:
    made = give(principal=somebody().name, role=Role.VIEWER)
    make_model()
    with pytest.raises(DBAPIError, match=f"ck_grants_{constraint}"), superuser() as connection:
        connection.execute(text("SELECT set_config('app.actor', 'x', true), set_config('app.request_id', 'x', true)"))
        connection.execute(text(f"UPDATE registry.grants SET {change} WHERE id = {made.id}"))


def test_the_service_cannot_change_a_grant() -> None:
    made = give(group=unique("team"), role=Role.VIEWER)
    with pytest.raises(DBAPIError, match="permission denied"), transaction(OPERATOR) as session:
        session.execute(text("UPDATE registry.grants SET role = 'administrator' WHERE id = :id"), {"id": made.id})


# Owners.

GIVEN_BY_OWNERS: list[tuple[str, dict[str, Any], bool]] = [
    ("the role viewer", {"role": Role.VIEWER}, True),
    ("the role contributor", {"role": Role.CONTRIBUTOR}, True),
    ("a permission of a contributor", {"permissions": [Permission.COMMENT]}, True),
    ("the role approver", {"role": Role.APPROVER}, False),
    ("to promote", {"permissions": [Permission.PROMOTE]}, False),
    ("to delete", {"permissions": [Permission.DELETE]}, False),
    ("a denial", {"permissions": [Permission.READ], "effect": DENY}, False),
]


@pytest.mark.parametrize(
    ("wanted", "may"), [row[1:] for row in GIVEN_BY_OWNERS], ids=[row[0] for row in GIVEN_BY_OWNERS]
)
def test_an_owner_gives(wanted: dict[str, Any], *, may: bool) -> None:
    owner = somebody(Role.CONTRIBUTOR)
    name, friend = make_model(owner), somebody()
    if may:
        made = give(owner, principal=friend.name, pattern=name, **wanted)
        assert made.created_by == owner.id
        assert made in listed(owner, model=name)
        assert grants.get(db.session(), owner, made.id) == made
        take(made.id, owner)
    else:
        with pytest.raises(Forbidden, match="may not manage these grants"):
            give(owner, principal=friend.name, pattern=name, **wanted)


def test_and_only_on_the_very_model() -> None:
    owner = somebody(Role.CONTRIBUTOR)
    name = make_model(owner)
    for pattern in ("*", f"{name}*", make_model(), unique()):
        with pytest.raises(Forbidden):
            give(owner, group="g", role=Role.VIEWER, pattern=pattern)


def test_a_model_called_by_a_star_gives_its_owner_no_more_than_another_one() -> None:
    owner, name = somebody(Role.CONTRIBUTOR), f"*{unique()}*"
    make_model(owner, name)
    with pytest.raises(Forbidden):
        give(owner, principal=owner.name, role=Role.CONTRIBUTOR, pattern=name)
    give(principal=owner.name, role=Role.CONTRIBUTOR, pattern=name)


def test_an_owner_with_a_token_that_only_reads_gives_nothing() -> None:
    owner = somebody(Role.CONTRIBUTOR)
    name = make_model(owner)
    reading = replace(owner, scope=access.Scope(Role.VIEWER), owned={})
    with pytest.raises(Forbidden):
        give(reading, group="g", role=Role.VIEWER, pattern=name)


def test_an_owner_sees_what_is_on_the_model_alone_and_takes_away_what_it_may_give() -> None:
    owner = somebody(Role.CONTRIBUTOR)
    name = make_model(owner)
    wide = give(group="g", role=Role.VIEWER, pattern=f"{name}*")
    denial = give(group="g", effect=DENY, permissions=[Permission.READ], pattern=name)
    shown = listed(owner, model=name)
    assert denial in shown
    assert wide not in shown
    [mine] = [one for one in shown if one.role == "owner"]
    for one in (wide, denial, mine):
        with pytest.raises(Forbidden):
            take(one.id, owner)
    assert wide in listed(model=name)


def test_others_see_and_take_nothing() -> None:
    owner, other = somebody(Role.CONTRIBUTOR), somebody(Role.APPROVER)
    name = make_model(owner)
    made = give(owner, group="g", role=Role.VIEWER, pattern=name)
    for asked in ({}, {"model": name}, {"model": unique()}, {"holder": other.name}):
        with pytest.raises(Forbidden):
            listed(other, **asked)
    for grant_id in (made.id, 2**40, 0):
        with pytest.raises(Forbidden):
            grants.get(db.session(), other, grant_id)
        with pytest.raises(Forbidden):
            take(grant_id, other)


# Looking.


def test_grants_are_found_by_who_has_them_and_by_what_they_concern() -> None:
    principal, team, family = somebody(), unique("team"), unique("family")
    mine = give(principal=principal.name, role=Role.VIEWER, pattern=f"{family}-*")
    ours = give(group=team, role=Role.VIEWER, pattern=f"{family}-eu")
    assert listed(holder=principal.name) == [mine]
    assert listed(group=team) == [ours]
    concerning = listed(model=f"{family}-eu")
    assert mine in concerning
    assert ours in concerning
    assert ours not in listed(model=f"{family}-us")
    assert listed(holder=unique(), group=team) == []


def test_they_come_page_by_page() -> None:
    team = unique("team")
    made = [give(group=team, role=Role.VIEWER, pattern=f"m-{number}").id for number in range(3)]
    first = grants.search(db.session(), OPERATOR, group=team, limit=2)
    rest = grants.search(db.session(), OPERATOR, group=team, limit=2, token=first.next_token)
    assert [one.id for one in (*first.items, *rest.items)] == made
    assert rest.next_token is None
    with pytest.raises(Invalid):
        grants.search(db.session(), OPERATOR, group=unique(), limit=2, token=first.next_token)


@pytest.mark.parametrize("grant_id", [0, -1, 2**40, 2**63])
def test_a_grant_that_is_not_there_is_neither_shown_nor_taken_away(grant_id: int) -> None:
    with pytest.raises(GrantNotFound):
        grants.get(db.session(), OPERATOR, grant_id)
    with pytest.raises(GrantNotFound):
        take(grant_id)


def test_who_owns_a_model_that_is_not_to_be_read_is_not_told_either() -> None:
    owner, administrator = somebody(Role.CONTRIBUTOR), trusted("ada", Role.ADMINISTRATOR)
    name = make_model(owner)
    [mine] = [one for one in listed(holder=owner.name) if one.model_id]
    secret = access.Grant(1, DENY, frozenset({Permission.READ}), name)
    barred = replace(administrator, grants=(*administrator.grants, secret))
    assert mine in listed(administrator, holder=owner.name)
    assert mine not in listed(barred, holder=owner.name)
    with pytest.raises(GrantNotFound):
        grants.get(db.session(), barred, mine.id)
    with pytest.raises(GrantNotFound):
        take(mine.id, barred)


# The last administrator.


@pytest.fixture
def small(empty_database_url: str) -> Iterator[Flask]:
    with application(Settings(database_url=empty_database_url)) as app, app.app_context():
        yield app


def test_the_last_administrator_stays_one(small: Flask) -> None:
    with transaction(OPERATOR) as session:
        first = tokens.create(session, OPERATOR, name="ada", role=Role.ADMINISTRATOR)
    ada = again(first.secret)
    assert first.grant_id is not None
    with pytest.raises(Conflict, match="is the last administrator's"):
        take(first.grant_id, ada)
    for denied in (Permission.ADMINISTER, Permission.READ):
        with pytest.raises(Conflict, match="would shut out the last administrator"):
            give(ada, principal="ada", effect=DENY, permissions=[denied])
    assert [one.id for one in listed(ada)] == [first.grant_id]

    for narrowed in ({"models": ["churn-*"]}, {"stages": [Stage.STAGING]}):
        with transaction(OPERATOR) as session:
            tokens.create(session, OPERATOR, name=unique("ben"), role=Role.ADMINISTRATOR, **narrowed)
        with pytest.raises(Conflict):
            take(first.grant_id, ada)
    with transaction(OPERATOR) as session:
        tokens.create(session, OPERATOR, name="bob", role=Role.ADMINISTRATOR)
    take(first.grant_id, ada)
    with pytest.raises(Forbidden):
        listed(again(first.secret))


def test_the_operator_can_take_even_the_last_one_away_and_make_another(small: Flask) -> None:
    with transaction(OPERATOR) as session:
        first = tokens.create(session, OPERATOR, name="ada", role=Role.ADMINISTRATOR)
        assert first.grant_id is not None
        grants.delete(session, OPERATOR, first.grant_id)
        narrow = tokens.create(session, OPERATOR, name="ada", role=Role.ADMINISTRATOR)
        whole = tokens.create(session, OPERATOR, name="ada", role=Role.ADMINISTRATOR, with_grant=True)
        twice = tokens.create(session, OPERATOR, name="ada", role=Role.ADMINISTRATOR, with_grant=True)
    assert (narrow.grant_id, twice.grant_id) == (None, None)
    assert whole.grant_id is not None
    assert again(narrow.secret).role is Role.ADMINISTRATOR


def test_a_start_makes_an_administrator_where_the_token_of_one_is_worth_nothing(small: Flask) -> None:
    with transaction(OPERATOR) as session:
        first = tokens.create(session, OPERATOR, name="admin", role=Role.ADMINISTRATOR)
        assert first.grant_id is not None
        grants.delete(session, OPERATOR, first.grant_id)
        secret = tokens.ensure_administrator(session, OPERATOR, None)
        assert tokens.ensure_administrator(session, OPERATOR, None) is None
    assert secret is not None
    assert again(secret).role is Role.ADMINISTRATOR
    assert len(db.session.scalars(select(Grant.id)).all()) == 1


def test_a_model_is_made_by_somebody_who_then_is_granted_nothing_else() -> None:
    owner = somebody(Role.CONTRIBUTOR)
    name = make_model(owner)
    [role] = [one for one in listed(holder=owner.name) if one.role == "contributor"]
    take(role.id)
    bare = replace(owner, grants=(), owned={})
    assert registered_models.get(db.session(), bare, name).model.name == name
