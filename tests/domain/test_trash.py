"""The trash: what comes back, how, and under which name; what is purged, what stays, and what is told of it later."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from bench.statements import counted
from registry.db import db, transaction
from registry.domain import (
    aliases,
    audit,
    comments,
    lookup,
    model_versions,
    references,
    registered_models,
    stages,
    tags,
    tenures,
    transitions,
    trash,
)
from registry.domain.access import OPERATOR, Principal
from registry.domain.audit import Question
from registry.errors import (
    AliasNotFound,
    AlreadyExists,
    Conflict,
    Invalid,
    ModelNotFound,
    NotInTrash,
    Purged,
    VersionNotFound,
)
from registry.tables import (
    Alias,
    AliasInterval,
    AuditEvent,
    Comment,
    ModelVersion,
    ModelVersionTag,
    NameInterval,
    RegisteredModel,
    RegisteredModelTag,
    StageInterval,
)
from registry.vocabulary import Action, Stage
from tests.factories import make_model, make_version, unique

pytestmark = pytest.mark.usefixtures("context")
NONE, STAGING, PRODUCTION, ARCHIVED = Stage


def furnished(**given: Any) -> str:
    """A model with four versions, one in each stage, and with tags, aliases and comments."""
    name = make_model(team="risk", **given)
    for stage in Stage:
        make_version(name, stage=stage, team="risk")
    with transaction(OPERATOR) as session:
        registered_models.describe(session, OPERATOR, name, "scores churn")
        aliases.set(session, OPERATOR, name, "champion", 3)
        aliases.set(session, OPERATOR, name, "challenger", 2)
        comments.create(session, OPERATOR, name, None, "on the model")
        comments.create(session, OPERATOR, name, 3, "on the version")
    return name


def id_of(name: str) -> int:
    """The id of the model that has this name, or had it last."""
    last = select(NameInterval.model_id).where(NameInterval.name == name).order_by(NameInterval.since.desc()).limit(1)
    return db.session.scalars(last).one()


def delete(name: str, number: int | None = None, **context: Any) -> int:
    with transaction(context.pop("who", OPERATOR), **context) as session:
        if number is None:
            registered_models.delete(session, OPERATOR, name)
        else:
            model_versions.delete(session, OPERATOR, name, number)
    return id_of(name)


def restore(model_id: int, number: int | None = None, name: str | None = None) -> None:
    with transaction(OPERATOR) as session:
        if number is None:
            trash.restore_model(session, OPERATOR, model_id, name=name)
        else:
            trash.restore_version(session, OPERATOR, model_id, number)


def purge(model_id: int, number: int | None = None) -> None:
    with transaction(OPERATOR, reason="asked to") as session:
        if number is None:
            trash.purge_model(session, OPERATOR, model_id)
        else:
            trash.purge_version(session, OPERATOR, model_id, number)


def log(name: str) -> list[audit.Entry]:
    return audit.search(db.session(), OPERATOR, Question(model=name), newest_first=False, limit=1000).items


def shown(name: str) -> tuple[Any, ...]:
    """All that is shown of a model, its versions included."""
    detail = registered_models.get(db.session(), OPERATOR, name)
    found = [
        (v.number, v.stage, v.source, v.description, [(t.key, t.value) for t in v.tags], [a.alias for a in v.aliases])
        for v in detail.latest_versions
    ]
    model = detail.model
    belongings = [(tag.key, tag.value) for tag in model.tags], [(alias.alias, alias.number) for alias in model.aliases]
    remarks = [comments.search(db.session(), OPERATOR, name, n, limit=9).items for n in (None, 3)]
    said = [[remark.comment.text for remark in page] for page in remarks]
    return model.description, belongings, found, said


def now() -> datetime:
    """The present, by the database's clock."""
    moment: datetime = db.session.scalars(select(func.clock_timestamp())).one()
    return moment


# Restoring a model.


