"""`registry serve` in a process of its own: what it starts, says, refuses, logs, and leaves behind."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from registry import embedded
from registry.door import KNOWN_HERE
from registry.ownership import APP
from tests.cli.running import Service, environment, free_port, registry, service, starting
from tests.conftest import as_role
from tests.factories import unique

TOKEN = "a-token-for-these-tests-0123456789"
SECRET = re.compile(r"mreg_[0-9a-f]{40}")
GUNICORN = ("-m", "gunicorn", "-c", "python:registry.gunicorn_conf", "registry.app:create_app()")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that root's substitute can reach."""
    directory = Path(tempfile.mkdtemp(prefix="registry-test-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def running(tmp_path: Path, database_url: str) -> Iterator[Service]:
    """A service on the database that tests share, in the role that owns nothing there."""
    with service(tmp_path, REGISTRY_DATABASE_URL=as_role(database_url, APP), REGISTRY_ADMIN_TOKEN=TOKEN) as started:
        yield started


def postgres_in(place: Path) -> list[int]:
    """The servers whose files are somewhere below."""
    return [
        process.pid
        for process in psutil.process_iter(["name", "cwd"])
        if process.info["name"] == "postgres" and str(process.info["cwd"]).startswith(str(place))
    ]


def test_the_first_start_makes_everything_and_prints_the_token_once(place: Path) -> None:
    data = str(place / "data")
    with service(place, REGISTRY_DATA_DIR=data) as first:
        [token] = set(SECRET.findall(first.said))
        assert "The administrator's token. Keep it" in first.said
        assert f"MLFLOW_REGISTRY_URI=http://127.0.0.1:{first.port}" in first.said
        assert f"listens on http://127.0.0.1:{first.port}" in first.said
        assert first.get("/readyz")[0] == 200
        assert first.get("/api/v1/whoami", token)[1]["role"] == "administrator"
        assert first.stop() == 0

    assert postgres_in(place) == []
    with service(place, REGISTRY_DATA_DIR=data) as second:
        assert not SECRET.search(second.said)
        assert second.get("/api/v1/whoami", token)[0] == 200


def test_ctrl_c_stops_it_and_its_database(place: Path) -> None:
    with service(place, REGISTRY_DATA_DIR=str(place / "data")) as started:
        os.killpg(started.process.pid, signal.SIGINT)
        assert started.process.wait(60) == 0

    assert postgres_in(place) == []
    assert "Traceback" not in started.said
    assert "SIGKILL" not in started.said


@pytest.mark.parametrize("command", [(), GUNICORN], ids=["serve", "gunicorn"])
def test_ctrl_c_does_not_wait_for_idle_connections(tmp_path: Path, database_url: str, command: tuple[str, ...]) -> None:
    with service(tmp_path, *command, REGISTRY_DATABASE_URL=database_url, REGISTRY_ADMIN_TOKEN=TOKEN) as started:
        connections = [HTTPConnection("127.0.0.1", started.port, timeout=30) for _ in range(8)]
        for connection in connections:
            connection.request("GET", "/livez")
            connection.getresponse().read()
        before = time.monotonic()
        os.killpg(started.process.pid, signal.SIGINT)
        os.killpg(started.process.pid, signal.SIGINT)
        assert started.process.wait(60) == 0
        took = time.monotonic() - before
        for connection in connections:
            connection.close()

    assert took < 10
    assert "SIGKILL" not in started.said


@pytest.mark.parametrize("seconds", [0.3, 0.8, 1.2, 1.6])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_starts_leaves_no_database_behind(
    place: Path, seconds: float, number: signal.Signals
) -> None:
    with starting(place, REGISTRY_DATA_DIR=str(place / "data")) as started:
        time.sleep(seconds)
        for _ in range(10):  # an interpreter that is just starting may swallow one
            os.killpg(started.process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                started.process.wait(6)
                break
        assert started.process.poll() is not None

    assert postgres_in(place) == []


def test_commands_beside_a_running_service_leave_its_database_running(place: Path) -> None:
    data = str(place / "data")
    with service(place, REGISTRY_DATA_DIR=data) as started:
        made = registry("token", "create", "--name", "Ann", "--role", "approver", REGISTRY_DATA_DIR=data)
        assert SECRET.fullmatch(made.stdout.strip()), made.stderr
        assert started.get("/api/v1/whoami", made.stdout.strip())[1]["name"] == "Ann"

        listed = registry("token", "list", REGISTRY_DATA_DIR=data)
        assert "Ann" in listed.stdout
        assert not SECRET.search(listed.stdout + listed.stderr)

        number = re.findall(r"^(\d+) +Ann", listed.stdout, re.MULTILINE)[0]
        assert registry("token", "revoke", number, REGISTRY_DATA_DIR=data).returncode == 0
        assert started.get("/api/v1/whoami", made.stdout.strip())[0] == 401
        assert started.get("/readyz")[0] == 200

    assert postgres_in(place) == []


def test_a_service_that_was_killed_starts_again_on_its_data(place: Path) -> None:
    data = str(place / "data")
    with service(place, REGISTRY_DATA_DIR=data, REGISTRY_ADMIN_TOKEN=TOKEN) as killed:
        killed.stop(signal.SIGKILL)
    with service(place, REGISTRY_DATA_DIR=data, REGISTRY_ADMIN_TOKEN=TOKEN) as started:
        assert started.get("/api/v1/whoami", TOKEN)[0] == 200

    assert postgres_in(place) == []


def test_a_given_token_works_and_is_never_printed(running: Service) -> None:
    assert running.get("/api/v1/whoami", TOKEN)[1]["role"] == "administrator"
    running.stop()

    assert TOKEN not in running.said + running.out.read_text()


def refused(directory: Path, **settings: str) -> str:
    """What a service that cannot start says, which is one line."""
    with starting(directory, **settings) as started:
        assert started.process.wait(60) == 1, started.said
    *progress, line = started.said.splitlines()
    assert line.startswith("Error: ")
    assert all(said.startswith("Starting ") for said in progress)
    return line


def test_a_port_in_use_is_said_before_any_work(place: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        line = refused(place, REGISTRY_PORT=port, REGISTRY_DATA_DIR=str(place / "data"))

    assert f"Port {port} on 127.0.0.1 is in use" in line
    assert "REGISTRY_PORT" in line
    assert not (place / "data").exists()


def test_an_address_of_another_machine_is_said(tmp_path: Path) -> None:
    assert "is not an address of this machine" in refused(tmp_path, REGISTRY_HOST="192.0.2.1")


def test_a_host_nobody_knows_is_said(tmp_path: Path) -> None:
    assert "is not a name or address" in refused(tmp_path, REGISTRY_HOST="x" * 70)


def test_an_unwritable_data_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    line = refused(tmp_path, REGISTRY_DATA_DIR=str(tmp_path / "file" / "data"))

    assert "cannot be written" in line
    assert "set REGISTRY_DATA_DIR" in line


def test_an_unreachable_database_is_said(tmp_path: Path) -> None:
    line = refused(tmp_path, REGISTRY_DATABASE_URL="postgresql://u:hush@127.0.0.1:1/models")

    assert "The database models on 127.0.0.1:1 cannot be reached (Connection refused)" in line
    assert "hush" not in line


def test_a_database_that_is_not_migrated_is_said(tmp_path: Path, bare_database_url: str) -> None:
    assert "run `registry db upgrade`" in refused(tmp_path, REGISTRY_DATABASE_URL=bare_database_url)


def test_a_setting_nobody_knows_is_said(tmp_path: Path) -> None:
    assert "did you mean REGISTRY_PORT?" in refused(tmp_path, REGISTRY_PROT="1")


def test_open_doors_are_refused(tmp_path: Path) -> None:
    assert "REGISTRY_AUTH=off would open" in refused(tmp_path, REGISTRY_AUTH="off", REGISTRY_HOST="0.0.0.0")


def test_without_authentication_no_token_is_made(tmp_path: Path, empty_database_url: str) -> None:
    with service(tmp_path, REGISTRY_DATABASE_URL=empty_database_url, REGISTRY_AUTH="off") as started:
        assert started.get("/api/v1/whoami")[1]["name"] == "anonymous"
        assert "everyone on this machine may do everything" in started.said
        assert "TOKEN" not in started.said


def test_a_line_for_each_request_tells_who_did_what_and_how_it_went(running: Service) -> None:
    name = unique()
    body = json.dumps({"name": name})
    status, _ = post(running, "/api/2.0/mlflow/registered-models/create", body)
    running.get(f"/api/2.0/mlflow/registered-models/get?name={unique('Nothing')}", TOKEN)
    running.get("/api/v1/whoami?secret=hush")
    running.stop()

    order = [200, 404, 401]  # two workers write as they come
    created, missing, refused = sorted(running.requests[-3:], key=lambda line: order.index(line["status"]))
    assert status == 200
    assert (created["method"], created["status"], created["outcome"]) == ("POST", 200, "ok")
    assert (created["model"], created["path"]) == (name, "/api/2.0/mlflow/registered-models/create")
    assert created["actor"].startswith("principal:")
    assert created["credential"].startswith("token:")
    assert created["milliseconds"] > 0
    assert created["bytes"] > 0
    assert created["remote"] == "127.0.0.1"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", created["time"])
    assert (missing["status"], missing["outcome"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert (refused["status"], refused["actor"], refused["path"]) == (401, None, "/api/v1/whoami")
    assert "hush" not in running.out.read_text()


def post(running: Service, path: str, body: str, token: str = TOKEN) -> tuple[int, str]:
    """Send JSON; return the status and the request id."""
    connection = HTTPConnection("127.0.0.1", running.port, timeout=30)
    try:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers["X-Request-ID"]
    finally:
        connection.close()


CHUNKED = "Host: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
MALFORMED = [
    "POST /api/v1/models HTTP/1.1\r\n" + CHUNKED + "{}\r\n\r\n",
    "POST /api/v1/models HTTP/1.1\r\n" + CHUNKED + "5\r\n{}\r\n\r\n",
    "POST /api/2.0/mlflow/registered-models/create HTTP/1.1\r\n" + CHUNKED + "ff\r\n{}",
]
"""Bodies that are not what their headers promise."""
ANYTHING = [
    "GET /api/v1/whoami HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
    "GET /api/v1/whoami HTTP/1.1\r\nHost: x\r\nAuthorization Bearer {}\r\n\r\n",
    "GET /api/v1/whoami HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer {}\r\n\r\n",
    "GET /api/v1/whoami HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer\r\n {}\r\n\r\n",
    "GET /api/v1/whoami HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\0\r\n\r\n",
    "GET /api/v1/whoami HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}",
    "GET /api/v1/whoami?token={} HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET http://u:{}@127.0.0.1/api/v1/whoami HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /api/v1/whoami HTTP/1.1\r\nHost: x\r\nReferer: http://x/?{}\r\nCookie: t={}\r\n\r\n",
    "GET /api/v1/whoami {} HTTP/1.1\r\nHost: x\r\n\r\n",
    "{}\r\n\r\n",
]


def sent(running: Service, request: str) -> str:
    """Send these characters, end the connection's sending half, and return all that comes back."""
    answer = b""
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as connection:
        connection.sendall(request.replace("{}", TOKEN).encode())
        connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(4096):
            answer += part
    return answer.decode()


def test_no_token_gets_into_the_log_however_it_was_sent(tmp_path: Path, database_url: str) -> None:
    settings = {"REGISTRY_ADMIN_TOKEN": TOKEN, "REGISTRY_LOG_LEVEL": "debug"}
    with service(tmp_path, REGISTRY_DATABASE_URL=database_url, **settings) as running:
        for request in ANYTHING:
            sent(running, request)
        for request in MALFORMED:
            answer = sent(running, request.replace("Host: x", f"Authorization: Bearer {TOKEN}\r\nHost: x"))
            assert answer.startswith("HTTP/1.1 400 "), request
            assert TOKEN not in answer
        running.stop()

        assert TOKEN not in running.out.read_text()
        assert TOKEN not in running.said
        assert '"level": "debug"' in running.said
        assert '"level": "error"' not in running.said


def test_control_characters_of_callers_stay_in_their_line(running: Service) -> None:
    running.get("/api/v1/models/a%0Ab%1B%5B31m%7F%E2%80%AE", TOKEN)
    running.stop()

    last = running.out.read_text().splitlines()[-1]
    assert json.loads(last)["path"] == "/api/v1/models/a\nb\x1b[31m\x7f\u202e"
    assert last.isascii()
    assert last.isprintable()


def test_a_request_under_way_is_answered_before_a_stop(tmp_path: Path, empty_database_url: str) -> None:
    name = unique()
    settings = {"REGISTRY_DATABASE_URL": empty_database_url, "REGISTRY_ADMIN_TOKEN": TOKEN}
    with service(tmp_path, **settings) as started, ThreadPoolExecutor(1) as pool:
        assert post(started, "/api/2.0/mlflow/registered-models/create", json.dumps({"name": name}))[0] == 200
        with create_engine(empty_database_url, poolclass=NullPool).begin() as connection:
            connection.execute(text("SELECT 1 FROM registry.registered_models FOR UPDATE"))
            tag = json.dumps({"name": name, "key": "k", "value": "v"})
            waiting = pool.submit(post, started, "/api/2.0/mlflow/registered-models/set-tag", tag)
            time.sleep(0.5)
            started.process.terminate()
            time.sleep(0.5)
            assert not waiting.done()
        assert waiting.result(30)[0] == 200
        assert started.process.wait(30) == 0


@pytest.mark.skipif(not KNOWN_HERE, reason="the system cannot refuse callers of a socket that is open")
@pytest.mark.parametrize("command", [(), GUNICORN], ids=["serve", "gunicorn"])
def test_a_stop_refuses_new_callers_at_once_and_answers_those_who_are_connected(
    tmp_path: Path, database_url: str, command: tuple[str, ...]
) -> None:
    """Also while its workers are busy: whom the kernel connects until they close the door would be cut off."""
    with service(tmp_path, *command, REGISTRY_DATABASE_URL=database_url, REGISTRY_ADMIN_TOKEN=TOKEN) as started:
        workers = psutil.Process(started.process.pid).children()
        early = HTTPConnection("127.0.0.1", started.port, timeout=30)
        try:
            for worker in workers:
                worker.suspend()
            early.request("GET", "/api/v1/whoami", headers={"Authorization": f"Bearer {TOKEN}"})
            started.process.terminate()
            assert is_refused_within(started.port, 5)
        finally:
            for worker in workers:
                worker.resume()
        assert early.getresponse().status == 200
        early.close()
        assert started.process.wait(30) == 0


def is_refused_within(port: int, seconds: float) -> bool:
    """Whether soon nobody is connected any more."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
        except ConnectionRefusedError:
            return True
        time.sleep(0.02)
    return False


def test_workers_are_replaced_without_a_lost_request(tmp_path: Path, database_url: str) -> None:
    settings = {"REGISTRY_MAX_REQUESTS": "40", "REGISTRY_MAX_REQUESTS_JITTER": "10", "REGISTRY_ADMIN_TOKEN": TOKEN}
    with service(tmp_path, REGISTRY_DATABASE_URL=database_url, **settings) as started:
        statuses: list[int] = []
        threads = [threading.Thread(target=ask_often, args=(started, statuses, 100)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert statuses == [200] * 400
    assert started.said.count("Autorestarting worker") >= 4


def ask_often(started: Service, statuses: list[int], times: int) -> None:
    """Ask on connections of one's own; each request is answered or counts as 0."""
    for _ in range(times):
        try:
            statuses.append(started.get("/api/v1/whoami", TOKEN)[0])
        except OSError:
            statuses.append(0)


def test_gunicorn_runs_it_too(tmp_path: Path, database_url: str) -> None:
    with service(tmp_path, *GUNICORN, REGISTRY_DATABASE_URL=database_url, REGISTRY_ADMIN_TOKEN=TOKEN) as started:
        assert started.get("/readyz")[0] == 200
        assert started.stop() == 0

    assert started.requests[-1]["path"] == "/readyz"


@pytest.mark.parametrize(
    ("settings", "arguments", "telling"),
    [
        ({}, [], "REGISTRY_DATABASE_URL is not set"),
        ({"REGISTRY_DATABASE_URL": "postgresql://127.0.0.1:1/x"}, [], "cannot be reached"),
        ({"REGISTRY_PROT": "1"}, [], "did you mean REGISTRY_PORT?"),
    ],
)
def test_gunicorn_refuses_what_serve_refuses(
    tmp_path: Path, settings: dict[str, str], arguments: list[str], telling: str
) -> None:
    with starting(tmp_path, *GUNICORN, *arguments, **settings) as started:
        assert started.process.wait(30) == 1

    assert telling in started.said
    assert "Traceback" not in started.said


def test_gunicorn_opens_no_door_that_the_settings_close(tmp_path: Path, database_url: str) -> None:
    arguments = [*GUNICORN, "--bind", f"0.0.0.0:{free_port()}"]
    with starting(tmp_path, *arguments, REGISTRY_DATABASE_URL=database_url, REGISTRY_AUTH="off") as started:
        assert started.process.wait(30) == 1

    assert "REGISTRY_AUTH=off is refused on 0.0.0.0" in started.said


def test_workers_do_not_share_connections_with_their_parent(running: Service) -> None:
    parent = psutil.Process(running.process.pid)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: running.get("/api/v1/whoami", TOKEN), range(40)))

    for _ in range(200):  # the first to be there answers for both
        if len(parent.children()) == 2:
            break
        time.sleep(0.05)
    assert len(parent.children()) == 2
    assert [socket.status for socket in parent.net_connections("all")] == [psutil.CONN_LISTEN]


def test_the_embedded_database_is_the_same_for_a_program_beside_it(place: Path) -> None:
    with (
        service(place, REGISTRY_DATA_DIR=str(place / "data")),
        embedded.start(place / "data") as beside,
        create_engine(beside.url, poolclass=NullPool).connect() as connection,
    ):
        assert connection.scalar(text("SELECT count(*) FROM registry.tokens")) == 1


def test_wrong_use_is_exit_code_2() -> None:
    wrong = registry("token", "create")

    assert wrong.returncode == 2
    assert "Missing option '--name'" in wrong.stderr


@pytest.mark.parametrize(
    "command", [("--help",), ("serve", "--help"), ("db", "--help"), ("token", "--help"), ("sealer", "--help")]
)
def test_help_needs_no_database(command: tuple[str, ...]) -> None:
    helped = subprocess.run(
        [sys.executable, "-m", "registry", *command], env=environment(), capture_output=True, text=True, check=True
    )

    assert "Usage: registry" in helped.stdout
