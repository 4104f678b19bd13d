"""Each call of the client against a running service."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from registry.client import Client, Conflict, Forbidden, NotFound, PreconditionFailed, Unauthenticated
from registry.vocabulary import Role
from tests.factories import unique
from tests.live import Live


@pytest.fixture
def model(remote: Client) -> str:
    """A model with two versions, both without a stage."""
    name = remote.register_model(unique(), description="Who leaves?", tags={"team": "retention"}).name
    for number in (1, 2):
        remote.register_version(name, f"s3://models/{number}", tags={"auc": f"0.{number}"})
    return name


def test_a_model_is_registered_read_described_renamed_and_deleted(remote: Client) -> None:
    made = remote.register_model(unique("Größe %"), description="first", tags={"a": "b"})
    assert remote.get_model(made.name) == made
    assert (made.description, made.tags, made.aliases, made.latest_versions) == ("first", {"a": "b"}, {}, ())

    assert remote.describe_model(made.name, None, reason="said too much").description is None
    renamed = remote.rename_model(made.name, unique("New"))
    assert renamed.id == made.id
    remote.delete_model(renamed.name, reason="100 %25 梯度, für alle")

    with pytest.raises(NotFound):
        remote.get_model(renamed.name)
    [deletion] = remote.events(renamed.name, action="registered_model.delete")
    assert deletion.reason == "100 %25 梯度, für alle"


def test_a_version_is_registered_read_described_and_deleted(remote: Client, model: str) -> None:
    made = remote.register_version(model, "s3://models/3", run_id="a" * 32, run_link="https://x", description="third")
    assert remote.get_version(model, 3) == made
    assert (made.version, made.stage, made.run_id, made.description) == (3, "None", "a" * 32, "third")

    assert remote.describe_version(model, 3, "better").description == "better"
    remote.delete_version(model, 3)

    with pytest.raises(NotFound):
        remote.get_version(model, 3)


def test_promotions_are_made_on_conditions_and_can_be_looked_up(remote: Client, model: str) -> None:
    first = remote.transition(model, 1, "Production", expected_current=None, reason="first release")
    assert first.stage == "Production"
    with pytest.raises(Conflict, match="is held by version 1") as refused:
        remote.transition(model, 2, "Production", expected_current=None)
    [holder] = refused.value.holders
    assert (holder.version, holder.since, holder.by.id) == (1, first.updated_at, remote.whoami().id)
    remote.transition(model, 2, "Production", expected_current=1, archive_existing=True)

    assert remote.get_version(model, 1).stage == "Archived"
    [now] = remote.holders(model, "Production")
    assert (now.version, now.until, now.ended_by) == (2, None, None)
    assert [tenure.version for tenure in remote.history(model, "Production")] == [2, 1]
    [then] = remote.holders(model, "Production", at=now.since - timedelta(microseconds=1))
    assert (then.version, then.reason) == (1, "first release")


def test_a_promotion_is_tried_out_taken_back_and_retold(remote: Client, model: str) -> None:
    remote.transition(model, 1, "Production")
    assert remote.transition(model, 2, "Production", archive_existing=True, dry_run=True).stage == "Production"
    assert remote.get_version(model, 2).stage == "None"
    remote.transition(model, 2, "Production", archive_existing=True)

    assert remote.rollback(model, expected_current=2, dry_run=True).version == 1
    assert remote.rollback(model, expected_current=2, reason="it was worse").version == 1

    moves = [(move.from_stage, move.to_stage, move.reason) for move in remote.transitions(model, 2)]
    assert moves == [("Production", "Archived", "it was worse"), ("None", "Production", None), (None, "None", None)]
    with pytest.raises(Conflict):
        remote.rollback(model, "Staging")


def test_a_version_is_registered_into_a_stage_or_not_at_all(remote: Client, model: str) -> None:
    made = remote.register_version(model, "s3://models/3", stage="Production", expected_current=None)
    with pytest.raises(Conflict):
        remote.register_version(model, "s3://models/4", stage="Production", expected_current=None)
    assert remote.register_version(model, "s3://models/4", digest=f"sha256:{'0' * 64}").version == 4

    assert made.stage == "Production"
    assert remote.resolve(f"models:/{model}/4").digest == f"sha256:{'0' * 64}"


def test_models_and_versions_are_searched_page_by_page(remote: Client, model: str) -> None:
    assert [one.name for one in remote.models(filter=f"name = '{model}'")] == [model]
    found = remote.versions(model, order_by=["version desc"], include_total=True, page_size=1)
    assert [one.version for one in found] == [2, 1]
    assert found.total == 2
    everywhere = remote.versions(filter=f"name = '{model}' AND tag.auc = '0.2'", text="0.2")
    assert [one.version for one in everywhere] == [2]
    assert list(remote.models(filter=f"name = '{model}'", prompts="only")) == []


def test_a_thing_is_changed_only_if_it_is_what_was_read(remote: Client, model: str) -> None:
    read_model, read_version = remote.get_model(model), remote.get_version(model, 1)
    changed = remote.describe_model(model, "by somebody else")
    remote.describe_version(model, 1, "by somebody else")

    with pytest.raises(PreconditionFailed):
        remote.describe_model(model, "mine", if_match=read_model.etag)
    with pytest.raises(PreconditionFailed):
        remote.describe_version(model, 1, "mine", if_match=read_version.etag)
    with pytest.raises(PreconditionFailed):
        remote.delete_version(model, 1, if_match=read_version.etag)
    assert remote.describe_model(model, "mine", if_match=changed.etag).description == "mine"


def test_a_uri_leads_to_a_version_now_and_at_a_moment(remote: Client, model: str) -> None:
    remote.transition(model, 1, "Production")
    uri = f"models:/{model}/Production"
    found = remote.resolve(uri)
    assert (found.version, found.download_uri, found.by.id) == (1, "s3://models/1", remote.whoami().id)

    remote.transition(model, 2, "Production", archive_existing=True)

    assert remote.resolve(uri).version == 2
    assert remote.resolve(uri, at=found.since).version == 1
    with pytest.raises(NotFound):
        remote.resolve(uri, at=datetime(2000, 1, 1, tzinfo=UTC))


def test_a_time_without_a_zone_is_refused_before_it_is_sent(remote: Client, model: str) -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        remote.resolve(f"models:/{model}/1", at=datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize("version", [None, 2])
def test_tags_are_set_and_removed_together(remote: Client, model: str, version: int | None) -> None:
    before = remote.tags(model, version)
    after = remote.set_tags(model, {"a/b c": "1", "x.y": "2", "ü": "%2F"} | dict.fromkeys(before), version)
    assert after == remote.tags(model, version) == {"a/b c": "1", "x.y": "2", "ü": "%2F"}

    remote.set_tag(model, "a/b c", "", version)
    remote.unset_tag(model, "x.y", version)
    remote.unset_tag(model, "never was", version)

    assert remote.tags(model, version) == {"a/b c": "", "ü": "%2F"}


def test_aliases_move_and_go(remote: Client, model: str) -> None:
    remote.set_alias(model, "champion", 1)
    remote.set_alias(model, "champion", 2)
    assert remote.aliases(model) == {"champion": 2}
    assert remote.get_alias(model, "champion") == 2
    assert remote.get_version(model, 2).aliases == ("champion",)

    remote.unset_alias(model, "champion")
    remote.unset_alias(model, "champion")

    with pytest.raises(NotFound):
        remote.get_alias(model, "champion")


@pytest.mark.parametrize("version", [None, 2])
def test_comments_are_written_edited_and_deleted(remote: Client, model: str, version: int | None) -> None:
    one = remote.comment(model, "Looks good.", version)
    remote.comment(model, "I agree.", version)
    edited = remote.edit_comment(model, one.id, "Looks very good.", version)
    assert (edited.text, edited.author_name) == ("Looks very good.", remote.whoami().name)

    remote.delete_comment(model, one.id, version)

    assert [comment.text for comment in remote.comments(model, version)] == ["I agree."]


def test_the_log_is_read_page_by_page(remote: Client, model: str) -> None:
    every = [event.action for event in remote.events(model, order="oldest", page_size=1)]

    assert every[0] == "registered_model.create"
    assert every.count("model_version.create") == 2
    [event] = remote.events(model, 2, action="model_version.create", actor=remote.whoami().name)
    assert json.loads(event.line or "")["action"] == event.action
    assert list(remote.events(model, since=event.at + timedelta(days=1))) == []


def test_it_says_whom_the_service_takes_us_for(live: Live) -> None:
    with live.client(Role.VIEWER) as viewer:
        assert viewer.whoami().role == "viewer"
        with pytest.raises(Forbidden):
            viewer.register_model(unique())


def test_a_watch_tells_of_changes_only(remote: Client, model: str) -> None:
    remote.transition(model, 1, "Production")
    watch = remote.watch(f"models:/{model}/Production", every=0.01)
    first = watch.poll()
    assert first is not None
    assert first.version == 1
    assert watch.poll() is None

    remote.transition(model, 2, "Production", archive_existing=True)

    changed = next(iter(watch))
    assert changed.version == 2
    assert watch.current == changed


def test_a_watch_of_what_is_not_there_says_so(remote: Client, model: str) -> None:
    with pytest.raises(NotFound):
        next(iter(remote.watch(f"models:/{model}/Production")))


def test_tokens_are_made_used_listed_and_revoked(live: Live, remote: Client) -> None:
    name, until = unique("robot"), datetime.now(UTC) + timedelta(days=1)
    made = remote.create_token(name, "contributor", description="for a test", expires_at=until)
    with Client(live.url, made.secret) as robot:
        assert robot.whoami().name == name
        known = remote.get_token(made.id)
        assert (known.name, known.role, known.description, known.expires_at) == (
            name,
            "contributor",
            "for a test",
            until,
        )
        assert made.id in {token.id for token in remote.tokens(page_size=1000)}
        remote.revoke_token(made.id)
        remote.revoke_token(made.id)
        with pytest.raises(Unauthenticated):
            robot.whoami()
    with pytest.raises(NotFound):
        remote.get_token(2**40)


def test_what_was_deleted_is_found_restored_and_purged(remote: Client, model: str) -> None:
    remote.delete_version(model, 2, reason="by mistake")
    trashed = next(one for one in remote.trashed_versions() if one.name == model)
    assert (trashed.version, trashed.stage, trashed.reason) == (2, "None", "by mistake")
    assert remote.restore_version(trashed.model_id, 2, reason="it was needed").version == 2

    remote.delete_model(model, reason="no product any more")
    gone = next(one for one in remote.trashed_models() if one.name == model)
    assert (gone.versions, gone.reason) == (2, "no product any more")
    assert gone.deleted_by is not None
    assert gone.deleted_by.id == remote.whoami().id
    remote.register_model(model)
    with pytest.raises(Conflict):
        remote.restore_model(gone.id)
    back = remote.restore_model(gone.id, name=unique("Back"))
    assert back.id == gone.id

    remote.delete_version(back.name, 2)
    remote.purge_version(back.id, 2, reason="kept too long")
    remote.delete_model(back.name)
    remote.purge_model(back.id)
    assert gone.id not in {one.id for one in remote.trashed_models(page_size=1000)}
    with pytest.raises(NotFound):
        remote.restore_model(gone.id)


def test_the_receipts_of_the_last_change_are_kept_for_each_thread(remote: Client, model: str) -> None:
    remote.set_tag(model, "team", "risk")
    [receipt] = remote.last_receipts
    remote.get_model(model)
    assert remote.last_receipts == (receipt,)
    event = next(remote.events(model))
    assert receipt == f"{event.stream}/{event.seq}/{event.hash}"
    remote.transition(model, 1, "None")
    assert not remote.last_receipts


def test_a_log_that_nobody_seals_has_no_checkpoint_and_nothing_to_follow(remote: Client, model: str) -> None:
    with pytest.raises(NotFound, match="No checkpoint"):
        remote.checkpoint()
    assert remote.follow(-1, model) == ([], -1)
    with pytest.raises(Conflict, match="The log ends at position -1"):
        remote.follow(5)
    assert next(remote.events(model)).position is None
