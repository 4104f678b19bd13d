"""Labels come with what bears them, in one question, and are what is there at that moment."""

import pytest
from sqlalchemy.orm import Session

from registry.db import transaction
from registry.domain import aliases, model_versions, registered_models, searching, tags
from registry.domain.access import OPERATOR
from registry.domain.filtering import Comparison, OrderKey
from registry.domain.searching import Search
from registry.tables import ModelVersion
from registry.vocabulary import Stage
from tests.factories import make_model, make_version

pytestmark = pytest.mark.usefixtures("context")


def labels_of(version: ModelVersion) -> tuple[list[tuple[str, str]], list[str]]:
    return [(tag.key, tag.value) for tag in version.tags], [alias.alias for alias in version.aliases]


def make_labelled(**on_model: str) -> str:
    """A model whose first version has labels, and whose second one has none."""
    name = make_model(OPERATOR, None, **on_model)
    make_version(name, stage=Stage.PRODUCTION, validated="yes", about='z"d\\e{},', lacking="NULL", none="")
    make_version(name)
    with transaction(OPERATOR) as session:
        for alias in ("second", "first"):
            aliases.set(session, OPERATOR, name, alias, 1)
    return name


@pytest.fixture
def labelled() -> str:
    """One such model, beside another one."""
    make_labelled(team="other")
    return make_labelled(team="risk", owner="zoe")


TAGS = [("about", 'z"d\\e{},'), ("lacking", "NULL"), ("none", "")]
EXPECTED = ([*TAGS, ("validated", "yes")], ["first", "second"])
BOTH = [EXPECTED, ([], [])]


def test_a_version_comes_with_its_own_labels_in_order(labelled: str, session: Session) -> None:
    assert labels_of(model_versions.get(session, OPERATOR, labelled, 1)) == EXPECTED
    assert labels_of(aliases.get(session, OPERATOR, labelled, "first")) == EXPECTED
    assert [labels_of(one) for one in registered_models.latest_versions(session, OPERATOR, labelled)] == BOTH
    found = searching.versions_of(session, OPERATOR, labelled, Search(order=[OrderKey("version")]))
    assert [labels_of(one) for one in found.items] == BOTH


def test_a_model_comes_with_its_own_labels_in_order(labelled: str, session: Session) -> None:
    [found] = searching.models(session, OPERATOR, Search([Comparison("name", None, "=", labelled)])).items
    for model in (registered_models.get(session, OPERATOR, labelled).model, found.model):
        assert [(tag.key, tag.value) for tag in model.tags] == [("owner", "zoe"), ("team", "risk")]
        assert [(alias.alias, alias.number) for alias in model.aliases] == [("first", 1), ("second", 1)]


def test_labels_are_read_anew_after_they_were_changed_in_the_same_session(labelled: str) -> None:
    with transaction(OPERATOR) as session:
        before = labels_of(model_versions.get(session, OPERATOR, labelled, 1))
        tags.set_on_version(session, OPERATOR, labelled, 1, "validated", "no")
        aliases.unset(session, OPERATOR, labelled, "first")
        after = labels_of(model_versions.get(session, OPERATOR, labelled, 1))

    assert before == EXPECTED
    assert after == ([*TAGS, ("validated", "no")], ["second"])


def test_a_change_of_what_bears_labels_leaves_them_alone(labelled: str, session: Session) -> None:
    with transaction(OPERATOR) as writing:
        registered_models.get(writing, OPERATOR, labelled)
        registered_models.describe(writing, OPERATOR, labelled, "seen")
        model_versions.describe(writing, OPERATOR, labelled, 1, "seen")

    assert labels_of(model_versions.get(session, OPERATOR, labelled, 1)) == EXPECTED
    assert len(registered_models.get(session, OPERATOR, labelled).model.tags) == 2
