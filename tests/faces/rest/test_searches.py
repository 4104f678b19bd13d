"""Lists over `/api/v1`: what they show, in which order, page by page, and what they refuse."""

import random
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from registry.db import transaction
from registry.domain import aliases, registered_models
from registry.domain.access import OPERATOR, Principal
from registry.domain.names import PROMPT_TAG
from registry.vocabulary import Role, Stage
from tests.conftest import client_with
from tests.factories import make_model, make_version, unique

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def family() -> str:
    """Three models `<family>-a`, `-b`, `-c` with one to three versions, and the prompt `<family>-prompt`."""
    family = unique("family")
    for count, letter in enumerate("abc", 1):
        name = make_model(name=f"{family}-{letter}", team="risk" if letter == "a" else "fraud")
        for number in range(count):
            make_version(name, stage=list(Stage)[number], k=str(number))
    with transaction(OPERATOR) as session:
        aliases.set(session, OPERATOR, f"{family}-c", "champion", 2)
    with transaction(OPERATOR) as session:
        registered_models.create(session, OPERATOR, f"{family}-prompt", tags={PROMPT_TAG: "true"})
    make_version(f"{family}-prompt")
    return family


def ask(client: FlaskClient, path: str, **query: Any) -> dict[str, Any]:
    answer = client.get(f"/api/v1{path}", query_string=query)
    assert answer.status_code == 200, answer.get_json()
    found: dict[str, Any] = answer.get_json()
    return found


def names(page: dict[str, Any]) -> list[str]:
    return [item["name"][-1:] for item in page["items"]]


def test_models_are_shown_as_the_model_itself_is(client: FlaskClient, family: str) -> None:
    page = ask(client, "/models", filter=f"name LIKE '{family}-%'")
    assert page["items"] == [client.get(f"/api/v1/models/{family}-{letter}").get_json() for letter in "abc"]
    assert page.keys() == {"items", "next"}
    assert page["next"] is None


def test_versions_are_shown_as_the_version_itself_is(client: FlaskClient, family: str) -> None:
    page = ask(client, "/versions", filter=f"name LIKE '{family}-%'", order_by="name,version")
    places = [("a", 1), ("b", 1), ("b", 2), ("c", 1), ("c", 2), ("c", 3)]
    alone = [client.get(f"/api/v1/models/{family}-{letter}/versions/{n}").get_json() for letter, n in places]
    assert page["items"] == alone
    assert page["items"][4]["aliases"] == ["champion"]


def test_versions_of_one_model_come_newest_first_and_are_no_others(client: FlaskClient, family: str) -> None:
    page = ask(client, f"/models/{family}-c/versions", include_total="true")
    assert [(item["name"], item["version"]) for item in page["items"]] == [(f"{family}-c", n) for n in (3, 2, 1)]
    assert page["total"] == 3


def test_filter_and_order_narrow_and_sort(client: FlaskClient, family: str) -> None:
    mine = f"name LIKE '{family}-%'"
    assert names(ask(client, "/models", filter=f"{mine} AND NOT tag.team = 'risk'", order_by="name desc")) == ["c", "b"]
    assert names(ask(client, "/models", filter=f"{mine} AND (alias = 'champion' OR tag.team IN ('risk'))")) == [
        "a",
        "c",
    ]
    page = ask(client, "/versions", filter=f"{mine} AND stage != 'None'", order_by=["version desc", "name"])
    assert [(item["name"][-1], item["version"]) for item in page["items"]] == [("c", 3), ("b", 2), ("c", 2)]
    page = ask(client, f"/models/{family}-c/versions", filter="version >= 2 AND tag.k = '1'")
    assert [item["version"] for item in page["items"]] == [2]


def test_words_narrow_as_a_filter_does(client: FlaskClient, family: str) -> None:
    word = family.partition("-")[2]
    assert names(ask(client, "/models", text=word)) == ["a", "b", "c"]
    assert names(ask(client, "/models", text=f"{word} fraud")) == ["b", "c"]
    assert names(ask(client, "/models", text=f"{word} fraud", filter="alias = 'champion'")) == ["c"]
    assert ask(client, "/versions", text=word, include_total="true", limit=1)["total"] == 6


@pytest.mark.parametrize(("prompts", "found"), [(None, "abc"), ("exclude", "abc"), ("include", "abct"), ("only", "t")])
@pytest.mark.parametrize("path", ["/models", "/versions"])
def test_prompts_are_left_out_unless_they_are_asked_for(
    client: FlaskClient, family: str, path: str, prompts: str | None, found: str
) -> None:
    query = {} if prompts is None else {"prompts": prompts}
    page = ask(client, path, filter=f"name LIKE '{family}-%'", **query)
    assert "".join(sorted({*names(page)})) == found


def test_a_prompt_asked_for_by_name_shows_its_versions(client: FlaskClient, family: str) -> None:
    assert len(ask(client, f"/models/{family}-prompt/versions")["items"]) == 1
    assert ask(client, f"/models/{family}-prompt/versions", prompts="exclude")["items"] == []
    assert ask(client, f"/models/{family}-a/versions", prompts="only")["items"] == []


WALKS = [
    ("/models", {"order_by": "created_at desc"}, 3),
    ("/models", {"order_by": ["updated_at", "name desc"], "prompts": "include"}, 4),
    ("/versions", {}, 6),
    ("/versions", {"order_by": "stage desc,name,version desc"}, 6),
    ("/versions", {"order_by": ["run_id", "created_at desc"], "text": "model"}, 0),
]


