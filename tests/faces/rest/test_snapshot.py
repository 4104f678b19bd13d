"""The registry as of a moment: against the live tables, a fold of its own, and what was there at the time."""

import json
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from bench.statements import counted
from registry.domain import snapshot
from registry.ledger.merkle import verify_inclusion
from tests.faces.rest.conftest import Sealed

API = "/api/v1"
Lines = list[dict[str, Any]]


def taken(client: FlaskClient, at: str | None = None) -> Lines:
    """The lines between the first and the last one, without the events."""
    answer = client.get(f"{API}/snapshot", query_string={"at": at} if at else {})
    assert answer.status_code == 200, answer.text
    first, *lines, last = map(json.loads, answer.text.splitlines())
    assert first["kind"] == "snapshot"
    kinds = [line["kind"] for line in lines]
    assert last == {"kind": "end"} | {f"{kind}s": kinds.count(kind) for kind in ("model", "version", "comment")}
    return [{name: value for name, value in line.items() if name != "event"} for line in lines]


def live(client: FlaskClient) -> Lines:
    """The same, as the rest of the API tells it."""
    found: Lines = []
    models = client.get(f"{API}/models?limit=1000&prompts=include").get_json()["items"]
    for model in sorted(models, key=lambda model: model["id"]):
        path = f"{API}/models/{model['name']}"
        found.append({"kind": "model"} | without(model, "latest_versions", "updated_at"))
        versions = client.get(f"{path}/versions?limit=1000&order_by=version").get_json()["items"]
        comments = client.get(f"{path}/comments").get_json()["items"]
        for version in sorted(versions, key=lambda version: version["version"]):
            found.append({"kind": "version"} | without(version, "updated_at") | {"storage_location": None})
            comments += [
                comment | {"version": version["version"]}
                for comment in client.get(f"{path}/versions/{version['version']}/comments").get_json()["items"]
            ]
        found += [
            {"kind": "comment", "name": model["name"], "version": None} | without(one, "author_name", "updated_at")
            for one in sorted(comments, key=lambda one: one["id"])
        ]
    return found


def without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}


def act(client: FlaskClient, chance: random.Random) -> None:
    """Do something or other to one of a few models; what is refused changes nothing."""
    name = chance.choice("abcd")
    path, number = f"{API}/models/{name}", chance.randrange(1, 4)
    version = f"{path}/versions/{number}"
    word = chance.choice(["red", "green", "blue", "x" * 1500])
    stage = chance.choice(["None", "Staging", "Production", "Archived"])
    doings: list[Callable[[], object]] = [
        lambda: client.post(f"{API}/models", json={"name": name, "description": word, "tags": {"k": word}}),
        lambda: client.post(f"{path}/versions", json={"source": f"s3://b/{word}", "tags": {"k": word}}),
        lambda: client.post(f"{version}/transitions", json={"to": stage}),
        lambda: client.patch(path, json={"name": chance.choice("abcd")}),
        lambda: client.patch(path, json={"description": chance.choice([word, None])}),
        lambda: client.patch(version, json={"description": chance.choice([word, None])}),
        lambda: client.put(f"{version}/tags/{chance.choice('pq')}", json={"value": word}),
        lambda: client.delete(f"{path}/tags/k"),
        lambda: client.put(f"{path}/aliases/{chance.choice('mn')}", json={"version": number}),
        lambda: client.delete(f"{path}/aliases/m"),
        lambda: client.post(f"{chance.choice([path, version])}/comments", json={"text": word}),
        lambda: client.delete(version),
        lambda: client.delete(path) if chance.random() < 0.3 else None,
    ]
    chance.choice(doings)()


def now(sealed: Sealed) -> str:
    [(moment,)] = sealed.place.ask("SELECT clock_timestamp()")
    return str(moment.isoformat())