def test_a_restored_model_is_as_it_was(session: Session) -> None:
    name = furnished()
    before, count = shown(name), len(log(name))
    restore(delete(name))
    assert shown(name) == before
    assert [entry.event.action for entry in log(name)[count:]] == [Action.MODEL_DELETE, Action.MODEL_RESTORE]
    assert references.resolve(session, OPERATOR, f"models:/{name}@champion").version.number == 3
    assert make_version(name) == 5


def test_it_comes_back_under_another_name(session: Session) -> None:
    name, other = furnished(), unique()
    before = shown(name)
    restore(delete(name), name=other)
    assert shown(other) == before
    with pytest.raises(ModelNotFound):
        lookup.find_model(session, name)
    [entry] = [entry for entry in log(other) if entry.event.action == Action.MODEL_RESTORE]
    assert entry.changes["name"] == [name, other]


def test_a_taken_name_is_said_so_and_what_to_do() -> None:
    name = furnished()
    model_id = delete(name)
    make_model(name=name)
    with pytest.raises(AlreadyExists, match="another name with 'name'"):
        restore(model_id)
    assert [found.model.id for found in in_trash() if found.model.id == model_id] == [model_id]
    restore(model_id, name=unique())


@pytest.mark.parametrize("name", ["a/b", "a:b", "", " ", "x" * 257, ".."])
def test_it_takes_no_name_that_no_model_may_have(name: str) -> None:
    model_id = delete(furnished())
    with pytest.raises(Invalid):
        restore(model_id, name=name)


def test_numbers_are_not_used_twice_across_two_models_of_one_name() -> None:
    name = make_model()
    assert [make_version(name) for _ in range(3)] == [1, 2, 3]
    first = delete(name)
    make_model(name=name)
    assert [make_version(name) for _ in range(2)] == [4, 5]
    second = delete(name)

    restore(first)
    assert make_version(name) == 6

    restore(second, name=name + "-old")
    assert make_version(name + "-old") == 6


def test_it_may_use_no_number_that_its_new_name_has_used() -> None:
    name, other = make_model(), make_model()
    make_version(name)
    for _ in range(4):
        make_version(other)
    delete(other)
    restore(delete(name), name=other)
    assert make_version(other) == 5


def test_a_model_that_is_there_cannot_be_restored(session: Session) -> None:
    name = make_model()
    with pytest.raises(NotInTrash, match="is not deleted"):
        restore(id_of(name))


@pytest.mark.parametrize("model_id", [0, -1, 2**62, 2**63, 10**30])
def test_what_never_was_is_not_in_the_trash(model_id: int) -> None:
    for act in (restore, purge):
        for number in (None, 1):
            with pytest.raises(NotInTrash):
                act(model_id, number)


# Restoring a version.


@pytest.mark.parametrize(("number", "back"), [(1, NONE), (2, ARCHIVED), (3, ARCHIVED), (4, ARCHIVED)])
def test_a_restored_version_is_not_promoted(session: Session, number: int, back: Stage) -> None:
    name = furnished()
    model_id = delete(name, number)
    count = len(log(name))

    restore(model_id, number)

    version = lookup.find_version(session, name, number)
    assert (version.stage, [(tag.key, tag.value) for tag in version.tags]) == (back, [("team", "risk")])
    assert version.aliases == []
    [entry] = log(name)[count:]
    assert entry.event.action == Action.VERSION_RESTORE
    was = list(Stage)[number - 1]
    assert entry.changes.get("stage") == (None if was == back else [was, back])
    first = transitions.search(session, OPERATOR, name, number, limit=1).items[0]
    assert (first.before, first.after) == (None, back)


def test_its_aliases_do_not_come_back(session: Session) -> None:
    name = furnished()
    restore(delete(name, 3), 3)
    with pytest.raises(AliasNotFound):
        aliases.get(session, OPERATOR, name, "champion")


