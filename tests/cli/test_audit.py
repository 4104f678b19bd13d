"""The audit log from the command line: as a list, as a file, and as it grows."""

import csv
import hashlib
import json
import queue
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from registry.cli.following import Following
from registry.client import Actor, Client, Conflict, Event, NotFound, Unreachable
from tests.cli.conftest import Run
from tests.cli.running import ROOT, environment
from tests.live import Live


def events(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


def test_events_are_lines_for_people(run: Run, model: str) -> None:
    run("promote", model, 2, "--to", "Staging", "--reason", "try it")
    run("tag", model, "-v", 2, "auc=0.3")

    lines = run("audit", model, "--limit", 2).out.splitlines()

    assert lines[0].split() == ["TIME", "(UTC)", "ACTOR", "ACTION", "VERSION", "WHAT"]
    assert lines[1].endswith("tag auc; value: 0.2 → 0.3")
    assert lines[2].endswith('stage: None → Staging; "try it"')


def test_events_of_several_models_name_them(run: Run, model: str) -> None:
    [request] = {event["request_id"] for event in events(run("audit", model, 2, "--json").out)}

    header, *lines = run("audit", "--request-id", str(request)).out.splitlines()

    assert header.split() == ["TIME", "(UTC)", "ACTOR", "ACTION", "SUBJECT", "WHAT"]
    assert all(f" {model}/2 " in line for line in lines)


def test_events_are_chosen_by_all_filters(run: Run, model: str, remote: Client) -> None:
    whole = events(run("audit", model, "--json", "--oldest-first").out)
    me = remote.whoami()

    assert whole[0]["action"] == "registered_model.create"
    assert {event["version"] for event in events(run("audit", model, 2, "--json").out)} == {2}
    [moved] = events(run("audit", model, "--action", "model_version.transition", "--json").out)
    assert events(run("audit", "--request-id", str(moved["request_id"]), "--json").out)[0]["model"] == model
    assert events(run("audit", "--subject", str(moved["subject"]), "--json").out)[0]["subject"] == moved["subject"]
    assert events(run("audit", model, "--actor", me.name, "--json", "--oldest-first").out) == whole
    assert events(run("audit", model, "--until", str(moved["at"]), "--json").out)[0]["at"] < moved["at"]  # type: ignore[operator]
    assert run("audit", model, "--since", "2099-01-01").err == "No events.\n"


def test_an_export_holds_the_lines_as_they_are_stored(run: Run, model: str, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"

    assert run("audit", model, "--export", "jsonl", "-o", str(file)).code == 0

    stored = file.read_bytes().splitlines()
    shown = events(run("audit", model, "--json", "--oldest-first", "--limit", 0).out)
    assert [hashlib.sha256(b"\0" + line).hexdigest() for line in stored] == [event["hash"] for event in shown]
    assert [one.name for one in tmp_path.glob("*events*")] == [file.name]


def test_an_export_as_a_table_goes_to_standard_output(run: Run, model: str) -> None:
    rows = list(csv.DictReader(run("audit", model, "--export", "csv").out.splitlines()))

    assert len(rows) == len(events(run("audit", model, "--json").out))
    assert rows[0]["action"] == "registered_model.create"


def test_a_refused_export_leaves_the_file_as_it_was(run: Run, model: str, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text("before")

    assert run("audit", "--export", "jsonl", "-o", str(file), REGISTRY_TOKEN="wrong").code == 3
    assert run("audit", "--export", "jsonl", "-o", str(tmp_path / "no" / "where")).code == 1

    assert file.read_text() == "before"
    assert [one.name for one in tmp_path.glob("*events*")] == [file.name]


class Follower:
    """`registry audit --follow --json`, and the lines that it has printed."""

    def __init__(self, live: Live, *words: str) -> None:
        command = [sys.executable, "-m", "registry", "audit", "--follow", "--json", "--every", "0.1", *words]
        env = environment(REGISTRY_URL=live.url, REGISTRY_TOKEN=live.token)
        self.process = subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.lines: queue.Queue[dict[str, object]] = queue.Queue()
        self.reading = threading.Thread(target=self._read)
        self.reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(json.loads(line))

    def until(self, text: str) -> list[dict[str, object]]:
        """The events up to the comment with this text."""
        found: list[dict[str, object]] = []
        while not found or found[-1]["changes"].get("text") != [None, text]:  # type: ignore[attr-defined]
            found.append(self.lines.get(timeout=30))
        return found

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.reading.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def following(live: Live, model: str) -> Iterator[Follower]:
    follower = Follower(live, model, "--limit", "2")
    yield follower
    follower.stop()


def test_following_shows_the_last_few_and_then_each_new_one_once(
    run: Run, following: Follower, model: str, remote: Client
) -> None:
    last = events(run("audit", model, "--json", "--limit", 2).out)
    first_seen = [following.lines.get(timeout=30) for _ in range(2)]
    assert first_seen == last[::-1]

    def write(number: int) -> None:
        for step in range(5):
            remote.comment(model, f"{number}-{step}")

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    remote.comment(model, "the end")

    seen = following.until("the end")
    texts = Counter(str(event["changes"]["text"][1]) for event in seen)  # type: ignore[index]
    assert texts == Counter([f"{number}-{step}" for number in range(4) for step in range(5)] + ["the end"])
    assert following.lines.empty()


def test_following_from_a_moment_on_shows_nothing_of_before(live: Live, model: str, remote: Client) -> None:
    since = remote.comment(model, "the beginning").created_at
    follower = Follower(live, model, "--since", since.isoformat())
    try:
        assert follower.until("the beginning")[0]["action"] == "comment.create"
        remote.comment(model, "the end")
        seen = follower.until("the end")
    finally:
        follower.stop()

    assert len(seen) == 1


class Log:
    """Stands in the place of a client; events come and are committed as a test says."""

    BEGINNING = datetime(2026, 11, 25, tzinfo=UTC)

    def __init__(self) -> None:
        self.stored: list[Event] = []
        self.away = False

    def commit(self, seq: int, second: float) -> None:
        at = self.BEGINNING + timedelta(seconds=second)
        actor = Actor(id="principal:1", name="Ann")
        self.stored.append(Event(at=at, actor=actor, action="comment.create", stream="model:1", seq=seq))

    def checkpoint(self) -> str:
        raise NotFound("Nothing was signed yet.")

    def events(self, *, since: datetime | None = None, order: str = "newest", page_size: int = 1) -> list[Event]:
        if self.away:
            raise Unreachable("Nobody there.")
        found = [event for event in self.stored if since is None or event.at >= since]
        return sorted(found, key=lambda event: (event.at, event.seq), reverse=order == "newest")


def follow(log: Log) -> Following:
    return Following(cast("Client", log), {}, every=0.001)


def test_an_event_that_is_committed_late_is_shown_though_it_bears_an_earlier_time() -> None:
    log = Log()
    log.commit(1, second=0)
    log.commit(2, second=10)
    following = follow(log)
    assert [event.seq for event in following.begin(None, 1)] == [2]
    news = iter(following)

    log.commit(4, second=30)
    assert next(news).seq == 4
    log.commit(3, second=5)
    assert next(news).seq == 3
    log.commit(5, second=200)
    assert next(news).seq == 5
    log.commit(6, second=150)
    assert next(news).seq == 6


def test_an_event_of_the_future_hides_none_of_the_present() -> None:
    log = Log()
    now = (datetime.now(UTC) - Log.BEGINNING).total_seconds()
    log.commit(1, second=now + 3600)
    following = follow(log)
    assert [event.seq for event in following.begin(None, 1)] == [1]
    log.commit(2, second=now)
    found: queue.Queue[Event] = queue.Queue()
    threading.Thread(target=lambda: found.put(next(iter(following))), daemon=True).start()
    assert found.get(timeout=10).seq == 2


def test_following_an_empty_log_begins_with_its_first_event() -> None:
    log = Log()
    following = follow(log)
    assert following.begin(None, 10) == []
    news = iter(following)

    log.commit(1, second=0)

    assert next(news).seq == 1


def test_following_waits_for_a_service_that_is_away(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log()
    following = follow(log)
    following.begin(None, 10)
    log.away = True
    found: queue.Queue[Event] = queue.Queue()
    reader = threading.Thread(target=lambda: found.put(next(iter(following))))
    reader.start()
    while "Nobody there. Waiting for it." not in capsys.readouterr().err:
        assert reader.is_alive()

    log.commit(1, second=0)
    log.away = False

    assert found.get(timeout=30).seq == 1
    reader.join()


class SealedLog(Log):
    """The same, sealed up to an event: those are the positions from 0."""

    def __init__(self, sealed: int) -> None:
        super().__init__()
        self.sealed = sealed
        self.lost = False

    def checkpoint(self) -> str:
        return f"origin\n{self.sealed}\nroot\n\n"

    def follow(self, after: int, *, since: datetime | None, wait: int) -> tuple[list[Event], int]:
        if self.lost:
            raise Conflict("The log ends before.")
        return self.stored[after + 1 : self.sealed], self.sealed - 1


def test_a_sealed_log_is_followed_by_position() -> None:
    log = SealedLog(sealed=1)
    log.commit(1, second=0)
    log.commit(2, second=10)  # has no position yet, and is shown at the beginning
    following = follow(log)
    assert [event.seq for event in following.begin(None, 2)] == [1, 2]
    news = iter(following)
    log.commit(9, second=-100_000)  # long before all others, by its clock: by time it would never be shown
    log.sealed = 3
    assert next(news).seq == 9


def test_where_the_log_was_restored_following_goes_on_by_time(capsys: pytest.CaptureFixture[str]) -> None:
    log = SealedLog(sealed=1)
    log.commit(1, second=0)
    following = follow(log)
    following.begin(None, 1)
    log.lost = True
    log.commit(2, second=10)
    assert next(iter(following)).seq == 2
    assert "The log ends before." in capsys.readouterr().err


def test_where_nobody_seals_following_goes_on_by_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("registry.cli.following.SECONDS_UNSEALED", 0.05)
    log = SealedLog(sealed=1)
    log.commit(1, second=0)
    following = follow(log)
    following.begin(None, 1)
    log.commit(2, second=10)
    assert next(iter(following)).seq == 2
    assert "Nobody seals the log" in capsys.readouterr().err
