"""The invariants again, over HTTP and with real gunicorn workers: several processes, one database."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.factories import unique
from tests.mlflow.servers import environment, free_port, process

ROOT = Path(__file__).parent.parent
TOKEN = "a-token-for-processes-0123456789"
MLFLOW = "/api/2.0/mlflow/"
Answer = TypeVar("Answer")


@pytest.fixture(scope="module")
def port(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A service of three workers."""
    port = free_port()
    env = service_environment(database_url, port)
    ready = f"http://127.0.0.1:{port}/readyz"
    command = [sys.executable, "-m", "registry", "serve"]
    with process(command, tmp_path_factory.mktemp("service"), ready, env, name="registry"):
        yield port


def service_environment(database_url: str, port: int) -> dict[str, str]:
    return environment(
        REGISTRY_DATABASE_URL=database_url,
        REGISTRY_PORT=str(port),
        REGISTRY_ADMIN_TOKEN=TOKEN,
        REGISTRY_WORKERS="3",
        PYTHONPATH=str(ROOT),
    )


def send(port: int, verb: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
    """One request on a connection of its own, so that any worker may get it."""
    status, answer = send_raw(port, verb, path, body, headers)
    return status, json.loads(answer or b"{}")


def send_raw(port: int, verb: str, path: str, body: object, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """One request, and the bytes of its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        given = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", **headers}
        connection.request(verb, path, None if body is None else json.dumps(body), given)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def at_once(jobs: list[Callable[[], Answer]]) -> list[Answer]:
    together = threading.Barrier(len(jobs))

    def run(job: Callable[[], Answer]) -> Answer:
        together.wait(20)
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def create_model(port: int) -> str:
    name = unique()
    assert send(port, "POST", MLFLOW + "registered-models/create", {"name": name})[0] == 200
    return name


def create_version(port: int, name: str) -> tuple[int, Any]:
    return send(port, "POST", MLFLOW + "model-versions/create", {"name": name, "source": "s3://b/k"})


def promote(port: int, name: str, number: int) -> tuple[int, Any]:
    body = {"name": name, "version": str(number), "stage": "Production", "archive_existing_versions": True}
    return send(port, "POST", MLFLOW + "model-versions/transition-stage", body)


def test_64_creations_give_64_consecutive_numbers(port: int) -> None:
    name = create_model(port)
    answers = at_once([lambda: create_version(port, name)] * 64)
    assert {status for status, _ in answers} == {200}
    numbers = sorted(int(answer["model_version"]["version"]) for _, answer in answers)
    assert numbers == list(range(1, 65))


@pytest.mark.parametrize("competitors", [2, 3, 8, 20])
def test_promotions_leave_one_production(port: int, competitors: int) -> None:
    name = create_model(port)
    for _ in range(competitors):
        create_version(port, name)
    answers = at_once([lambda n=n: promote(port, name, n) for n in range(1, competitors + 1)])  # type: ignore[misc]
    assert {status for status, _ in answers} == {200}
    holders = send(port, "GET", f"/api/v1/models/{name}/stages/Production")[1]["items"]
    last = send(port, "GET", f"/api/v1/models/{name}/audit?action=model_version.transition&limit=1")[1]["items"]
    assert [holder["version"] for holder in holders] == [last[0]["version"]]


@pytest.mark.parametrize("face", ["rest", "mlflow"])
def test_200_requests_under_one_key_make_one_version_and_get_one_answer(port: int, face: str) -> None:
    name, key = create_model(port), unique("key")
    path, body = f"/api/v1/models/{name}/versions", {"source": "s3://b/k"}
    if face == "mlflow":
        path, body = MLFLOW + "model-versions/create", body | {"name": name}

    def keep_asking() -> tuple[int, bytes]:
        for _ in range(200):
            status, answer = send_raw(port, "POST", path, body, {"Idempotency-Key": key})
            if status != 409:
                return status, answer
            threading.Event().wait(0.02)
        raise AssertionError("under way for ever")

    answers = [answer for _ in range(10) for answer in at_once([keep_asking] * 20)]
    assert len(answers) == 200
    [(status, _)] = set(answers)
    assert status in {200, 201}
    created = send(port, "GET", f"/api/v1/models/{name}/audit?action=model_version.create")[1]["items"]
    assert [event["version"] for event in created] == [1]


@pytest.mark.parametrize("rivals", [2, 12])
def test_of_changes_to_the_same_state_one_is_made(port: int, rivals: int) -> None:
    path = f"/api/v1/models/{create_model(port)}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
    tag = connection.getresponse().headers["ETag"]
    connection.close()

    def describe(words: str) -> tuple[int, Any]:
        return send(port, "PATCH", path, {"description": words}, **{"If-Match": tag})

    answers = at_once([lambda n=n: describe(str(n)) for n in range(rivals)])  # type: ignore[misc]
    assert sorted(status for status, _ in answers) == [200] + [412] * (rivals - 1)
    [won] = [answer["description"] for status, answer in answers if status == 200]
    assert send(port, "GET", path)[1]["description"] == won


# The same over our own face, and what only it can do.


def create_model_v1(port: int, versions: int = 0) -> str:
    name = unique()
    assert send(port, "POST", "/api/v1/models", {"name": name})[0] == 201
    for _ in range(versions):
        assert send(port, "POST", f"/api/v1/models/{name}/versions", {"source": "s3://b/k"})[0] == 201
    return name


def transition(port: int, name: str, number: int, **body: object) -> tuple[int, Any]:
    body = {"to": "Production", "archive_existing": True} | body
    return send(port, "POST", f"/api/v1/models/{name}/versions/{number}/transitions", body)


def holders(port: int, name: str) -> list[int]:
    found = send(port, "GET", f"/api/v1/models/{name}/stages/Production")[1]["items"]
    return [holder["version"] for holder in found]


def test_64_creations_over_v1_give_64_consecutive_numbers(port: int) -> None:
    name = create_model_v1(port)
    path = f"/api/v1/models/{name}/versions"
    answers = at_once([lambda: send(port, "POST", path, {"source": "s3://b/k"})] * 64)
    assert {status for status, _ in answers} == {201}
    assert sorted(answer["version"] for _, answer in answers) == list(range(1, 65))


@pytest.mark.parametrize("competitors", [2, 3, 8, 20])
def test_promotions_over_v1_leave_one_production(port: int, competitors: int) -> None:
    name = create_model_v1(port, competitors)
    answers = at_once([lambda n=n: transition(port, name, n) for n in range(1, competitors + 1)])  # type: ignore[misc]
    assert {status for status, _ in answers} == {200}
    last = send(port, "GET", f"/api/v1/models/{name}/stages/Production/history?limit=1")[1]["items"]
    assert holders(port, name) == [last[0]["version"]]


@pytest.mark.parametrize("current", [None, 21], ids=["empty stage", "held stage"])
def test_of_20_who_expect_the_same_holder_one_wins_and_the_others_are_told_who(port: int, current: int | None) -> None:
    name = create_model_v1(port, 21)
    if current is not None:
        transition(port, name, current)

    def promotion(number: int) -> Callable[[], tuple[int, Any]]:
        return lambda: transition(port, name, number, expected_current=current)

    answers = at_once([promotion(number) for number in range(1, 21)])

    [winner] = [answer["version"] for status, answer in answers if status == 200]
    refused = [answer for status, answer in answers if status == 409]
    assert len(refused) == 19
    assert {holder["version"] for answer in refused for holder in answer["holders"]} == {winner}
    assert all(f"is held by version {winner} (since " in answer["detail"] for answer in refused)
    assert holders(port, name) == [winner]


def test_parallel_rollbacks_take_turns(port: int) -> None:
    name = create_model_v1(port, 2)
    for number in (1, 2):
        transition(port, name, number)
    answers = at_once([lambda: send(port, "POST", f"/api/v1/models/{name}/stages/Production/rollback", {})] * 9)
    assert {status for status, _ in answers} == {200}
    assert sorted(answer["version"] for _, answer in answers) == [1] * 5 + [2] * 4
    assert holders(port, name) == [1]


def test_of_parallel_rollbacks_from_one_holder_one_wins(port: int) -> None:
    name = create_model_v1(port, 2)
    for number in (1, 2):
        transition(port, name, number)
    path = f"/api/v1/models/{name}/stages/Production/rollback"
    answers = at_once([lambda: send(port, "POST", path, {"expected_current": 2})] * 20)
    assert sorted(status for status, _ in answers) == [200] + [409] * 19
    assert holders(port, name) == [1]


def test_a_stop_under_load_finishes_what_was_begun(database_url: str, tmp_path: Path) -> None:
    port = free_port()
    running = subprocess.Popen(
        [sys.executable, "-m", "registry", "serve"],
        env=service_environment(database_url, port),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    try:
        wait_until_listening(port)
        name = create_model(port)
        acknowledged: list[int] = []
        broken: list[object] = []

        def keep_creating() -> None:
            while True:
                try:
                    status, answer = create_version(port, name)
                except ConnectionRefusedError:
                    return  # it has stopped listening: nothing was sent
                except (OSError, http.client.HTTPException, ValueError) as error:
                    broken.append(error)
                    return
                if status != 200:
                    broken.append(answer)
                acknowledged.append(int(answer["model_version"]["version"]))
                if len(acknowledged) == 40:
                    os.kill(running.pid, signal.SIGTERM)

        workers = [threading.Thread(target=keep_creating) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        assert running.wait(30) == 0
    finally:
        running.kill()
        running.wait()
    assert not broken
    assert len(set(acknowledged)) == len(acknowledged) >= 40


def wait_until_listening(port: int) -> None:
    for _ in range(200):
        try:
            if send(port, "GET", "/readyz")[0] == 200:
                return
        except OSError:
            threading.Event().wait(0.1)
    raise AssertionError("the service does not come up")