def test_a_version_of_a_deleted_model_is_not_restored_by_itself(session: Session) -> None:
    name = furnished()
    delete(name, 2)
    model_id = delete(name)
    with pytest.raises(Conflict, match=f"Restore the model with id {model_id} first"):
        restore(model_id, 2)
    restore(model_id)
    with pytest.raises(VersionNotFound):
        lookup.find_version(session, name, 2)
    restore(model_id, 2)
    assert lookup.find_version(session, name, 2).stage == ARCHIVED


@pytest.mark.parametrize("number", [0, 1, 9, 2**31, 10**30])
def test_a_version_that_is_not_deleted_can_be_neither_restored_nor_purged(number: int) -> None:
    model_id = id_of(furnished())
    for act in (restore, purge):
        with pytest.raises(NotInTrash):
            act(model_id, number)


# Listing.


def in_trash(size: int = 7) -> list[trash.TrashedModel]:
    page = trash.models(db.session(), OPERATOR, limit=size)
    found = page.items
    while page.next_token:
        page = trash.models(db.session(), OPERATOR, limit=size, token=page.next_token)
        found += page.items
    return found


def versions_in_trash(size: int = 7) -> list[trash.TrashedVersion]:
    page = trash.versions(db.session(), OPERATOR, limit=size)
    found = page.items
    while page.next_token:
        page = trash.versions(db.session(), OPERATOR, limit=size, token=page.next_token)
        found += page.items
    return found


def test_the_list_tells_who_deleted_a_model_when_and_why(session: Session, steward: Principal) -> None:
    name = furnished()
    delete(name, 1)
    model_id = delete(name, who=steward, reason="no longer used")

    found = in_trash()

    [mine] = [one for one in found if one.model.id == model_id]
    assert mine.deleted_by is not None
    assert (mine.deleted_by.id, mine.deleted_by.name) == (steward.id, steward.name)
    assert (mine.model.name, mine.versions, mine.reason) == (name, 3, "no longer used")
    assert mine.model.deleted_at == log(name)[-1].at
    assert found[0] == mine
    assert [one.model.id for one in in_trash(1_000)] == [one.model.id for one in found]


def test_the_list_tells_who_deleted_a_version(session: Session, steward: Principal) -> None:
    name = furnished()
    model_id = delete(name, 3, who=steward, reason="wrong data")
    delete(name, 1)

    one, three = versions_in_trash()[:2]

    assert (one.version.number, one.deleted_by and one.deleted_by.id, one.reason) == (1, "operator", None)
    assert (three.version.number, three.name, three.version.stage) == (3, name, PRODUCTION)
    assert (three.deleted_by and three.deleted_by.name, three.reason) == (steward.name, "wrong data")
    delete(name)
    assert not [found for found in versions_in_trash() if found.version.model_id == model_id]


def test_what_came_back_or_is_purged_is_in_no_list() -> None:
    name = furnished()
    model_id = delete(name)
    restore(model_id)
    assert not [found for found in in_trash() if found.model.id == model_id]
    delete(name, 1)
    delete(name, 2)
    restore(model_id, 1)
    purge(model_id, 2)
    assert not [found for found in versions_in_trash() if found.version.model_id == model_id]
    delete(name)
    purge(model_id)
    assert not [found for found in in_trash() if found.model.id == model_id]


# Purging.


def rows_of(model_id: int) -> dict[str, int]:
    tables = (RegisteredModelTag, ModelVersion, ModelVersionTag, Alias, Comment)
    counts = {}
    for table in tables:
        question = select(func.count()).select_from(table).where(table.model_id == model_id)
        counts[table.__tablename__] = db.session.scalars(question).one()
    return counts


