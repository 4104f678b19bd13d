"""What `/api/v1` says to bodies and queries that are not right: every field by its name, and nothing is changed."""

from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.factories import make_model, make_version, unique

pytestmark = pytest.mark.usefixtures("context")

BODIES: list[tuple[str, str, Any, str]] = [
    ("POST", "/models", {"name": "x", "nam": "y"}, "nam"),
    ("POST", "/models", {}, "name"),
    ("POST", "/models", {"name": 7}, "name"),
    ("POST", "/models", {"name": "a\x00b"}, "name"),
    ("POST", "/models", {"name": "\ud800"}, "name"),
    ("POST", "/models", {"name": "a/b"}, "name"),
    ("POST", "/models", {"name": "x", "tags": {"k": 1}}, "tags.k.value"),
    ("POST", "/models", {"name": "x", "tags": ["k"]}, "tags"),
    ("PATCH", "/models/{name}", {"name": None}, "name"),
    ("PATCH", "/models/{name}", {"name": "a/b"}, "name"),
    ("PATCH", "/models/{name}", {"name": "fine", "description": "x" * 5001}, "description"),
    ("PATCH", "/models/{name}/versions/1", {"description": 7}, "description"),
    ("PATCH", "/models/{name}/tags", {}, "tags"),
    ("PATCH", "/models/{name}/tags", {"tags": {"fine": "x", "k": 1}}, "tags.k.value"),
    ("PATCH", "/models/{name}/tags", {"tags": {"fine": "x", "a*b": None}}, "key"),
    ("PATCH", "/models/{name}/versions/1/tags", {"tags": {"fine": "x", "k": "x" * 100_001}}, "value"),
    ("PATCH", "/models/{name}", {"description": "x" * 5001}, "description"),
    ("POST", "/models/{name}/versions", {"source": "s3://b/../k"}, "source"),
    ("POST", "/models/{name}/versions/1/transitions", {"to": "production"}, "to"),
    ("POST", "/models/{name}/versions/1/transitions", {"to": "Staging", "archive_existing": "yes"}, "archive_existing"),
    ("POST", "/models/{name}/versions/1/transitions", {"to": "Staging", "expected_current": 0}, "expected_current"),
    ("POST", "/models/{name}/versions/1/transitions", {"to": "Staging", "expected_current": "1"}, "expected_current"),
    ("POST", "/models/{name}/versions/1/transitions", {"to": "Staging", "reason": "x" * 4097}, "reason"),
    ("POST", "/models/{name}/versions/1/transitions", {"to": "Staging", "actor": "eve"}, "actor"),
    ("PUT", "/models/{name}/aliases/champion", {"version": "1"}, "version"),
    ("PUT", "/models/{name}/aliases/latest", {"version": 1}, "alias"),
    ("PUT", "/models/{name}/tags/a*b", {"value": "x"}, "key"),
    ("POST", "/models/{name}/comments", {"text": "  "}, "text"),
    ("POST", "/models/{name}/comments", {"text": "x" * 16385}, "text"),
]


@pytest.mark.parametrize(("verb", "path", "body", "field"), BODIES)
def test_a_bad_body_is_400_and_names_the_field(
    client: FlaskClient, verb: str, path: str, body: dict[str, Any], field: str
) -> None:
    name = make_model()
    make_version(name)
    before = client.get(f"/api/v1/models/{name}/audit").get_json()["items"]
    answer = client.open("/api/v1" + path.format(name=name), method=verb, json=body)
    assert answer.status_code == 400
    assert field in [fault["field"] for fault in answer.get_json()["errors"]]
    assert client.get(f"/api/v1/models/{name}/audit").get_json()["items"] == before


NO_OBJECTS = [
    (b"", "line 1, column 1"),
    (b"[]", "JSON object"),
    (b"7", "JSON object"),
    (b"null", "JSON object"),
    (b'"{}"', "JSON object"),
    (b"{", "line 1, column 2"),
    (b'{"name":\n  hush}', "line 2, column 3"),
    (b'{"name": "a" "hush"}', "column 14"),
    (b'\xff{"name": "hush"}', "byte 1"),
    (b'\xef\xbb\xbf{"name": "hush"}', "line 1, column 1"),
    (b"{'name': 'hush'}", "column 2"),
    (b"[" * 100_000, "nested too deeply"),
    (b'{"a":' * 100_000, "nested too deeply"),
    (b'{"limit": ' + b"9" * 5_000 + b"}", "too long"),
    (b'{"limit": NaN}', "NaN"),
    (b'{"limit": -Infinity}', "NaN"),
    (b'{"name": "hush", "name": "hush"}', "'name' comes twice"),
]


