"""Following the log over HTTP, and the export that ends with its checkpoint."""

import json
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from bench.statements import counted
from registry.db import db
from registry.domain import audit_export
from registry.faces.rest.audit_tail import Bell, bell
from registry.ledger import verify
from tests.faces.rest.conftest import Sealed

AUDIT = "/api/v1/audit"


def positions(page: dict[str, Any]) -> list[int | None]:
    return [event["position"] for event in page["items"]]


def test_ordinary_pages_show_positions_once_there_are_any(sealed: Sealed) -> None:
    sealed.write(2)
    assert positions(sealed.client.get(AUDIT).get_json()) == [None, None]
    sealed.seal()
    sealed.write(1, "Other")
    assert positions(sealed.client.get(AUDIT).get_json()) == [None, 1, 0]
    table = sealed.client.get(f"{AUDIT}?format=csv&order=oldest").text.splitlines()
    assert [row.rpartition(",")[2] for row in table] == ["position", "0", "1", ""]


def test_pages_lead_on_by_position(sealed: Sealed) -> None:
    sealed.write(5)
    sealed.seal()
    sealed.write(1, "Later")
    seen: list[int | None] = []
    path = f"{AUDIT}?after=-1&limit=2"
    for _ in range(4):
        page = sealed.client.get(path).get_json()
        seen += positions(page)
        path = page["next"]
    assert seen == [0, 1, 2, 3, 4]
    assert path.endswith("?limit=2&after=4")
    sealed.seal()
    assert positions(sealed.client.get(path).get_json()) == [5]


def test_a_late_commit_comes_late_and_is_not_missed(sealed: Sealed) -> None:
    append = "SELECT audit.append('s:1', 'x.y', 's:1', '{}', '{}')".replace("s:1", "late:1")
    with sealed.place.engine.connect() as late, late.begin():
        late.execute(text("SELECT set_config('app.actor', 'a', true), set_config('app.request_id', 'r', true)"))
        late.execute(text(append))
        sealed.write(3)
        sealed.seal()
        page = sealed.client.get(f"{AUDIT}?after=-1").get_json()
        assert positions(page) == [0, 1, 2]
    sealed.seal()
    [event] = sealed.client.get(page["next"]).get_json()["items"]
    assert (event["stream"], event["position"]) == ("late:1", 3)


def test_next_goes_past_what_does_not_match(sealed: Sealed) -> None:
    sealed.write(5)
    sealed.write(2, "Other")
    sealed.seal()
    page = sealed.client.get(f"{AUDIT}?model=Other&action=registered_model.create&after=-1").get_json()
    assert positions(page) == [5]
    assert page["next"].endswith("after=6")
    page = sealed.client.get(f"{AUDIT}?actor=nobody&after=-1").get_json()
    assert (page["items"], page["next"].rpartition("=")[2]) == ([], "6")
    assert positions(sealed.client.get("/api/v1/models/Other/audit?after=5").get_json()) == [6]


def test_a_position_that_the_log_does_not_have_is_refused(sealed: Sealed) -> None:
    sealed.write(3)
    sealed.seal()
    assert sealed.client.get(f"{AUDIT}?after=2").get_json()["items"] == []
    refused = sealed.client.get(f"{AUDIT}?after=3")
    assert refused.status_code == 409
    assert "The log ends at position 2" in refused.get_json()["detail"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("wait=1", "wait"),
        ("after=-2", "after"),
        (f"after={2**63}", "after"),
        ("after=0&wait=31", "wait"),
        ("after=0&order=newest", "order"),
        ("after=0&format=jsonl", "format"),
        ("after=0&page_token=x", "page_token"),
        ("after=0&limit=1001", "limit"),
    ],
)
def test_what_does_not_go_with_following_is_refused(client: FlaskClient, query: str, field: str) -> None:
    refused = client.get(f"{AUDIT}?{query}")
    assert refused.status_code == 400
    assert [fault["field"] for fault in refused.get_json()["errors"]] == [field]


def test_an_answer_waits_for_what_matches_and_holds_no_connection(sealed: Sealed) -> None:
    sealed.write(3)
    sealed.seal()
    found: list[dict[str, Any]] = []

    def wait() -> None:
        with sealed.app.test_client() as client:
            found.append(client.get(f"{AUDIT}?after=2&wait=20&model=Model&action=registered_model.describe").get_json())

    with sealed.app.app_context():
        pool: Any = db.engine.pool
    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.5)
    idle = 9
    for _ in range(50):
        time.sleep(0.01)
        idle = min(idle, pool.checkedout())
    sealed.write(1, "Other")  # does not match: it goes on waiting
    sealed.seal()
    time.sleep(0.5)
    assert not found
    sealed.client.patch("/api/v1/models/Model", json={"description": "words"})
    sealed.seal()
    waiting.join(timeout=20)
    assert idle == 0
    assert positions(found[0]) == [4]