def test_a_purged_model_leaves_nothing_but_its_tombstone_and_the_log(session: Session) -> None:
    name = furnished()
    model_id = delete(name)
    count, before = len(log(name)), rows_of(model_id)

    purge(model_id)

    assert set(rows_of(model_id).values()) == {0}
    tombstone = session.get_one(RegisteredModel, model_id)
    assert (tombstone.name, tombstone.description, tombstone.last_number) == (name, None, 4)
    purged = log(name)[count:]
    assert len(purged) == sum(before.values()) + 1
    assert {entry.reason for entry in purged} == {"asked to"}
    assert len({entry.at for entry in purged}) == 1
    assert {entry.event.action for entry in purged} == {
        Action.COMMENT_DELETE,
        Action.ALIAS_UNSET,
        Action.VERSION_TAG_UNSET,
        Action.MODEL_TAG_UNSET,
        Action.VERSION_PURGE,
        Action.MODEL_PURGE,
    }
    last = purged[-1]
    assert (last.event.action, last.changes["description"]) == (Action.MODEL_PURGE, ["scores churn", None])
    [third] = [entry for entry in purged if entry.event.object == f"model:{model_id}/version:3"]
    assert third.changes["source"] == ["s3://bucket/model", None]


def test_a_purged_model_does_not_come_back_and_is_not_purged_again() -> None:
    model_id = delete(furnished())
    purge(model_id)
    for act in (restore, purge):
        with pytest.raises(NotInTrash):
            act(model_id)


def test_its_numbers_are_never_used_again() -> None:
    name = furnished()
    purge(delete(name))
    make_model(name=name)
    assert make_version(name) == 5


@pytest.mark.parametrize("table", [StageInterval, AliasInterval, NameInterval])
def test_no_interval_of_a_purged_model_stays_open(table: Any) -> None:
    name = furnished()
    model_id = delete(name)
    count = db.session.scalar(select(func.count()).select_from(table).where(table.model_id == model_id))
    purge(model_id)
    rows = db.session.execute(select(table.until, table.closed_seq).where(table.model_id == model_id)).all()
    assert len(rows) == count
    assert all(until is not None and seq is not None for until, seq in rows)


def test_what_is_not_in_the_trash_cannot_be_purged() -> None:
    name = furnished()
    with pytest.raises(NotInTrash, match="only what is in the trash"):
        purge(id_of(name))
    assert rows_of(id_of(name))["model_versions"] == 4


def test_a_purged_version_leaves_its_model_and_the_others(session: Session) -> None:
    name = furnished()
    model_id = delete(name, 3)
    purge(model_id, 3)
    assert [version.number for version in registered_models.get(session, OPERATOR, name).latest_versions] == [1, 2, 4]
    assert rows_of(model_id) == {
        "registered_model_tags": 1,
        "model_versions": 3,
        "model_version_tags": 3,
        "aliases": 1,
        "comments": 1,
    }
    with pytest.raises(VersionNotFound):
        lookup.find_version(session, name, 3)
    with pytest.raises(NotInTrash):
        restore(model_id, 3)
    assert make_version(name) == 5
    assert log(name)[-2].event.action == Action.VERSION_PURGE


def test_history_and_holders_go_on_telling_where_a_purged_version_stood(session: Session) -> None:
    name = furnished()
    then = now()
    purge(delete(name, 3), 3)
    [tenure] = tenures.history(session, OPERATOR, name, PRODUCTION, limit=9).items
    assert (tenure.number, tenure.until is None) == (3, False)
    holders = tenures.holders(session, OPERATOR, name, PRODUCTION, then)
    assert tenure in [replace(holder, event=None) for holder in holders]  # only the past says by which event
    moves = transitions.search(session, OPERATOR, name, 3, limit=9).items
    assert [(move.before, move.after) for move in moves] == [
        (None, None),
        (PRODUCTION, None),
        (NONE, PRODUCTION),
        (None, NONE),
    ]


