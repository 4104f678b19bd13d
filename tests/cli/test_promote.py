"""Promotions and rollbacks from the command line: what they do, and what they say they did."""

import pytest

from registry.client import Client
from registry.vocabulary import Stage
from tests.cli.conftest import Run
from tests.client.proxy import Answer, misbehaving
from tests.live import Live


@pytest.mark.parametrize("word", ["production", "PRODUCTION", "Production"])
def test_a_promotion_keeps_others_unless_told_to_archive_them(run: Run, model: str, remote: Client, word: str) -> None:
    ended = run("promote", model, 2, "--to", word, "--reason", "better")

    assert ended.code == 0
    first, second = ended.out.splitlines()
    assert first == f"{model} version 2: None → Production"
    assert second.startswith("  also in Production: version 1, since 20")
    assert {one.version for one in remote.holders(model, "Production")} == {1, 2}
    assert remote.holders(model, "Production")[0].reason == "better"


def test_a_promotion_says_who_was_archived(run: Run, model: str, remote: Client) -> None:
    ended = run("promote", model, 2, "--to", "Production", "--archive-existing", "--expected-current", 1)

    assert ended.out == f"{model} version 2: None → Production\n  archived: version 1\n"
    assert remote.get_version(model, 1).stage == "Archived"


def test_who_was_archived_before_is_not_named_again(run: Run, model: str) -> None:
    run("promote", model, 2, "--to", "Production", "--archive-existing")
    run("register", model, "s3://models/3", "--stage", "archived")
    ended = run("promote", model, 2, "--to", "Staging", "--archive-existing")

    assert ended.out == f"{model} version 2: Production → Staging\n"


def test_who_goes_to_the_archive_is_not_said_to_have_made_way(run: Run, model: str) -> None:
    assert run("promote", model, 1, "--to", "archived").out == f"{model} version 1: Production → Archived\n"


def test_who_stands_there_already_stays(run: Run, model: str) -> None:
    assert f"{model} version 1 stands in Production already" in run("promote", model, 1, "--to", "Production").out


@pytest.mark.parametrize("archive", [True, False])
def test_a_dry_run_says_what_would_be_and_changes_nothing(
    run: Run, model: str, remote: Client, *, archive: bool
) -> None:
    before = [remote.get_version(model, number) for number in (1, 2)]
    how = "--archive-existing" if archive else "--keep-existing"

    ended = run("promote", model, 2, "--to", "Production", how, "--dry-run")

    first, second = ended.out.splitlines()
    assert first == f"{model} version 2 would go from None to Production."
    assert second.startswith("  version 1, there since 20")
    assert second.endswith("would be archived" if archive else "would stay in Production beside it")
    assert ended.err == "Nothing was changed.\n"
    assert [remote.get_version(model, number) for number in (1, 2)] == before


def test_a_dry_run_meets_the_same_refusal(run: Run, model: str) -> None:
    assert run("promote", model, 2, "--to", "Production", "--expected-current", 2, "--dry-run").code == 5


def test_none_expects_nobody(run: Run, model: str) -> None:
    assert run("promote", model, 2, "--to", "Staging", "--expected-current", "none").code == 0
    assert run("promote", model, 1, "--to", "Staging", "--expected-current", "NONE").code == 5


def test_json_is_what_the_service_answers(run: Run, model: str, remote: Client) -> None:
    ended = run("promote", model, 2, "--to", Stage.STAGING, "--json")

    assert ended.json == remote.get_version(model, 2).document


def test_a_rollback_goes_back_and_forth(run: Run, model: str, remote: Client) -> None:
    run("promote", model, 2, "--to", "Production", "--archive-existing")

    planned = run("rollback", model, "--dry-run")
    assert planned.out.splitlines()[0] == f"{model} version 1 would go from Archived to Production."
    assert planned.out.splitlines()[1].startswith("  version 2, there since 20")
    assert remote.get_version(model, 2).stage == "Production"

    back = run("rollback", model, "--reason", "it was worse", "--expected-current", 2)
    assert back.out == f"{model} version 1: Archived → Production\n  archived: version 2\n"
    assert remote.holders(model, "Production")[0].reason == "it was worse"

    assert run("rollback", model, "production", "--json").json["version"] == 2


def test_a_rollback_to_nobody_is_a_conflict(run: Run, model: str) -> None:
    assert run("rollback", model, "staging").code == 5


@pytest.mark.parametrize("words", [("promote", 2, "--to", "Staging"), ("rollback",)])
def test_a_move_that_is_made_is_a_success_whatever_happens_then(
    run: Run, live: Live, remote: Client, model: str, words: tuple[str | int, ...]
) -> None:
    remote.transition(model, 2, "Production", archive_existing=True)
    with misbehaving(live.service.port) as proxy:
        proxy.script += [None, Answer(500, "")]
        moved = run(words[0], model, *words[1:], "--url", proxy.url)

    assert moved.code == 0
    assert " now.\n" in moved.out
    assert moved.err.startswith("What else moved along with it cannot be shown: ")
