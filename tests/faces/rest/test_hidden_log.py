"""The sealed log for somebody who may not read all models: its own events are proven, those of others are not there."""

import json
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from registry.config import Settings
from registry.db import transaction
from registry.domain import tokens
from registry.domain.access import OPERATOR
from registry.vocabulary import Role
from tests.conftest import application, client_with
from tests.faces.rest.conftest import Sealed

AUDIT = "/api/v1/audit"


@pytest.fixture
def narrow(sealed: Sealed) -> Iterator[FlaskClient]:
    """A client with a token for the models called open, on a log that has a secret one too."""
    for name in ("open-1", "secret-1", "open-2", "secret-2"):
        sealed.write(3, name)
    with application(Settings(database_url=sealed.place.url)) as app:
        with app.app_context(), transaction(OPERATOR) as session:
            made = tokens.create(session, OPERATOR, name="ada", role=Role.ADMINISTRATOR, models=["open-*"])
        sealed.seal()
        yield client_with(app, made.secret)


def positions(sealed: Sealed) -> dict[int, str | None]:
    """What every position is about: the name of a model, or none."""
    lines = [json.loads(line) for line in sealed.client.get(f"{AUDIT}?format=jsonl").text.splitlines()[:-1]]
    return {position: line.get("model") for position, line in enumerate(lines)}


def test_only_what_may_be_read_is_proven(sealed: Sealed, narrow: FlaskClient) -> None:
    found = positions(sealed)
    assert len(set(found.values())) == 5
    for position, model in found.items():
        answer = narrow.get(f"{AUDIT}/proof/{position}")
        open_to_it = model is not None and model.startswith("open-")
        assert answer.status_code == (200 if open_to_it else 404), model
        if not open_to_it:
            assert answer.get_json()["detail"] == f"There is no event at position {position} that 'ada' may read."
    assert narrow.get(f"{AUDIT}/proof/{len(found)}").status_code == 404
    assert narrow.get(f"{AUDIT}/checkpoint").status_code == 200
    assert narrow.get(f"{AUDIT}/consistency?from=1").status_code == 200


def test_only_what_may_be_read_is_followed_and_shown(sealed: Sealed, narrow: FlaskClient) -> None:
    wanted = [position for position, model in positions(sealed).items() if model and model.startswith("open-")]
    tail = narrow.get(f"{AUDIT}?after=-1&limit=1000").get_json()
    assert [event["position"] for event in tail["items"]] == wanted
    page = narrow.get(f"{AUDIT}?order=oldest&limit=1000").get_json()
    assert sorted(event["position"] for event in page["items"]) == wanted
    for kind in ("csv", "jsonl&order=newest"):
        assert "secret" not in narrow.get(f"{AUDIT}?format={kind}").text
    shown = narrow.get("/api/v1/snapshot").text
    assert "open-1" in shown
    assert "secret" not in shown
    assert json.loads(shown.splitlines()[-1])["models"] == 2


def test_the_whole_log_with_its_checkpoint_is_for_those_who_may_read_all(narrow: FlaskClient) -> None:
    refused = narrow.get(f"{AUDIT}?format=jsonl")
    assert refused.status_code == 403
    assert "tells of every model, and there may be some that 'ada' may not read" in refused.get_json()["detail"]