def test_it_is_what_the_rest_of_the_service_said_at_the_time(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "BATCH", 13)  # batches end within models
    chance = random.Random(4)
    told: list[tuple[str, Lines]] = []
    for _ in range(25):
        for _ in range(8):
            act(sealed.client, chance)
        told.append((now(sealed), live(sealed.client)))
    for at, lines in told:
        assert taken(sealed.client, at) == lines
    assert taken(sealed.client) == told[-1][1]
    kinds = {line["kind"] for _, lines in told for line in lines}
    assert kinds == {"model", "version", "comment"}
    assert taken(sealed.client, "2020-01-01T00:00:00Z") == []


def folded_by_force(sealed: Sealed, at: datetime) -> dict[str, dict[str, Any]]:
    """All rows that the log makes up to a moment, by their subjects, from nothing but lines and texts."""
    rows: dict[str, dict[str, Any]] = {}
    for number, body in sealed.place.ask("SELECT id, body FROM audit.event ORDER BY id"):
        line = json.loads(body)
        if line["at_us"] > at.timestamp() * 1_000_000:
            continue
        row = rows.setdefault(line["object"], {})
        for name, (_, after) in line["changes"].items():
            kept = sealed.place.ask(
                "SELECT content FROM audit.private WHERE event_id = :e AND field = :f AND side = 'after'",
                e=number,
                f=name,
            )
            row[name] = kept[0][0] if kept else after
    return {subject: row for subject, row in rows.items() if any(value is not None for value in row.values())}


def test_each_line_is_what_a_plain_fold_makes(sealed: Sealed) -> None:
    chance = random.Random(9)
    for _ in range(60):
        act(sealed.client, chance)
    at = datetime.fromisoformat(now(sealed))
    rows = folded_by_force(sealed, at)
    for _ in range(20):
        act(sealed.client, chance)
    lines = taken(sealed.client, at.isoformat())
    for line in lines:
        if line["kind"] == "version":
            ids = {other["name"]: other["id"] for other in lines if other["kind"] == "model"}
            row = rows[f"model:{ids[line['name']]}/version:{line['version']}"]
            assert (line["stage"], line["source"], line["description"]) == (
                row["stage"],
                row["source"],
                row.get("description"),
            )
        if line["kind"] == "model":
            row = rows[f"model:{line['id']}"]
            assert (line["name"], line["description"]) == (row["name"], row.get("description"))
    live_models = [row for subject, row in rows.items() if "/" not in subject and row.get("deleted_at") is None]
    assert len([line for line in lines if line["kind"] == "model"]) == len(live_models)


def test_each_model_names_the_event_that_proves_its_state(sealed: Sealed) -> None:
    sealed.write(3, "a")
    sealed.write(2, "b")
    sealed.seal()
    sealed.client.put(f"{API}/models/b/tags/new", json={"value": "v"})
    models = [json.loads(line) for line in sealed.client.get(f"{API}/snapshot").text.splitlines()]
    events = [model["event"] for model in models if model["kind"] == "model"]
    assert [(event["seq"], event["position"]) for event in events] == [(3, 2), (3, None)]
    assert [event["proof"] for event in events] == [None, None]
    asked_for = [json.loads(line) for line in sealed.client.get(f"{API}/snapshot?proof=true").text.splitlines()]
    proven, waiting = (model["event"] for model in asked_for if model["kind"] == "model")
    assert waiting == events[1]
    assert proven | {"proof": None} == events[0]
    for proof in (proven["proof"], sealed.client.get(f"{API}/audit/proof/2").get_json()):
        checkpoint = sealed.open(proof["checkpoint"])
        hashes = [bytes.fromhex(one) for one in proof["proof"]]
        assert verify_inclusion(bytes.fromhex(events[0]["hash"]), 2, checkpoint.size, hashes, checkpoint.root)
        assert not verify_inclusion(bytes.fromhex(events[1]["hash"]), 2, checkpoint.size, hashes, checkpoint.root)


def test_an_erased_text_is_its_digest(sealed: Sealed) -> None:
    sealed.client.post(f"{API}/models", json={"name": "a", "description": "words"})
    sealed.place.tamper("DELETE FROM audit.private")
    [model] = taken(sealed.client)
    assert set(model["description"]) == {"salted_sha256"}


