"""Commands that only look: tables for people, JSON for programs, silence on standard output where there is nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from registry.client import Client
from tests.cli.conftest import Run
from tests.factories import unique


def test_a_model_is_shown(run: Run, model: str, remote: Client) -> None:
    run("tag", model, "team=retention")

    shown = run("models", model).out

    assert shown.startswith(f"{model}\n")
    assert "team=retention" in shown
    assert "newest in Production  version 1" in shown
    assert run("models", model, "--json").json == remote.get_model(model).document


def test_models_are_listed_with_who_stands_where(run: Run, model: str) -> None:
    [header, line] = run("models", "--filter", f"name = '{model}'").out.splitlines()

    assert header.split() == ["NAME", "PRODUCTION", "STAGING", "NEWEST", "UPDATED", "(UTC)", "DESCRIPTION"]
    assert line.split()[:4] == [model, "1", "-", "2"]


def test_versions_are_listed_and_shown(run: Run, model: str, remote: Client) -> None:
    lines = run("versions", model, "--order-by", "version").out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["1", "Production"], ["2", "None"]]
    assert [one["version"] for one in run("versions", model, "--json", "--order-by", "version desc").json] == [2, 1]

    assert "s3://models/2" in run("versions", model, 2).out
    assert run("versions", model, 2, "--json").json == remote.get_version(model, 2).document


def test_what_is_left_out_is_said(run: Run, model: str) -> None:
    ended = run("versions", model, "--limit", 1, "--json")

    assert len(ended.json) == 1
    assert ended.err == "There are more; --limit 0 shows all.\n"
    assert run("versions", model, "--limit", 2).err == ""
    assert len(run("versions", model, "--limit", 0, "--json").json) == 2


def test_nothing_is_said_on_standard_error(run: Run) -> None:
    nothing = "name = 'nobody has this name'"
    ended = run("models", "--filter", nothing)
    assert (ended.code, ended.out, ended.err) == (0, "", "No models.\n")
    assert run("search", "--versions", "--filter", nothing).err == "No versions.\n"
    assert run("models", "--filter", nothing, "--json").json == []


def test_a_search_finds_models_and_versions_by_words_and_filters(run: Run, model: str) -> None:
    word = unique("word").replace("-", "")
    run("comment", model, f"about {word}")

    assert [one["name"] for one in run("search", word, "--json").json] == [model]
    found = run("search", "--versions", "--filter", f"name = '{model}' AND stage = 'Production'")
    assert found.out.splitlines()[1].split()[:3] == [model, "1", "Production"]


@pytest.mark.parametrize("scheme", ["models:/", ""])
def test_a_uri_is_resolved_now_and_at_a_moment(run: Run, model: str, remote: Client, scheme: str) -> None:
    uri = f"{scheme}{model}/Production"
    since = remote.holders(model, "Production")[0].since
    run("promote", model, 2, "--to", "Production", "--archive-existing")

    assert run("resolve", uri).out.startswith(f"{model} version 2\n")
    assert run("resolve", uri, "--at", since.isoformat()).out.startswith(f"{model} version 1\n")
    assert run("resolve", uri, "--at", "1d").code == 4
    assert run("resolve", uri, "--json").json["version"] == 2


def test_a_moment_without_offset_is_in_utc(run: Run, model: str) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)

    assert run("resolve", f"{model}/1", "--at", f"{soon:%Y-%m-%d %H:%M}").code == 0
    assert run("resolve", f"{model}/1", "--at", f"{soon - timedelta(hours=2):%Y-%m-%dT%H:%M}").code == 4


def test_history_tells_of_one_stage_or_of_all(run: Run, model: str) -> None:
    run("promote", model, 2, "--to", "Production", "--archive-existing", "--reason", "better")

    lines = run("history", model, "production").out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["Production", "2"], ["Production", "1"]]
    assert lines[1].endswith("better")
    assert "first release" in lines[2]

    every = run("history", model, "--json").json
    assert sorted(one["stage"] for one in every) == ["Archived", "None", "Production", "Production"]
    assert [one["since"] for one in every] == sorted((one["since"] for one in every), reverse=True)
    assert run("history", model, "--limit", 1).err == "These are the latest 1; --limit 0 shows all.\n"
    assert run("history", model, "Staging").err == f"No version of {model} ever stood there.\n"


def test_a_diff_shows_only_what_differs(run: Run, model: str) -> None:
    run("alias", model, "champion", 1)
    run("tag", model, "-v", 1, "same=x", "only=here")
    run("tag", model, "-v", 2, "same=x")

    found = run("diff", model, 1, 2, "--json").json

    del found["created_at"]
    assert found == {
        "stage": ["Production", "None"],
        "source": ["s3://models/1", "s3://models/2"],
        "description": [None, "better"],
        "aliases": ["champion", None],
        "tag.auc": ["0.1", "0.2"],
        "tag.only": ["here", None],
    }
    assert run("diff", model, 1, 2).out.splitlines()[0].split() == ["FIELD", "VERSION", "1", "VERSION", "2"]
    assert run("diff", model, 1, 1).err == "They do not differ.\n"


def test_it_says_whom_it_speaks_for(run: Run) -> None:
    assert run("whoami", "--json").json["role"] == "administrator"
