"""Aliases: movable names for one version of a model, and `latest`, which nobody sets."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry.db import db, transaction
from registry.domain import aliases, model_versions, registered_models
from registry.domain.access import OPERATOR
from registry.errors import AliasNotFound, Invalid, ModelNotFound, NoVersions, RegistryError, VersionNotFound
from registry.tables import AuditEvent
from registry.vocabulary import Stage
from tests.factories import make_model, make_version, unique

pytestmark = pytest.mark.usefixtures("context")


def act(change: Callable[[Session], object]) -> None:
    with transaction(OPERATOR) as session:
        change(session)


def point(name: str, alias: str, number: int) -> None:
    act(lambda s: aliases.set(s, OPERATOR, name, alias, number))


def follow(name: str, alias: str) -> int:
    return aliases.get(db.session(), OPERATOR, name, alias).number


def shown(name: str) -> dict[str, int]:
    model = registered_models.get(db.session(), OPERATOR, name).model
    return {alias.alias: alias.number for alias in model.aliases}


def with_versions(count: int) -> str:
    name = make_model()
    for _ in range(count):
        make_version(name)
    return name


def refusal_of(change: Callable[[Session], object], kind: type[RegistryError]) -> RegistryError:
    """How a change is refused; it must not leave an event."""
    count = select(func.count(AuditEvent.id))
    before = db.session.scalar(count)
    with pytest.raises(kind) as refused:
        act(change)
    assert db.session.scalar(count) == before
    return refused.value


def test_an_alias_leads_to_its_version_with_all_that_is_shown_of_it() -> None:
    name = with_versions(1)
    make_version(name, team="risk")
    make_version(name)
    point(name, "champion", 2)
    point(name, "candidate", 2)
    found = aliases.get(db.session(), OPERATOR, name, "champion")
    assert (found.model.name, found.number) == (name, 2)
    assert [alias.alias for alias in found.aliases] == ["candidate", "champion"]
    assert [tag.key for tag in found.tags] == ["team"]


def test_an_alias_that_is_set_again_moves() -> None:
    name = with_versions(2)
    point(name, "champion", 1)
    point(name, "champion", 2)
    assert (follow(name, "champion"), shown(name)) == (2, {"champion": 2})


def test_an_alias_set_to_where_it_is_leaves_no_event() -> None:
    name = with_versions(1)
    point(name, "champion", 1)
    count = select(func.count(AuditEvent.id))
    before = db.session.scalar(count)
    point(name, "champion", 1)
    assert db.session.scalar(count) == before


def test_aliases_that_differ_in_letter_case_are_two() -> None:
    name = with_versions(2)
    point(name, "champion", 1)
    point(name, "Champion", 2)
    assert shown(name) == {"Champion": 2, "champion": 1}
    assert (follow(name, "champion"), follow(name, "Champion")) == (1, 2)
    with pytest.raises(AliasNotFound):
        follow(name, "CHAMPION")


def test_an_alias_belongs_to_one_model() -> None:
    name, other = with_versions(2), with_versions(2)
    point(name, "champion", 1)
    point(other, "champion", 2)
    act(lambda s: aliases.unset(s, OPERATOR, other, "champion"))
    assert (shown(name), shown(other)) == ({"champion": 1}, {})


def test_an_unset_alias_leads_nowhere_and_others_stay() -> None:
    name = with_versions(1)
    point(name, "champion", 1)
    point(name, "candidate", 1)
    act(lambda s: aliases.unset(s, OPERATOR, name, "champion"))
    assert shown(name) == {"candidate": 1}
    with pytest.raises(AliasNotFound, match=r"^Registered model alias champion not found\.$"):
        follow(name, "champion")


@pytest.mark.parametrize("alias", ["never-set", "latest", "v1"])
def test_an_alias_that_is_not_there_may_be_unset(alias: str) -> None:
    name = with_versions(1)
    point(name, "champion", 1)
    act(lambda s: aliases.unset(s, OPERATOR, name, alias))
    assert shown(name) == {"champion": 1}


def test_aliases_move_no_time() -> None:
    name = with_versions(2)
    before = times(name)
    point(name, "champion", 1)
    point(name, "champion", 2)
    act(lambda s: aliases.unset(s, OPERATOR, name, "champion"))
    assert times(name) == before


def times(name: str) -> list[object]:
    detail = registered_models.get(db.session(), OPERATOR, name)
    return [detail.model.updated_at, *(version.updated_at for version in detail.latest_versions)]


@pytest.mark.parametrize("alias", ["latest", "Latest", "LATEST"])
def test_latest_is_the_highest_number_whatever_its_stage(alias: str) -> None:
    name = with_versions(1)
    make_version(name, stage=Stage.ARCHIVED)
    make_version(name, stage=Stage.PRODUCTION)
    assert follow(name, alias) == 3
    act(lambda s: model_versions.delete(s, OPERATOR, name, 3))
    assert follow(name, alias) == 2


REFUSED: list[Any] = [
    pytest.param("latest", 1, Invalid, "'latest' alias name (case insensitive) is reserved.", id="latest"),
    pytest.param("v1", 1, Invalid, "Version alias name 'v1' is reserved.", id="a version"),
    pytest.param("a b", 1, Invalid, "Invalid alias name: 'a b'. ", id="a space"),
    pytest.param("x" * 256, 1, Invalid, "exceeds the maximum length of 255 characters", id="256 characters"),
    pytest.param("champion", 3, VersionNotFound, "(name={name}, version=3) not found", id="a version not there"),
    pytest.param("champion", 0, VersionNotFound, "(name={name}, version=0) not found", id="version 0"),
    pytest.param("champion", 2**31, VersionNotFound, "not found", id="a version beyond all numbers"),
]


@pytest.mark.parametrize(("alias", "number", "kind", "message"), REFUSED)
def test_no_alias_is_set_for(alias: str, number: int, kind: type[RegistryError], message: str) -> None:
    name = with_versions(2)
    point(name, "champion", 1)
    refused = refusal_of(lambda s: aliases.set(s, OPERATOR, name, alias, number), kind)
    assert message.format(name=name) in refused.message
    assert shown(name) == {"champion": 1}


def test_who_asks_is_told_what_is_missing() -> None:
    unknown, bare = unique(), make_model()
    with pytest.raises(ModelNotFound, match=f"^Registered Model with name={unknown} not found$"):
        follow(unknown, "champion")
    with pytest.raises(ModelNotFound):
        follow(unknown, "latest")
    with pytest.raises(NoVersions, match=f"^Latest version not found for model {bare}.$"):
        follow(bare, "latest")
    with pytest.raises(AliasNotFound):
        follow(bare, "champion")
    with pytest.raises(Invalid):
        follow(bare, "a b")


def test_an_unknown_model_has_no_aliases_to_change() -> None:
    name = unique()
    refused = refusal_of(lambda s: aliases.set(s, OPERATOR, name, "champion", 1), VersionNotFound)
    assert refused.message == f"Model Version (name={name}, version=1) not found"
    refused = refusal_of(lambda s: aliases.unset(s, OPERATOR, name, "champion"), ModelNotFound)
    assert refused.message == f"Registered Model with name={name} not found"