@pytest.mark.parametrize("limit", [1, 2, 5])
@pytest.mark.parametrize(("path", "query", "count"), WALKS)
def test_pages_show_everything_once_in_the_same_order(
    client: FlaskClient, family: str, path: str, query: dict[str, Any], count: int, limit: int
) -> None:
    asked = {"filter": f"name LIKE '{family}-%'", **query}
    everything = ask(client, path, **asked)["items"]
    assert len(everything) == count
    page = ask(client, path, limit=limit, include_total="true", **asked)
    walked = page["items"]
    while page["next"]:
        assert page["total"] == count
        page = client.get(page["next"]).get_json()
        walked += page["items"]
    assert walked == everything


def test_pages_stay_exact_while_models_come_and_go(client: FlaskClient, family: str) -> None:
    asked = {"filter": f"name LIKE '{family}-%'", "order_by": "name", "limit": 1}
    first = ask(client, "/models", **asked)
    make_model(name=f"{family}-Z")  # before the place where the next page begins
    make_model(name=f"{family}-bb")
    with transaction(OPERATOR) as session:
        registered_models.delete(session, OPERATOR, f"{family}-a")  # the row that the token names
        registered_models.delete(session, OPERATOR, f"{family}-c")
    found, page = [first["items"][0]["name"]], first
    while page["next"]:
        page = client.get(page["next"]).get_json()
        found += [item["name"] for item in page["items"]]
    assert found == [f"{family}-{rest}" for rest in ("a", "b", "bb")]


@pytest.mark.parametrize(
    "other",
    [
        {"filter": "name LIKE 'f%'"},
        {"order_by": "updated_at"},
        {"text": "family"},
        {"prompts": "include"},
        {"prompts": "only"},
    ],
    ids=str,
)
def test_a_token_belongs_to_its_question(client: FlaskClient, family: str, other: dict[str, str]) -> None:
    link = ask(client, f"/models/{family}-c/versions", limit=1, prompts="exclude")["next"]
    token = link.partition("page_token=")[2]
    again = {"limit": 1, "prompts": "exclude", "page_token": token.replace("%3D", "=")}
    assert ask(client, f"/models/{family}-c/versions", **again)["items"]
    for path, query in [(f"/models/{family}-c/versions", again | other), (f"/models/{family}-b/versions", again)]:
        answer = client.get(f"/api/v1{path}", query_string=query)
        assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (400, "page_token")


REFUSED = [
    ("filter=name", "filter"),
    ("filter=name = 'a' AND", "filter"),
    ("filter=size = 1", "filter"),
    ("filter=name < 1", "filter"),
    ("filter=created_at > 'yesterday'", "filter"),
    (f"filter={'NOT ' * 40}name = 'a'", "filter"),
    ("filter=name = 'a\x00'", "filter"),
    ("filter=name LIKE 'a\\'", "filter"),
    ("order_by=size", "order_by"),
    ("order_by=name&order_by=name desc", "order_by"),
    ("order_by=name up", "order_by"),
    ("text=", "text"),
    ("text=--", "text"),
    (f"text={'x' * 201}", "text"),
    ("text=" + " ".join(f"w{number}" for number in range(17)), "text"),
    ("prompts=yes", "prompts"),
    ("include_total=1", "include_total"),
    ("limit=0", "limit"),
    ("limit=1001", "limit"),
    ("page_token=x", "page_token"),
    ("max_results=5", "max_results"),
]


@pytest.mark.parametrize("path", ["/models", "/versions", "/models/{name}/versions"])
@pytest.mark.parametrize(("query", "field"), REFUSED)
def test_what_makes_no_sense_is_400_and_names_the_parameter(
    client: FlaskClient, path: str, query: str, field: str
) -> None:
    name = make_model()
    answer = client.get(f"/api/v1{path.format(name=name)}?{quote(query, safe='=&')}")
    assert answer.status_code == 400
    assert field in answer.get_json()["errors"][0]["field"]


PIECES = [
    "name",
    "stage",
    "version",
    "created_at",
    "alias",
    "creator",
    "tag.k",
    "tag.`k`",
    "=",
    "!=",
    "<",
    "LIKE",
    "IN",
]
PIECES += ["NOT", "IS NULL", "AND", "OR", "(", ")", ",", "'a'", "'Production'", "'2026-01-01T00:00:00Z'", "5", "9" * 30]
PIECES += ["1e999", "-", "\\", "'", "%", "\0", "\x7f", "é", "\U0001f600", "('a', 'b')", "(1, 2)", "name = 'a'", "desc"]


@pytest.mark.parametrize("parameter", ["filter", "order_by", "text", "page_token"])
@pytest.mark.parametrize("path", ["/models", "/versions"])
def test_any_text_is_answered_or_refused(client: FlaskClient, path: str, parameter: str) -> None:
    chance, seen = random.Random(path + parameter), set()
    for _ in range(150):
        given = " ".join(chance.choices(PIECES, k=chance.randint(1, 5)))
        answer = client.get(f"/api/v1{path}", query_string={parameter: given, "limit": 1})
        assert answer.status_code in {200, 400}, given
        seen.add(answer.status_code)
    assert 400 in seen


@pytest.mark.parametrize("path", ["/models/{0}/versions", "/models/{0}/versions?filter=version = 1"])
def test_versions_of_no_model_are_404(client: FlaskClient, path: str) -> None:
    assert client.get("/api/v1" + path.format(unique())).status_code == 404


def test_who_may_only_read_may_list(app: Flask, credentials: dict[Role, tuple[Principal, str]], family: str) -> None:
    viewer = client_with(app, credentials[Role.VIEWER][1])
    for path in ("/models", "/versions", f"/models/{family}-a/versions"):
        assert viewer.get(f"/api/v1{path}?limit=1").status_code == 200
