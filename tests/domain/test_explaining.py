"""Why somebody may do something or may not."""

from dataclasses import replace

import pytest

from registry.db import db, transaction
from registry.domain import access, explaining, grants, tokens
from registry.domain.access import OPERATOR, Principal
from registry.domain.explaining import Explanation
from registry.domain.grants import Wanted
from registry.errors import Forbidden, ModelNotFound, PrincipalNotFound
from registry.vocabulary import Effect, Permission, Role, Stage
from tests.factories import authenticate, make_model, make_version, move, trusted, unique

pytestmark = pytest.mark.usefixtures("context")


def explain(principal: Principal, action: Permission, model: str | None = None, **more: object) -> Explanation:
    return explaining.explain(db.session(), principal, action, model, **more)  # type: ignore[arg-type]


def known(role: Role, **wanted: object) -> Principal:
    name = unique("known")
    with transaction(OPERATOR) as session:
        secret = tokens.create(session, OPERATOR, name=name, role=role).secret
        if wanted:
            grants.create(session, OPERATOR, Wanted(principal=name, **wanted))  # type: ignore[arg-type]
        holder = authenticate(session, secret)
    assert holder is not None
    return holder.principal


def test_what_is_allowed_is_so_by_a_grant() -> None:
    principal = known(Role.VIEWER)
    found = explain(principal, Permission.READ, "churn")
    assert (found.allowed, found.missing, found.who_could) == (True, None, [])
    assert found.because == principal.grants[0]


def test_what_is_not_lacks_a_grant_and_somebody_could_give_it() -> None:
    known(Role.ADMINISTRATOR)
    found = explain(known(Role.VIEWER), Permission.PROMOTE, "churn", stage_to=Stage.PRODUCTION)
    assert (found.allowed, found.because) == (False, None)
    assert found.missing is not None
    assert "has no grant that gives 'promote' on 'churn' to Production" in found.missing
    assert 1 <= len(found.who_could) <= 5


def test_what_is_denied_is_so_by_a_grant() -> None:
    principal = known(Role.APPROVER, effect=Effect.DENY, permissions=[Permission.DELETE], pattern="churn-*")
    found = explain(principal, Permission.DELETE, "churn-eu")
    assert not found.allowed
    assert found.because is not None
    assert (found.because.effect, found.because.holder) == ("deny", principal.name)


@pytest.mark.parametrize(
    ("stages", "takes"),
    [
        ({"stage_to": Stage.PRODUCTION}, "promote"),
        ({"stage_from": Stage.PRODUCTION}, "promote"),
        ({"stage_to": Stage.STAGING}, "transition"),
        ({"stage_from": Stage.NONE, "stage_to": Stage.ARCHIVED}, "transition"),
    ],
)
@pytest.mark.parametrize("action", [Permission.TRANSITION, Permission.PROMOTE])
def test_a_move_takes_what_its_stages_say_however_it_is_called(
    action: Permission, stages: dict[str, Stage], takes: str
) -> None:
    missing = explain(trusted("vera", Role.VIEWER), action, "churn", **stages).missing
    assert missing is not None
    assert f"gives '{takes}' on 'churn'" in missing


def test_it_says_of_what_is_not_to_be_read_what_it_says_of_what_is_not_there() -> None:
    principal = known(Role.APPROVER, effect=Effect.DENY, permissions=[Permission.READ], pattern="secret-*")
    there, nowhere = make_model(name=unique("secret")), unique("secret")
    make_version(there)
    for action in Permission:
        found, other = explain(principal, action, there), explain(principal, action, nowhere)
        assert not found.allowed
        assert found.missing is not None
        assert replace(found, missing=found.missing.replace(there, nowhere)) == other


def test_administrators_ask_about_others() -> None:
    administrator, other = known(Role.ADMINISTRATOR), known(Role.CONTRIBUTOR)
    assert explain(administrator, Permission.DESCRIBE, "churn", who=other.name).because == other.grants[0]
    found = explain(administrator, Permission.PROMOTE, "churn", who=other.name)
    assert found.missing is not None
    assert found.missing.startswith(f"'{other.name}' has no grant")
    with pytest.raises(PrincipalNotFound):
        explain(administrator, Permission.READ, who=unique())


def test_what_somebody_owns_is_explained_too() -> None:
    administrator, owner = known(Role.ADMINISTRATOR), known(Role.CONTRIBUTOR)
    name = make_model(owner)
    found = explain(administrator, Permission.RENAME, name, who=owner.name)
    assert found.because is not None
    assert (found.allowed, found.because.role) == (True, "owner")


def test_nobody_else_does() -> None:
    with pytest.raises(Forbidden):
        explain(known(Role.APPROVER), Permission.READ, "churn", who=known(Role.VIEWER).name)
    myself = known(Role.VIEWER)
    assert explain(myself, Permission.READ, "churn", who=myself.name).allowed


def test_nor_through_others_about_what_is_not_to_be_read() -> None:
    barred = known(Role.ADMINISTRATOR, effect=Effect.DENY, permissions=[Permission.READ], pattern="secret-*")
    owner = known(Role.CONTRIBUTOR)
    for name in (make_model(owner, unique("secret")), unique("secret")):
        with pytest.raises(ModelNotFound):
            explain(barred, Permission.READ, name, who=owner.name)


def test_the_explanation_is_what_happens() -> None:
    principal = known(Role.APPROVER, effect=Effect.DENY, permissions=[Permission.PROMOTE], stages_to=[Stage.PRODUCTION])
    name = make_model()
    number = make_version(name)
    assert explain(principal, Permission.TRANSITION, name, stage_to=Stage.STAGING).allowed
    assert not explain(principal, Permission.PROMOTE, name, stage_to=Stage.PRODUCTION).allowed
    move(name, number, Stage.STAGING, principal)
    with pytest.raises(Forbidden) as refused:
        move(name, number, Stage.PRODUCTION, principal)
    found = explain(principal, Permission.PROMOTE, name, stage_to=Stage.PRODUCTION)
    assert found.because is not None
    assert refused.value.message.startswith(f"'{principal.name}' is denied 'promote' on '{name}' ")
    assert str(found.because) in refused.value.message


def test_asked_about_everything_it_answers_for_everything() -> None:
    assert explain(OPERATOR, Permission.ADMINISTER).because == OPERATOR.grants[0]
    narrow = replace(OPERATOR, scope=access.Scope(models=("x",)))
    assert explain(narrow, Permission.ADMINISTER).missing is not None