@pytest.mark.parametrize(("body", "telling"), NO_OBJECTS, ids=range(len(NO_OBJECTS)))
def test_what_is_no_json_object_is_400_and_says_where(client: FlaskClient, body: bytes, telling: str) -> None:
    answer = client.post("/api/v1/models", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.mimetype == "application/problem+json"
    assert telling in answer.get_json()["detail"]
    assert "hush" not in answer.text


@pytest.mark.parametrize(
    ("verb", "path", "part"),
    [
        ("GET", "/models/a%00b", "name"),
        ("DELETE", "/models/a%00b", "name"),
        ("GET", "/models/a%00b/audit", "name"),
        ("GET", "/models/a%00b/stages/Production/history", "name"),
        ("PUT", "/models/{name}/tags/a%00b", "key"),
        ("PUT", "/models/{name}/aliases/a%00b", "alias"),
    ],
)
def test_a_nul_in_a_path_is_400_and_names_the_part(client: FlaskClient, verb: str, path: str, part: str) -> None:
    answer = client.open("/api/v1" + path.format(name=make_model()), method=verb, json={"value": "v"})
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.get_json()["errors"]] == [part]


def test_what_is_not_said_to_be_json_is_415(client: FlaskClient) -> None:
    assert client.post("/api/v1/models", data=b'{"name": "x"}', content_type="text/plain").status_code == 415


QUERIES = [
    ("/audit?order=sideways", "order"),
    ("/audit?limit=0", "limit"),
    ("/audit?limit=1001", "limit"),
    ("/audit?action=nope", "action"),
    ("/audit?since=yesterday", "since"),
    ("/audit?since=2026-11-24T10:00:00", "since"),
    ("/audit?unheard=1", "unheard"),
    ("/audit?version=1", "version"),
    ("/audit?page_token=nonsense", "page_token"),
    ("/resolve", "uri"),
    ("/resolve?uri=models:/m-1", "uri"),
    ("/resolve?uri=runs:/a/b", "uri"),
    ("/resolve?uri=models:/x/v1", "stage"),
    ("/resolve?uri=models:/x/1&at=now", "at"),
]


@pytest.mark.parametrize(("path", "field"), QUERIES)
def test_a_bad_query_is_400_and_names_the_parameter(client: FlaskClient, path: str, field: str) -> None:
    answer = client.get("/api/v1" + path)
    assert answer.status_code == 400
    assert field in [fault["field"] for fault in answer.get_json()["errors"]]


@pytest.mark.parametrize("moment", ["2026-11-24T10:00:00Z", "2026-11-24T11:00:00+01:00", "2026-11-24T11:00:00.5+01:00"])
def test_times_are_taken_with_any_offset(client: FlaskClient, moment: str) -> None:
    assert client.get("/api/v1/audit", query_string={"until": moment}).status_code == 200
    assert client.get(f"/api/v1/audit?until={moment}").status_code == 200


def test_a_number_too_large_for_any_version_is_simply_not_found(client: FlaskClient) -> None:
    name = make_model()
    for number in (0, 2**31, 2**63, 10**30):
        assert client.get(f"/api/v1/models/{name}/versions/{number}").status_code == 404
        assert client.get(f"/api/v1/resolve?uri=models:/{name}/{number}").status_code == 404


def test_pages_link_to_the_next_one_which_keeps_the_question(client: FlaskClient) -> None:
    name = make_model(name=unique("a b+c"))
    for _ in range(4):
        make_version(name)
    path: str | None = f"/api/v1/models/{quote(name)}/audit?limit=2&order=oldest&action=model_version.create"
    pages = []
    while path:
        answer = client.get(path).get_json()
        pages.append([event["version"] for event in answer["items"]])
        path = answer["next"]
    assert pages == [[1, 2], [3, 4]]


@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0, "true", "false", "on", None, [], {}])
@pytest.mark.parametrize("field", ["archive_existing", "dry_run"])
def test_what_is_not_true_or_false_is_no_flag(client: FlaskClient, field: str, value: object) -> None:
    name = make_model()
    path = f"/api/v1/models/{name}/versions/{make_version(name)}/transitions"
    answer = client.post(path, json={"to": "Staging", field: value})
    assert answer.status_code == 400
    assert [error["field"] for error in answer.get_json()["errors"]] == [field]