def test_an_answer_comes_without_events_when_the_time_is_over(sealed: Sealed) -> None:
    sealed.write(1)
    sealed.seal()
    page = sealed.client.get(f"{AUDIT}?after=0&wait=1").get_json()
    assert (page["items"], page["next"].rpartition("=")[2]) == ([], "0")


def test_where_too_many_wait_the_answer_comes_at_once(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed.write(1)
    sealed.seal()
    monkeypatch.setitem(sealed.app.extensions, "audit_bell", Bell(0))
    began = time.monotonic()
    assert sealed.client.get(f"{AUDIT}?after=0&wait=30").get_json()["items"] == []
    assert time.monotonic() - began < 25  # it did not wait


def test_a_place_is_given_back() -> None:
    bell = Bell(1)
    for _ in range(2):
        with bell.place() as first, bell.place() as second:
            assert (first, second) == (True, False)


def test_half_of_the_threads_may_wait(sealed: Sealed) -> None:
    with sealed.app.app_context(), ExitStack() as waiting:
        threads = sealed.app.config["REGISTRY"].threads
        places = [waiting.enter_context(bell().place()) for _ in range(threads)]
    assert places.count(True) == threads // 2 > 0


def test_a_stopping_service_keeps_nobody_waiting(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed.write(1)
    sealed.seal()
    monkeypatch.setitem(sealed.app.extensions, "stopping", lambda: True)
    began = time.monotonic()
    assert sealed.client.get(f"{AUDIT}?after=0&wait=30").get_json()["items"] == []
    assert time.monotonic() - began < 25


def test_following_takes_a_constant_number_of_statements(sealed: Sealed) -> None:
    sealed.write(40)
    sealed.seal()
    counts = []
    for limit in (1, 40):
        with counted() as sent:
            sealed.client.get(f"{AUDIT}?after=-1&limit={limit}")
        counts.append(len(sent))
    assert counts[0] == counts[1] == 4  # head, events, texts, positions
    with counted() as sent:
        sealed.client.get(f"{AUDIT}?after=39")
    assert len(sent) == 1


def exported(sealed: Sealed, tmp_path: Path) -> tuple[list[bytes], Path]:
    file = tmp_path / "log.jsonl"
    file.write_bytes(sealed.client.get(f"{AUDIT}?format=jsonl").data)
    return file.read_bytes().splitlines(), file


def verified(sealed: Sealed, file: Path, *options: str) -> int:
    return verify.main(["verify", "--jsonl", str(file), "--key", sealed.place.key, *options])


def test_an_export_ends_with_its_checkpoint_and_verifies(
    sealed: Sealed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_export, "BATCH", 7)
    monkeypatch.setattr(audit_export, "LINES", audit_export.lines_between())
    sealed.write(20)
    sealed.seal()
    answer = sealed.client.put("/api/v1/models/Model/tags/late", json={"value": "v"})
    sealed.seal()
    sealed.write(1, "Not sealed")
    *lines, trailer = exported(sealed, tmp_path)[0]
    assert lines == sealed.place.lines()
    assert len(lines) == 21
    note = json.loads(trailer)["checkpoint"]
    assert note == sealed.client.get(f"{AUDIT}/checkpoint").text
    receipts, checkpoint = tmp_path / "receipts", tmp_path / "checkpoint"
    receipts.write_text(answer.headers["Audit-Receipt"])
    checkpoint.write_text(note)
    file = tmp_path / "log.jsonl"
    assert verified(sealed, file, "--receipts", str(receipts)) == 0
    assert verified(sealed, file, "--checkpoint", str(checkpoint)) == 0
    file.write_bytes(file.read_bytes().replace(b"late", b"fate"))
    assert verified(sealed, file) == 1


def test_an_export_with_a_filter_has_no_checkpoint(sealed: Sealed) -> None:
    sealed.write(3)
    sealed.seal()
    sealed.write(1, "Not sealed")
    for exports, query in enumerate(("limit=10", "order=newest", "actor=anonymous")):
        lines = sealed.client.get(f"{AUDIT}?format=jsonl&{query}").text.splitlines()
        assert len(lines) == 4 + exports  # each is an event itself, for the next one to see
        assert not any(line.startswith('{"checkpoint"') for line in lines)


def test_an_export_before_any_checkpoint_has_all_events(sealed: Sealed, tmp_path: Path) -> None:
    sealed.write(3)
    assert len(exported(sealed, tmp_path)[0]) == 3


def test_an_export_that_lacks_an_event_breaks_off(sealed: Sealed) -> None:
    sealed.write(3)
    sealed.seal()
    sealed.place.tamper("DELETE FROM audit.seal WHERE position = 1")
    with pytest.raises(RuntimeError, match="lacks events"):
        _ = sealed.client.get(f"{AUDIT}?format=jsonl").data
