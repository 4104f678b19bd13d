"""How commands end: one code for each kind of outcome, one or two lines for people, never a traceback."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from registry.vocabulary import Role
from tests.cli.conftest import Run
from tests.cli.running import ROOT, environment, free_port
from tests.client.proxy import Answer, misbehaving
from tests.factories import unique
from tests.live import Live


def test_done_is_0(run: Run) -> None:
    assert run("whoami").code == 0


def test_a_fault_of_the_service_is_1(run: Run, live: Live) -> None:
    fault = {"type": "urn:model-registry:problem:internal-server-error", "detail": "A fault.", "request_id": "r-1"}
    with misbehaving(live.service.port) as proxy:
        proxy.script.append(Answer(500, json.dumps(fault)))
        ended = run("whoami", "--url", proxy.url)

    assert (ended.code, ended.err) == (1, "Error: A fault.\n(request r-1)\n")


def test_what_is_no_registry_is_1(run: Run, live: Live) -> None:
    with misbehaving(live.service.port) as proxy:
        proxy.script.append(Answer(200, "<html>"))
        ended = run("whoami", "--url", proxy.url)

    assert (ended.code, ended.err) == (1, f"Error: {proxy.url} does not answer in JSON: is it a registry?\n")


@pytest.mark.parametrize(
    "words",
    [
        ("promote", "Churn"),
        ("promote", "Churn", "1"),
        ("promote", "Churn", "one", "--to", "Production"),
        ("promote", "Churn", "0", "--to", "Production"),
        ("promote", "Churn", "1", "--to", "Prod"),
        ("promote", "Churn", "1", "--to", "Production", "--expected-current", "nobody"),
        ("register", "Churn", "--run-id", "r"),
        ("register", "Churn", "s3://x", "--tag", "no-value"),
        ("resolve", "Churn/1", "--at", "yesterday-ish"),
        ("resolve", "Churn/1", "--at", "999999w"),
        ("alias", "Churn", "champion", "1", "--unset"),
        ("alias", "Churn", "--unset"),
        ("comment", "Churn", "--edit", "1"),
        ("comment", "Churn", "text", "--delete", "1"),
        ("audit", "--output", "file"),
        ("audit", "--follow", "--until", "1h"),
        ("audit", "--export", "csv", "--json"),
        ("audit", "--action", "model.explode"),
        ("models", "--url", "registry.example:80"),
        ("models", "--url", "http://any:hush@registry.example"),
        ("login", "http://any:hush@registry.example"),
        ("token", "list", "--url", "http://x", "--database"),
        ("promotion",),
    ],
)
def test_wrong_use_is_2(run: Run, words: tuple[str, ...]) -> None:
    ended = run(*words)

    assert ended.code == 2
    assert ended.err.startswith("Usage: registry")
    assert "hush" not in ended.err


def test_an_argument_that_is_no_text_is_2(live: Live) -> None:
    with started(live, "models", os.fsdecode(b"\xff")) as process:
        _, said = process.communicate(timeout=30)

    assert (process.returncode, said) == (2, "Error: Some of what was given is not text in UTF-8.\n")


def test_a_token_file_that_is_not_there_is_2(run: Run) -> None:
    ended = run("whoami", REGISTRY_TOKEN="", REGISTRY_TOKEN_FILE="/no/file")

    assert ended.code == 2
    assert "REGISTRY_TOKEN_FILE=/no/file cannot be read" in ended.err


def test_bad_input_is_3(run: Run) -> None:
    assert run("register", "a/b").code == 3


def test_not_authenticated_is_3(run: Run) -> None:
    ended = run("whoami", REGISTRY_TOKEN="wrong")

    assert ended.code == 3
    assert ended.err.startswith("Error: The token is unknown, has expired or was revoked.\n(request ")


def test_not_allowed_is_3(run: Run, live: Live) -> None:
    assert run("register", unique(), REGISTRY_TOKEN=live.tokens[Role.VIEWER]).code == 3


def test_not_found_is_4(run: Run, model: str) -> None:
    assert run("versions", model, 99).code == 4
    assert run("models", unique()).code == 4
    assert run("resolve", f"{model}/Staging").code == 4


def test_a_stage_held_by_another_is_5_and_says_by_whom(run: Run, model: str) -> None:
    ended = run("promote", model, 2, "--to", "Production", "--expected-current", "none")

    assert ended.code == 5
    assert "is held by version 1 (since " in ended.err
    assert ended.err.count("\n") == 2


def test_a_taken_name_is_5(run: Run, model: str) -> None:
    assert run("register", model).code == 5


def test_no_answer_is_6(run: Run) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    ended = run("models", "--url", url)

    assert (ended.code, ended.err) == (6, f"Error: {url} does not answer: connection refused.\n")


def test_a_service_that_stays_busy_is_6(run: Run, live: Live) -> None:
    with misbehaving(live.service.port) as proxy:
        proxy.script += [Answer(503)] * 4
        ended = run("whoami", "--url", proxy.url)

    assert ended.code == 6
    assert len(proxy.seen) == 4


def started(live: Live, *words: str) -> subprocess.Popen[str]:
    """A command in a process of its own, in a group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "registry", *words],
        env=environment(REGISTRY_URL=live.url, REGISTRY_TOKEN=live.token),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_ctrl_c_is_130_and_silent(live: Live, model: str) -> None:
    with started(live, "audit", model, "--follow") as process:
        assert process.stdout is not None
        process.stdout.readline()  # it is following now
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)

    assert process.returncode == 130
    assert said.strip() == ""


def test_a_closed_pipe_is_silent(live: Live, model: str) -> None:
    with started(live, "audit", model, "--follow", "--json", "--every", "0.1") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        with live.client() as client:
            for _ in range(3):
                client.comment(model, "something new")
        assert process.wait(30) == 141
        assert process.stderr is not None
        assert process.stderr.read() == ""
