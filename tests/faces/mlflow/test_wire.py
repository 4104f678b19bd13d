"""The JSON conventions of the MLflow wire, request by request. Texts are MLflow's; its defects are not."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.factories import make_model, make_version, unique

pytestmark = pytest.mark.usefixtures("context")

AT = "/api/2.0/mlflow/"
DOCS = " See the API docs for more information about request parameters."


def post(client: FlaskClient, path: str, body: bytes | str, kind: str | None = "application/json") -> TestResponse:
    headers = {} if kind is None else {"Content-Type": kind}
    return client.post(AT + path, data=body, headers=headers)


def said(answer: TestResponse) -> tuple[int, str, str]:
    body = answer.get_json()
    return answer.status_code, body["error_code"], body["message"]


def invalid(message: str) -> tuple[int, str, str]:
    return 400, "INVALID_PARAMETER_VALUE", message


def wrong(shown: str, name: str, kind: str) -> str:
    return f"Invalid value {shown} for parameter '{name}' supplied:  Hint: Value was of type '{kind}'.{DOCS}"


def missing(name: str) -> str:
    return f"Missing value for required parameter '{name}'.{DOCS}"


CREATE, GET = "registered-models/create", "registered-models/get"
VERSION, STAGE = "model-versions/create", "model-versions/transition-stage"

NO_ARCHIVING = (
    "Model version transition cannot archive existing model versions because 'Archived' is not an Active stage. "
    "Valid stages are ['Staging', 'Production']"
)

BODIES: list[tuple[str, str, Any, str]] = [
    ("nothing at all", CREATE, b"", missing("name")),
    ("null", CREATE, b"null", missing("name")),
    ("no JSON", CREATE, b"{", missing("name")),
    ("no UTF-8", CREATE, b"\xff\xfe", missing("name")),
    ("a name that is null", CREATE, b'{"name": null}', missing("name")),
    ("a name that is empty", CREATE, b'{"name": ""}', missing("name")),
    ("a blank name", CREATE, b'{"name": "  "}', "Missing value for required parameter 'name'."),
    ("a list", CREATE, b"[]", "The body must be a JSON object, not a value of type 'list'."),
    ("a number", CREATE, b"7", "The body must be a JSON object, not a value of type 'int'."),
    ("a name that is a number", CREATE, b'{"name": 7}', wrong("7", "name", "int")),
    ("a name that is a list", CREATE, b'{"name": ["a"]}', wrong('["a"]', "name", "list")),
    ("tags that are an object", CREATE, b'{"name": "x", "tags": {"a": "b"}}', wrong('{"a":"b"}', "tags", "dict")),
    ("a tag of a number", CREATE, b'{"name": "x", "tags": [{"key": "k", "value": 1}]}', ""),
    ("a NUL", CREATE, b'{"name": "a\\u0000b"}', "'name' must not contain the NUL character."),
    ("half a character", CREATE, b'{"name": "\\ud800"}', "'name' is not valid Unicode text."),
    ("a version that is a number", STAGE, b'{"name": "x", "version": 6, "stage": "Staging"}',
     wrong("6", "version", "int")),
    ("the first of several faults", STAGE, b'{"version": 6}', missing("name")),
    ("a flag that is text", STAGE,
     b'{"name": "x", "version": "1", "stage": "Staging", "archive_existing_versions": "true"}',
     wrong('"true"', "archive_existing_versions", "str")),
    ("a flag that is a number", STAGE,
     b'{"name": "x", "version": "1", "stage": "Staging", "archive_existing_versions": 1}',
     wrong("1", "archive_existing_versions", "int")),
    ("an unknown stage", STAGE, b'{"name": "x", "version": "1", "stage": "bogus"}',
     "Invalid Model Version stage: bogus. Value must be one of None, Staging, Production, Archived."),
    ("a stage with spaces", STAGE, b'{"name": "x", "version": "1", "stage": " Production"}',
     "Invalid Model Version stage:  Production. Value must be one of None, Staging, Production, Archived."),
    ("a version that is a word", STAGE, b'{"name": "x", "version": "abc", "stage": "Staging"}',
     "Parameter 'version' must be an integer, got 'abc'."),
    ("making way in Archived", STAGE,
     b'{"name": "x", "version": "1", "stage": "Archived", "archive_existing_versions": true}',
     NO_ARCHIVING),
    ("both spellings", "registered-models/rename", b'{"name": "x", "new_name": "a", "newName": "b"}',
     "Request specifies both 'new_name' and 'newName'; provide only one of them."),
    ("a required field in camelCase", "registered-models/rename", b'{"name": "x", "newName": "b"}',
     missing("new_name")),
]  # fmt: skip


@pytest.mark.parametrize(("says", "path", "body", "message"), BODIES, ids=[row[0] for row in BODIES])
def test_a_bad_body(client: FlaskClient, says: str, path: str, body: bytes, message: str) -> None:
    answer = said(post(client, path, body))
    assert answer[:2] == (400, "INVALID_PARAMETER_VALUE")
    assert not message or answer[2] == message


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (None, "Bad Request. Content-Type header is missing."),
        ("text/plain", "Bad Request. Content-Type must be one of ['application/json']."),
        ("Application/JSON", "Bad Request. Content-Type must be one of ['application/json']."),
    ],
)
def test_a_post_has_to_say_that_it_sends_json(client: FlaskClient, kind: str | None, message: str) -> None:
    assert said(post(client, CREATE, b'{"name": "x"}', kind)) == invalid(message)


def test_a_content_type_may_have_parameters(client: FlaskClient) -> None:
    body = json.dumps({"name": unique()})
    assert post(client, CREATE, body, "application/json; charset=utf-8").status_code == 200


def test_json_inside_a_json_string_is_read_too(client: FlaskClient) -> None:
    name = unique()
    answer = post(client, CREATE, json.dumps(json.dumps({"name": name})))
    assert answer.get_json()["registered_model"]["name"] == name


def test_unknown_fields_are_ignored_and_optional_ones_taken_in_camel_case(client: FlaskClient) -> None:
    name = make_model()
    body = {"name": name, "source": "s3://b/k", "runId": "r1", "runLink": "http://x/y", "nonsense": 1}
    version = post(client, VERSION, json.dumps(body)).get_json()["model_version"]
    assert (version["run_id"], version["run_link"]) == ("r1", "http://x/y")


def test_of_a_tag_that_comes_twice_the_last_one_counts(client: FlaskClient) -> None:
    name = unique()
    tags = [{"key": "k", "value": "1"}, {"key": "k", "value": "2"}, {"key": "empty"}]
    model = post(client, CREATE, json.dumps({"name": name, "tags": tags})).get_json()["registered_model"]
    assert sorted(model["tags"], key=lambda tag: str(tag["key"])) == [
        {"key": "empty", "value": ""},
        {"key": "k", "value": "2"},
    ]


def test_a_get_reads_its_query_and_without_one_its_body(client: FlaskClient) -> None:
    name = make_model()
    assert client.get(AT + GET, query_string={"name": name}).status_code == 200
    assert client.get(AT + GET, json={"name": name}).status_code == 200
    assert said(client.get(AT + GET + "?other=1", json={"name": name})) == invalid(missing("name"))


def test_delete_and_patch_read_their_body_and_not_their_query(client: FlaskClient) -> None:
    name = make_model()
    for verb, path in (("DELETE", "registered-models/delete"), ("PATCH", "registered-models/update")):
        answer = client.open(AT + path, method=verb, query_string={"name": name})
        assert said(answer) == invalid(missing("name"))
    answer = client.delete(AT + "registered-models/delete", data=json.dumps({"name": name}))  # no Content-Type
    assert (answer.status_code, answer.get_json()) == (200, {})


def test_repeated_stages_are_a_list_in_a_query_and_must_be_one_in_a_body(client: FlaskClient) -> None:
    name = make_model()
    for stage in ("Staging", "Production", "Archived"):
        number = make_version(name)
        body = {"name": name, "version": str(number), "stage": stage}
        assert client.post(AT + STAGE, json=body).status_code == 200
    path = AT + "registered-models/get-latest-versions"
    found = client.get(path + f"?name={name}&stages=production&stages=STAGING").get_json()["model_versions"]
    assert {version["current_stage"] for version in found} == {"Staging", "Production"}
    everything = client.post(path, json={"name": name, "stages": []}).get_json()["model_versions"]
    assert len(everything) == 3
    answer = client.post(path, json={"name": name, "stages": "Production"})
    assert said(answer) == invalid(wrong('"Production"', "stages", "str"))


SIZES = [
    ("0", None),
    ("-1", None),
    ("1001", wrong('"1001"', "max_results", "str")),
    ("5.0", wrong('"5.0"', "max_results", "str")),
    ("1e2", wrong('"1e2"', "max_results", "str")),
    ("", wrong('""', "max_results", "str")),
    ("٣", wrong('"\\u0663"', "max_results", "str")),
]


@pytest.mark.parametrize(("size", "message"), SIZES)
def test_the_size_of_a_page_is_a_positive_integer(client: FlaskClient, size: str, message: str | None) -> None:
    answer = client.get(AT + "registered-models/search", query_string={"max_results": size})
    message = message or f"Invalid value for max_results. It must be a positive integer, but got {size}"
    assert said(answer) == invalid(message)


def test_numbers_are_texts_times_are_milliseconds_and_what_is_empty_is_absent(client: FlaskClient) -> None:
    name = make_model()
    make_version(name)
    version = client.get(AT + "model-versions/get", query_string={"name": name, "version": "01"}).get_json()
    fields = version["model_version"]
    assert fields["version"] == "1"
    assert fields["status"] == "READY"
    assert fields["creation_timestamp"] == fields["last_updated_timestamp"] > 1_700_000_000_000
    assert (fields["run_id"], fields["run_link"]) == ("", "")
    assert not {"tags", "aliases", "description"} & fields.keys()


def test_a_description_is_empty_text_when_none_came_and_gone_after_an_update_without(client: FlaskClient) -> None:
    name = make_model()
    created = client.post(AT + VERSION, json={"name": name, "source": "s3://b/k"}).get_json()["model_version"]
    assert created["description"] == ""
    for body, left in (({"description": "d"}, "d"), ({"description": ""}, ""), ({}, None)):
        asked = {"name": name, "version": "1", **body}
        answer = client.patch(AT + "model-versions/update", json=asked).get_json()["model_version"]
        assert answer.get("description") == left


def test_aliases_show_where_mlflow_shows_them(client: FlaskClient) -> None:
    name = make_model()
    make_version(name)
    client.post(AT + "registered-models/alias", json={"name": name, "alias": "champion", "version": "1"})
    model = client.get(AT + GET, query_string={"name": name}).get_json()["registered_model"]
    assert model["aliases"] == [{"alias": "champion", "version": "1"}]
    assert "aliases" not in model["latest_versions"][0]
    latest = client.post(AT + "registered-models/get-latest-versions", json={"name": name}).get_json()
    assert latest["model_versions"][0]["aliases"] == ["champion"]
    found = client.get(AT + "model-versions/search", query_string={"filter": f"name = '{name}'"}).get_json()
    assert "aliases" not in found["model_versions"][0]


ALIASES = [
    ("nope", 400, "INVALID_PARAMETER_VALUE", "Registered model alias nope not found."),
    ("a b", 400, "INVALID_PARAMETER_VALUE",
     "Invalid alias name: 'a b'. Names may only contain alphanumerics, underscores (_), and dashes (-)."),
    ("latest", 404, "RESOURCE_DOES_NOT_EXIST", "Latest version not found for model {name}."),
]  # fmt: skip


@pytest.mark.parametrize(("alias", "status", "code", "message"), ALIASES)
def test_aliases_that_lead_nowhere(client: FlaskClient, alias: str, status: int, code: str, message: str) -> None:
    name = make_model()
    answer = client.get(AT + "registered-models/alias", query_string={"name": name, "alias": alias})
    assert said(answer) == (status, code, message.format(name=name))


DOWNLOADS = [
    ({}, "Missing value for required parameter 'name'."),
    ({"name": "x"}, "Parameter 'version' must be an integer, got ''."),
    ({"name": "x", "version": "v1"}, "Parameter 'version' must be an integer, got 'v1'."),
]


@pytest.mark.parametrize(("query", "message"), DOWNLOADS)
def test_get_download_uri_checks_in_its_own_way(client: FlaskClient, query: dict[str, str], message: str) -> None:
    assert said(client.get(AT + "model-versions/get-download-uri", query_string=query)) == invalid(message)
    assert said(client.get(AT + "model-versions/get-download-uri", json=query)) == invalid(message)


def test_without_a_query_a_get_takes_its_input_from_the_body(client: FlaskClient) -> None:
    name = make_model()
    make_version(name, source="s3://b/here")
    for path in ("get", "get-download-uri"):
        answer = client.get(AT + f"model-versions/{path}", json={"name": name, "version": "1"})
        assert "s3://b/here" in answer.text
        assert client.get(AT + f"model-versions/{path}?x=1", json={"name": name, "version": "1"}).status_code == 400


def test_a_workspace_is_refused_and_not_with_a_5xx(client: FlaskClient) -> None:
    path = AT + "registered-models/search"
    assert client.get(path, headers={"X-MLFLOW-WORKSPACE": " "}).status_code == 200
    answer = client.get(path, headers={"X-MLFLOW-WORKSPACE": "team-a"})
    assert said(answer)[:2] == (400, "FEATURE_DISABLED")


def test_the_ajax_prefix_answers_the_same(client: FlaskClient) -> None:
    name = make_model()
    first, second = (
        client.get(f"{prefix}registered-models/get", query_string={"name": name}).get_json()
        for prefix in (AT, "/ajax-api/2.0/mlflow/")
    )
    assert first == second


@pytest.mark.parametrize("prefix", ["/api/3.0/mlflow", "/ajax-api/3.0/mlflow"])
def test_server_info_is_open_and_knows_no_workspaces(client: FlaskClient, prefix: str) -> None:
    answer = client.get(prefix + "/server-info", headers={"Authorization": ""})
    assert answer.status_code == 200
    assert answer.get_json()["workspaces_enabled"] is False


def test_a_prompt_and_a_model_do_not_share_a_name(client: FlaskClient) -> None:
    prompt = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    name = unique()
    client.post(AT + CREATE, json={"name": name, "tags": prompt})
    same = client.post(AT + CREATE, json={"name": name, "tags": prompt})
    assert said(same) == (400, "RESOURCE_ALREADY_EXISTS", f"Prompt (name={name}) already exists.")
    other = said(client.post(AT + CREATE, json={"name": name}))
    assert other[2].startswith(f"Tried to create a registered model with name '{name}'")
    bad = client.post(AT + VERSION, json={"name": name, "source": "s3://b/k", "tags": prompt})
    assert said(bad) == invalid("Invalid prompt source: 's3://b/k'. Prompt sources must use an MLflow placeholder.")
    assert client.post(AT + VERSION, json={"name": name, "source": "dummy-source", "tags": prompt}).status_code == 200
    for query, found in (("", False), ("tags.`mlflow.prompt.is_prompt` = 'true'", True)):
        filters = " AND ".join(part for part in (f"name = '{name}'", query) if part)
        models = client.get(AT + "registered-models/search", query_string={"filter": filters}).get_json()
        versions = client.get(
            AT + "model-versions/search", query_string={"filter": filters.replace("tags.", "tag.")}
        ).get_json()
        assert bool(models) is bool(versions) is found
