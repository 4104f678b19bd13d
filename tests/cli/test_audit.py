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
from pathlib import Path

import pytest

from registry.client import Client
from tests.cli.conftest import Run
from tests.cli.running import ROOT, environment
from tests.live import Live


def events(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


def test_events_are_lines_for_people(run: Run, model: str) -> None:
    run("promote", model, 2, "--to", "Staging", "--reason", "try it")
    run("tag", model, "-v", 2, "auc=0.3")

    lines = run("audit", model, "--limit", 2).out.splitlines()

    assert lines[0].split() == ["TIME", "(UTC)", "ACTOR", "ACTION", "SUBJECT", "WHAT"]
    assert lines[1].endswith("tag auc; value: 0.2 → 0.3")
    assert lines[2].endswith('stage: None → Staging; "try it"')


def test_events_are_chosen_by_all_filters(run: Run, model: str, remote: Client) -> None:
    whole = events(run("audit", model, "--json", "--oldest-first").out)
    me = remote.whoami()

    assert whole[0]["action"] == "registered_model.create"
    assert {event["version"] for event in events(run("audit", model, 2, "--json").out)} == {2}
    [moved] = events(run("audit", model, "--action", "model_version.transition", "--json").out)
    assert events(run("audit", "--request-id", str(moved["request_id"]), "--json").out)[0]["model"] == model
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


def test_following_from_a_moment_on_begins_there(live: Live, model: str, remote: Client) -> None:
    since = min(event.at for event in remote.events(model))
    follower = Follower(live, model, "--since", since.isoformat())
    try:
        remote.comment(model, "the end")
        seen = follower.until("the end")
    finally:
        follower.stop()

    assert len(seen) == len(list(remote.events(model)))
    assert seen[0]["action"] == "registered_model.create"
