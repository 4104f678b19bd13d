"""`registry sealer`, by itself and beside `registry serve`: starts, dies, comes back, refuses, goes on."""

import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from sqlalchemy import make_url

from registry.config import Settings
from registry.ledger.note import Verifier
from registry.sealer import child
from registry.sealer.child import Child
from tests.cli.running import Service, environment, registry, service, starting
from tests.conftest import database
from tests.sealer.logs import Place, assert_consistent, assert_whole

KEY = re.compile(r"model-registry/audit\+[0-9a-f]{8}\+\S+")
SECONDS = 30


@pytest.fixture
def place(empty_database_url: str, tmp_path: Path) -> Place:
    return Place(empty_database_url, tmp_path / "sealer")


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that root's substitute can reach."""
    made = Path(tempfile.mkdtemp(prefix="registry-test-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def settings_of(place: Place) -> dict[str, str]:
    return {
        "REGISTRY_DATABASE_URL": place.url,
        "REGISTRY_SEALER": "on",
        "REGISTRY_SEALER_DIR": str(place.directory),
        "REGISTRY_SEALER_INTERVAL_MS": "50",
        "REGISTRY_ADMIN_TOKEN": "a-token-for-these-tests-0123456789",
    }


def sealer_of(running: Service) -> psutil.Process | None:
    children = psutil.Process(running.process.pid).children()
    return next((one for one in children if one.is_running() and "sealer" in one.cmdline()), None)


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def sealed(place: Place) -> int:
    if not (place.directory / "checkpoint").exists():
        return 0
    return Verifier.parse(place.key).open((place.directory / "checkpoint").read_text()).size


def test_the_first_start_makes_a_key_tells_it_once_and_seals(directory: Path) -> None:
    data = directory / "data"
    with service(directory, REGISTRY_DATA_DIR=str(data), REGISTRY_SEALER_INTERVAL_MS="50") as first:
        [key] = KEY.findall(first.said)
        until((data / "sealer" / "checkpoint").exists)
        assert registry("sealer", "key", REGISTRY_DATA_DIR=str(data)).stdout == f"{key}\n"
        sealer = sealer_of(first)
        assert sealer is not None
        assert first.stop() == 0
        assert not sealer.is_running()
    assert Verifier.parse(key).open((data / "sealer" / "checkpoint").read_text()).size > 0
    with service(directory, REGISTRY_DATA_DIR=str(data)) as second:
        assert not KEY.findall(second.said)
    assert "Traceback" not in first.said + second.said


def test_a_sealer_that_dies_is_started_again_and_one_that_stops_seals_the_rest(place: Place, tmp_path: Path) -> None:
    with service(tmp_path, **settings_of(place)) as running:
        until(lambda: sealed(place) > 0)
        first = sealer_of(running)
        assert first is not None
        first.kill()
        place.write(5)
        before = sealed(place)
        until(lambda: sealed(place) == before + 5)
        second = sealer_of(running)
        assert second is not None
        assert second.pid != first.pid
        place.write(5)
        assert running.stop() == 0
        assert not second.is_running()
    assert sealed(place) == before + 10
    assert_whole(place)
    assert "Traceback" not in running.said


def test_a_sealer_does_not_outlive_a_service_that_was_killed(place: Place, tmp_path: Path) -> None:
    with service(tmp_path, **settings_of(place)) as running:
        until(lambda: sealed(place) > 0)
        sealer = sealer_of(running)
        assert sealer is not None
        running.process.kill()
        until(lambda: not sealer.is_running() or sealer.status() == psutil.STATUS_ZOMBIE)
    assert_whole(place)


def test_switched_off_there_is_none(place: Place, tmp_path: Path) -> None:
    with service(tmp_path, **settings_of(place) | {"REGISTRY_SEALER": "off"}) as running:
        assert running.get("/readyz")[0] == 200
        assert sealer_of(running) is None
    assert not place.directory.exists()


def test_the_service_does_not_start_without_a_place_for_the_key(place: Place, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with starting(tmp_path, **settings_of(place) | {"REGISTRY_SEALER_DIR": str(tmp_path / "file" / "in")}) as refused:
        assert refused.process.wait(60) == 1
    assert "REGISTRY_SEALER_DIR" in refused.said
    assert len(refused.said.splitlines()) == 1


def test_it_seals_once_and_ends(place: Place) -> None:
    place.write(3)
    ran = registry("sealer", "--once", **settings_of(place))
    assert (ran.returncode, ran.stdout) == (0, "")
    assert KEY.findall(ran.stderr) == [place.key]
    assert "3 events are sealed, 3 of them now" in ran.stderr
    assert_whole(place)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_good_order(place: Place, number: signal.Signals) -> None:
    place.write(3)
    command = [sys.executable, "-m", "registry", "sealer"]
    with subprocess.Popen(command, env=environment(**settings_of(place)), stderr=subprocess.PIPE, text=True) as sealer:
        until(lambda: sealed(place) == 3)
        place.write(2)
        sealer.send_signal(number)
        assert sealer.wait(SECONDS) == 0
        assert sealer.stderr is not None
        assert "Traceback" not in sealer.stderr.read()
    assert sealed(place) == 5


def test_it_goes_on_when_the_database_comes_back(place: Place) -> None:
    place.write(3)
    command = [sys.executable, "-m", "registry", "sealer"]
    with subprocess.Popen(command, env=environment(**settings_of(place)), stderr=subprocess.PIPE, text=True) as sealer:
        until(lambda: sealed(place) == 3)
        ended = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'model-registry-sealer'"
        )
        assert place.ask(f"{ended} AND datname = current_database()") == [(True,)]
        place.write(2)
        until(lambda: sealed(place) == 5)
        sealer.terminate()
        assert sealer.stderr is not None
        assert "it tries again" in sealer.stderr.read()
    assert_whole(place)


def test_a_restored_database_is_refused_and_a_person_decides(server_url: str, place: Place) -> None:
    place.write(3)
    with database(server_url, str(make_url(place.url).database)) as copy:
        place.write(2)
        place.seal()
        restored = Place(copy, place.directory)
        settings = settings_of(restored)
        refused = registry("sealer", "--once", **settings)
        assert refused.returncode == 1
        assert "5 events were signed and 0 are there" in refused.stderr
        assert "registry sealer new-epoch" in refused.stderr
        assert registry("sealer", "new-epoch", **settings).returncode == 2
        assert registry("sealer", "new-epoch", "--reason", " ", **settings).returncode == 2
        decided = registry("sealer", "new-epoch", "--reason", "the disk died", **settings)
        assert (decided.returncode, decided.stderr) == (0, "The log goes on as model-registry/audit/2.\n")
        needless = registry("sealer", "new-epoch", "--reason", "again", **settings)
        assert (needless.returncode, needless.stderr.count("\n")) == (1, 1)
        assert registry("sealer", "--once", **settings).returncode == 0
        assert_consistent(restored, "model-registry/audit/2")


def test_a_second_one_says_that_there_is_a_first(place: Place) -> None:
    with place.sealer():
        refused = registry("sealer", "--once", **settings_of(place))
    assert (refused.returncode, refused.stderr) == (1, "Error: Another sealer is at work on this log: stop it first.\n")


def test_the_key_command_makes_the_key(place: Place) -> None:
    first = registry("sealer", "key", **settings_of(place)).stdout
    assert KEY.fullmatch(first.strip())
    assert registry("sealer", "key", **settings_of(place)).stdout == first


def test_a_process_that_keeps_dying_is_started_ever_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    started: list[float] = []

    def start() -> subprocess.Popen[bytes]:
        started.append(now[0])
        short = subprocess.Popen([sys.executable, "-S", "-c", ""])
        short.wait()
        return short

    kept = Child(start)
    for _ in range(400):
        kept.keep()
        now[0] += 0.5
    assert [later - earlier for earlier, later in pairwise(started)] == [1.5, 2.5, 4.5, 8.5, 16.5, 32.5, 60.5, 60.5]


def test_what_a_sealer_has_no_use_for_it_is_not_given() -> None:
    given = {"REGISTRY_ADMIN_TOKEN": "x", "REGISTRY_DATABASE_URL_FILE": "y", "REGISTRY_SEALER_DIR": "z", "PATH": "p"}
    settings = Settings(database_url="postgresql://localhost/x")
    assert child.environment(settings, given) == {
        "REGISTRY_DATABASE_URL": "postgresql://localhost/x", "REGISTRY_SEALER_DIR": "z", "PATH": "p",
    }  # fmt: skip


def test_a_sealer_that_seals_loads_nothing_that_only_others_need(place: Place) -> None:
    """It is a process of its own, whose memory nobody shares."""
    place.write(3)
    heavy = {"alembic", "flask", "gunicorn", "marshmallow", "sqlalchemy", "urllib3", "werkzeug"}
    told = (
        "import sys\nfrom registry.cli import main\nmain(['sealer', '--once'], standalone_mode=False)\n"
        f"print(*sorted({heavy} & {{name.partition('.')[0] for name in sys.modules}}))"
    )

    said = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, check=True, env=environment(**settings_of(place))
    )

    assert sealed(place) == 3
    assert said.stdout.strip() == ""