@pytest.mark.parametrize("uri", ["{name}/Production", "{name}/3", "{name}@champion"])
@pytest.mark.parametrize("whole", [True, False], ids=["the model", "the version"])
def test_a_moment_that_leads_to_a_purged_version_says_that_it_was_purged(
    session: Session, uri: str, whole: bool
) -> None:
    name = furnished()
    then = now()
    assert references.resolve(session, OPERATOR, "models:/" + uri.format(name=name), then).version.number == 3
    purge(delete(name), None) if whole else purge(delete(name, 3), 3)

    with pytest.raises(Purged, match=r"was purged.*The audit log still describes it"):
        references.resolve(session, OPERATOR, "models:/" + uri.format(name=name), then)

    assert log(name)


def test_now_a_purged_version_is_just_not_there(session: Session) -> None:
    name = furnished()
    purge(delete(name, 3), 3)
    with pytest.raises(VersionNotFound) as missing:
        references.resolve(session, OPERATOR, f"models:/{name}/3")
    assert not isinstance(missing.value, Purged)


def test_a_copy_of_a_purged_version_stays_whole(session: Session) -> None:
    name, copies = furnished(), make_model()
    make_version(copies, source=f"models:/{name}/3")
    purge(delete(name, 3), 3)
    copy = model_versions.get(session, OPERATOR, copies, 1)
    assert copy.source == f"models:/{name}/3"
    assert model_versions.download_uri(session, OPERATOR, copies, 1) == "s3://bucket/model"
    with pytest.raises(VersionNotFound):
        make_version(copies, source=f"models:/{name}/3")


def test_a_rollback_passes_over_a_purged_version(session: Session) -> None:
    name = make_model()
    for number in (1, 2, 3):
        make_version(name)
        with transaction(OPERATOR) as change:
            stages.transition(change, OPERATOR, name, number, PRODUCTION, archive_others=True)
    purge(delete(name, 2), 2)
    with transaction(OPERATOR) as change:
        assert stages.rollback(change, OPERATOR, name, PRODUCTION).number == 1


def test_what_is_done_to_others_meanwhile_waits_for_its_turn_and_finds_it_gone() -> None:
    name = furnished()
    model_id = delete(name)
    with transaction(OPERATOR) as session:
        trash.purge_model(session, OPERATOR, model_id)
        with pytest.raises(NotInTrash):
            trash.restore_model(session, OPERATOR, model_id)


# Cost.


def many_versions(count: int) -> str:
    """A model with many versions, made in one statement, each with a tag."""
    name = make_model()
    with transaction(OPERATOR) as session:
        session.execute(
            text(
                "INSERT INTO registry.model_versions (model_id, number, source, created_at, updated_at, created_by) "
                "SELECT :id, n, 's3://bucket/model', now(), now(), 'operator' FROM generate_series(1, :count) n"
            ),
            {"id": id_of(name), "count": count},
        )
    return name


def test_a_purge_takes_as_many_statements_for_many_versions_as_for_few(app: Flask) -> None:
    counts = []
    for count in (1, 300):
        model_id = delete(many_versions(count))
        with counted() as sent:
            purge(model_id)
        counts.append(len(sent))
        assert rows_of(model_id)["model_versions"] == 0
    assert counts[0] == counts[1] <= 10


def test_lists_take_as_many_statements_for_many_rows_as_for_few(app: Flask, session: Session) -> None:
    for _ in range(3):
        delete(furnished(), 1)
        delete(furnished())
    for ask in (trash.models, trash.versions):
        for size in (1, 1_000):
            with counted() as sent:
                ask(session, OPERATOR, limit=size)
            assert len(sent) <= 2


def test_every_row_that_goes_is_on_record() -> None:
    name = many_versions(200)
    model_id = delete(name)
    purge(model_id)
    mine = select(func.count()).where(AuditEvent.model_id == model_id, AuditEvent.action == Action.VERSION_PURGE)
    assert db.session.scalar(mine) == 200
    with transaction(OPERATOR) as session:  # a name that a tombstone keeps can be taken again
        tags.change(session, OPERATOR, make_model(name=name), None, {"k": "v"})
