"""Commands that register and label."""

import pytest

from registry.client import Client
from tests.cli.conftest import Run
from tests.factories import unique


def test_a_model_is_registered(run: Run, remote: Client) -> None:
    name = unique()

    ended = run("register", name, "--description", "Who leaves?", "--tag", "team=a=b", "--reason", "new product")

    assert ended.out == f"Registered the model {name}.\n"
    assert remote.get_model(name).tags == {"team": "a=b"}
    assert [event.reason for event in remote.events(name, action="registered_model.create")] == ["new product"]


def test_a_version_is_registered_with_all_that_is_known(run: Run, model: str, remote: Client) -> None:
    ended = run(
        *("register", model, "runs:/abc/model", "--run-id", "abc", "--run-link", "https://x", "--description", "third"),
        *("--digest", f"sha256:{'0' * 64}", "--tag", "a=1", "--tag", "b=2"),
    )

    assert ended.out == f"Registered {model} version 3.\n"
    made = remote.get_version(model, 3)
    assert (made.run_id, made.run_link, made.description) == ("abc", "https://x", "third")
    assert (made.digest, made.tags) == (f"sha256:{'0' * 64}", {"a": "1", "b": "2"})


def test_a_version_is_registered_into_a_stage(run: Run, model: str, remote: Client) -> None:
    how = ("--stage", "production", "--archive-existing", "--expected-current", 1)

    assert run("register", model, "s3://bucket/x", *how).out == f"Registered {model} version 3, in Production.\n"
    assert run("register", model, "s3://bucket/x", *how).code == 5
    assert [one.version for one in remote.holders(model, "Production")] == [3]


def test_a_model_is_made_too_only_if_that_is_said(run: Run, remote: Client) -> None:
    name = unique()
    assert run("register", name, "s3://bucket/x").code == 4

    assert run("register", name, "s3://bucket/x", "--create").err == f"Registered the model {name}.\n"
    assert run("register", name, "s3://bucket/x", "--create", "--json").json["version"] == 2


@pytest.mark.parametrize("on", [(), ("-v", 2)])
def test_tags_are_shown_set_and_removed(run: Run, model: str, on: tuple[str | int, ...]) -> None:
    run("tag", model, *on, "--unset", "auc")
    assert run("tag", model, *on).err == "No tags.\n"

    assert run("tag", model, *on, "b=2", "a=1").out == "KEY  VALUE\na    1\nb    2\n"
    assert run("tag", model, *on, "a=", "--unset", "b", "--json").json == {"a": ""}
    assert run("tag", model, *on, "--json").json == {"a": ""}


def test_aliases_are_set_shown_and_removed(run: Run, model: str) -> None:
    assert run("alias", model).err == "No aliases.\n"
    assert run("alias", model, "champion", 2).out == "ALIAS     VERSION\nchampion  2\n"
    assert run("alias", model, "champion").out == "2\n"
    assert run("alias", model, "champion", "--json").json == {"champion": 2}
    assert run("alias", model, "champion", "--unset", "--json").json == {}
    assert run("alias", model, "champion").code == 4


@pytest.mark.parametrize("on", [(), ("-v", 2)])
def test_comments_are_written_edited_and_deleted(run: Run, model: str, on: tuple[str | int, ...]) -> None:
    assert run("comment", model, *on).err == "No comments.\n"
    number = run("comment", model, "one", *on, "--json").json["id"]
    run("comment", model, "-", *on, typed="two\nlines\n")
    run("comment", model, "better", "--edit", number, *on)

    shown = run("comment", model, *on).out
    assert "   better\n" in shown
    assert "   two\n   lines\n" in shown

    run("comment", model, "--delete", number, *on)
    assert [one["text"] for one in run("comment", model, *on, "--json").json] == ["two\nlines"]
