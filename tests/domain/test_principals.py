"""Who acted, as it is shown: also where a transaction has named somebody that no principal is."""

import pytest
from sqlalchemy.orm import Session

from registry.domain import audit, references, tenures
from registry.domain.access import OPERATOR, Principal
from registry.domain.audit import Question
from registry.vocabulary import Role, Stage
from tests.factories import make_model, make_version, trusted

pytestmark = pytest.mark.usefixtures("context")

NOBODY = ["principal:x", "principal:", "principal:007", "principal:-1", "principal:" + "9" * 40, "principal:٣", "alice"]


@pytest.mark.parametrize("actor", NOBODY)
def test_an_actor_that_is_no_principal_is_shown_as_it_stands_in_the_log(session: Session, actor: str) -> None:
    somebody = trusted("somebody", Role.ADMINISTRATOR, actor)
    name = make_model(somebody)
    make_version(name, somebody, stage=Stage.PRODUCTION)

    events = audit.search(session, OPERATOR, Question(model=name)).items
    resolution = references.resolve(session, OPERATOR, f"models:/{name}/Production")
    [tenure] = tenures.holders(session, OPERATOR, name, Stage.PRODUCTION)

    assert {event.actor.name for event in events} == {actor}
    assert (resolution.by.name, tenure.by.name) == (actor, actor)


def test_a_principal_is_shown_by_its_name(session: Session, steward: Principal) -> None:
    name = make_model(steward)
    event = audit.search(session, OPERATOR, Question(model=name)).items[0]
    assert (event.actor.id, event.actor.name) == (steward.id, steward.name)