def test_it_is_a_file_of_json_lines_and_a_moment_of_its_own(sealed: Sealed) -> None:
    answer = sealed.client.get(f"{API}/snapshot?at=2026-01-01T00:00:00%2B01:00")
    assert answer.headers["Content-Type"] == "application/jsonl"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=snapshot-")
    assert json.loads(answer.text.splitlines()[0]) == {"kind": "snapshot", "at": "2025-12-31T23:00:00Z"}
    assert sealed.client.get(f"{API}/snapshot?at=yesterday").status_code == 400


def test_it_takes_three_statements_a_batch(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abcdefgh":
        sealed.write(5, name)
    with counted() as sent:
        taken(sealed.client)
    assert len(sent) == 1 + 3  # the clock; events, texts, positions
    monkeypatch.setattr(snapshot, "BATCH", 15)
    with counted() as sent:
        taken(sealed.client)
    assert len(sent) == 1 + 3 * 3


def test_who_may_not_read_gets_nothing(client: FlaskClient) -> None:
    client.environ_base.pop("HTTP_AUTHORIZATION")
    assert client.get(f"{API}/snapshot").status_code == 401


def test_the_past_of_one_version_names_its_event(sealed: Sealed) -> None:
    client = sealed.client
    client.post(f"{API}/models", json={"name": "a"})
    client.post(f"{API}/models/a/versions", json={"source": "s3://b/k"})
    moved = client.post(f"{API}/models/a/versions/1/transitions", json={"to": "Production"})
    stream, seq, digest = moved.headers["Audit-Receipt"].rsplit("/", 2)
    at = now(sealed)
    client.post(f"{API}/models/a/versions/1/transitions", json={"to": "Archived"})
    named = {"stream": stream, "seq": int(seq), "hash": digest, "position": None, "proof": None}
    for path, pick in PAST:
        assert asked(client, path, at=at, proof="true", pick=pick) == named
    sealed.seal()
    for path, pick in PAST:
        assert asked(client, path, at=at, pick=pick) == named | {"position": 2}
        event = asked(client, path, at=at, proof="true", pick=pick)
        proof = event["proof"]
        checkpoint = sealed.open(proof["checkpoint"])
        assert (event["position"], checkpoint.size, proof["leaf"]) == (2, 4, digest)
        hashes = [bytes.fromhex(one) for one in proof["proof"]]
        assert verify_inclusion(bytes.fromhex(digest), 2, 4, hashes, checkpoint.root)
        assert not verify_inclusion(bytes.fromhex(digest), 3, 4, hashes, checkpoint.root)
    assert client.get(f"{API}/resolve?uri=models:/a/1").get_json()["event"] is None
    assert client.get(f"{API}/resolve?uri=models:/a/1&proof=true").get_json()["event"]["position"] == 3


def asked(client: FlaskClient, path: str, *, pick: Any, **query: str) -> dict[str, Any]:
    """The event of an answer about the past."""
    event: dict[str, Any] = pick(
        client.get(path, query_string=query | ({"uri": URI} if path.endswith("resolve") else {})).get_json()
    )["event"]
    return event


URI = "models:/a/Production"
PAST: list[tuple[str, Any]] = [
    (f"{API}/resolve", lambda answer: answer),
    (f"{API}/models/a/stages/Production", lambda answer: answer["items"][0]),
]


def test_a_long_history_after_the_moment_does_not_matter(sealed: Sealed) -> None:
    sealed.write(1, "a")
    at = datetime.fromisoformat(now(sealed))
    sealed.write(3, "b")
    with sealed.place.engine.begin() as connection:
        later = connection.execute(text("SELECT min(at_us) FROM audit.event WHERE model_id = 2")).scalar_one()
    assert [line["name"] for line in taken(sealed.client, at.isoformat())] == ["a"]
    exact = datetime.fromtimestamp(0, at.tzinfo) + timedelta(microseconds=later)
    assert [line["name"] for line in taken(sealed.client, exact.isoformat())] == ["a", "b"]
