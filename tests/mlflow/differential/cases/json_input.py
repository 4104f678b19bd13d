"""How requests are spelled: content types, bodies that are not what they should be, spellings of fields, types."""

import json
from collections.abc import Iterator

from tests.mlflow.differential.requests import Step, delete, get, patch, post, raw, scenario, with_body

NAME = "Spelling"
ALIAS = "registered-models/alias"

CONTENT_TYPES = [
    ("none", {}),
    ("empty", {"Content-Type": ""}),
    ("text", {"Content-Type": "text/plain"}),
    ("form", {"Content-Type": "application/x-www-form-urlencoded"}),
    ("in capitals", {"Content-Type": "Application/JSON"}),
    ("with a space before the semicolon", {"Content-Type": "application/json ; charset=utf-8"}),
    ("with a charset", {"Content-Type": "application/json; charset=utf-8"}),
    ("of another JSON", {"Content-Type": "application/vnd.api+json"}),
]


def typed(verb: str, path: str, kind: str, headers: dict[str, str], **fields: object) -> Step:
    """A request with a body that says to be of some type, or does not say."""
    return raw(verb, path, f"{verb} {path}, type {kind}", json.dumps(fields).encode(), headers)


CONTENT = scenario(
    "content types",
    post("registered-models/create", name="Typed"),
    [typed("POST", "registered-models/get-latest-versions", kind, h, name="Typed") for kind, h in CONTENT_TYPES],
    [typed("PATCH", "registered-models/update", kind, h, name="Typed") for kind, h in CONTENT_TYPES[:4]],
    [typed("DELETE", "registered-models/delete-tag", kind, h, name="Typed", key="k") for kind, h in CONTENT_TYPES[:4]],
    [typed("GET", "registered-models/get", kind, h, name="Typed") for kind, h in CONTENT_TYPES[:4]],
)

BODIES = [
    ("nothing", b""),
    ("spaces", b"  "),
    ("null", b"null"),
    ("an empty object", b"{}"),
    ("half an object", b'{"name": "x"'),
    ("no JSON", b"name=x"),
    ("bytes that are no UTF-8", b'{"name": "\xff\xfe"}'),
    ("a byte order mark", b'\xef\xbb\xbf{"name": "Bodies"}'),
    ("JSON in a string", json.dumps(json.dumps({"name": "Bodies"})).encode()),
    ("JSON in a string in a string", json.dumps(json.dumps(json.dumps({"name": "Bodies"}))).encode()),
    ("a key twice", b'{"name": "nope", "name": "Bodies"}'),
    ("NaN", b'{"name": "Bodies", "x": NaN}'),
    ("an unknown field", b'{"name": "Bodies", "colour": "blue", "nested": {"a": [1]}}'),
    ("a list", b"[]"),
    ("a list of objects", b'[{"name": "Bodies"}]'),
    ("a number", b"5"),
    ("true", b"true"),
    ("a plain string", b'"Bodies"'),
    ("an empty string", b'""'),
]

BODIES_OF_EVERY_KIND = scenario(
    "bodies",
    post("registered-models/create", name="Bodies"),
    [raw("POST", "registered-models/get-latest-versions", f"POST {kind}", body) for kind, body in BODIES],
    [raw("PATCH", "registered-models/update", f"PATCH {kind}", body) for kind, body in BODIES],
    [raw("GET", "registered-models/get", f"GET {kind}", body) for kind, body in BODIES],
)

VERSIONS_IN_BODIES = [
    ("a version", b'{"name": "Places", "version": "1"}'),
    ("another version", b'{"name": "Places", "version": "9"}'),
    ("a name alone", b'{"name": "Places"}'),
    ("a number alone", b'{"version": "1"}'),
    ("an empty name", b'{"name": "", "version": "1"}'),
    ("null for a name", b'{"name": null, "version": "1"}'),
    ("null for a version", b'{"name": "Places", "version": null}'),
    ("a word for a version", b'{"name": "Places", "version": "x"}'),
    ("a version that is no text", b'{"name": "Places", "version": 1}'),
    ("nothing", b""),
]


def versions_in_bodies() -> Iterator[Step]:
    """The routes that ask for a version in a query take it from a body as well, if there is no query."""
    for path in ("model-versions/get", "model-versions/get-download-uri"):
        for kind, body in VERSIONS_IN_BODIES:
            yield raw("GET", path, f"GET {path}: {kind} in the body", body)


WHERE_INPUT_IS_READ = scenario(
    "where input is read",
    post("registered-models/create", name="Places"),
    post("registered-models/create", name="Other places"),
    raw("GET", "registered-models/get?name=Places", "GET: query, not body", b'{"name": "Other places"}'),
    raw("GET", "registered-models/get?x=1", "GET: any query hides the body", b'{"name": "Places"}'),
    raw("GET", "registered-models/get?", "GET: an empty query does not", b'{"name": "Places"}'),
    raw("GET", "registered-models/get?name=Places&name=nope", "GET: a key twice"),
    raw("GET", "registered-models/get?name=", "GET: an empty value"),
    raw("GET", "registered-models/get?name", "GET: no value"),
    raw("GET", "registered-models/get?Name=Places", "GET: capitals"),
    raw("GET", "registered-models/get?name=%50laces", "GET: escaped"),
    raw("GET", "registered-models/get?name=Other+places", "GET: plus for a space"),
    raw("GET", "registered-models/get?name=%ff", "GET: no UTF-8"),
    raw("GET", "registered-models/search", "GET: a search in the body", b'{"filter": "name = \'Places\'"}'),
    raw("GET", "registered-models/search?maxResults=1", "GET: camelCase in a query"),
    raw("GET", "registered-models/search?colour=blue", "GET: unknown key"),
    raw("GET", "registered-models/search", "GET: camelCase in the body", b'{"maxResults": 1}'),
    raw("GET", "registered-models/search", "GET: a number in the body", b'{"max_results": 1}'),
    raw("GET", "registered-models/search", "GET: decimal text in the body", b'{"max_results": "1"}'),
    raw("GET", "registered-models/search", "GET: true for a size in the body", b'{"max_results": true}'),
    raw("GET", "registered-models/search", "GET: a fraction for a size in the body", b'{"max_results": 1.5}'),
    raw("GET", "registered-models/search", "GET: a list for a size in the body", b'{"max_results": [1]}'),
    post("model-versions/create", name="Places", source="s3://b/k"),
    versions_in_bodies(),
    raw("DELETE", "registered-models/delete?name=Places", "DELETE: query", b"", {}),
    raw("DELETE", "registered-models/delete?name=Places", "DELETE: both", b'{"name": "nope"}'),
    raw("PATCH", "registered-models/update?name=Places", "PATCH: query", b"", {}),
    raw("POST", "registered-models/set-tag?name=Places&key=k", "POST: query", b""),
)

NAME_SPELLINGS = scenario(
    "spellings of fields",
    post("registered-models/create", name=NAME),
    post("registered-models/rename", name=NAME, newName="Spelling 2"),
    post("registered-models/rename", name=NAME, new_name="Spelling 2", newName="Spelling 2"),
    post("model-versions/create", name=NAME, source="s3://b/k", runId="r", runLink="l"),
    post("model-versions/create", name=NAME, source="s3://b/k", run_id="r", runId="r"),
    post("model-versions/create", name=NAME, source="s3://b/k", run_id="r", runId=None),
    post("model-versions/create", name=NAME, source="s3://b/k", run_id=None, runId="r"),
    post("model-versions/transition-stage", name=NAME, version="1", stage="Staging", archiveExistingVersions=True),
    post(
        "model-versions/transition-stage",
        name=NAME,
        version="1",
        stage="Staging",
        archiveExistingVersions=True,
        archive_existing_versions=True,
    ),
    post("registered-models/create", "capitals are another field", Name=NAME),
    get("model-versions/get", name=NAME, version="1"),
)

VERSION_1 = {"name": "Wrong types", "version": "1"}
TEXT_FIELDS = [
    ("POST", "registered-models/create", {"name": "Wrong"}, ["name", "description"]),
    ("POST", "registered-models/rename", {"name": "Wrong types", "new_name": "W"}, ["name", "new_name"]),
    ("PATCH", "registered-models/update", {"name": "Wrong types"}, ["description"]),
    ("POST", "registered-models/set-tag", {"name": "Wrong types", "key": "k"}, ["key", "value"]),
    ("DELETE", "registered-models/delete-tag", {"name": "Wrong types", "key": "k"}, ["key"]),
    ("POST", ALIAS, {"name": "Wrong types", "alias": "a", "version": "1"}, ["alias", "version"]),
    ("DELETE", ALIAS, {"name": "Wrong types", "alias": "a"}, ["alias"]),
    (
        "POST",
        "model-versions/create",
        {"name": "Wrong types", "source": "s3://b/k"},
        ["source", "run_id", "run_link", "description", "model_id"],
    ),
    ("PATCH", "model-versions/update", VERSION_1, ["version", "description"]),
    ("POST", "model-versions/transition-stage", {**VERSION_1, "stage": "Staging"}, ["version", "stage"]),
    ("DELETE", "model-versions/delete", {"name": "Wrong types", "version": "9"}, ["version"]),
    ("POST", "model-versions/set-tag", {**VERSION_1, "key": "k"}, ["version", "key", "value"]),
    ("DELETE", "model-versions/delete-tag", {**VERSION_1, "key": "k"}, ["version", "key"]),
]


def number_for_text() -> list[Step]:
    """Each text field of each route with a number in it."""
    return [
        with_body(verb, path, f"{verb} {path}, {field} a number", {**right, field: 6})
        for verb, path, right, fields in TEXT_FIELDS
        for field in fields
    ]


NO_TEXTS: list[tuple[str, object]] = [
    ("true", True),
    ("a fraction", 1.5),
    ("a list", ["a"]),
    ("an empty list", []),
    ("an object", {"a": 1}),
    ("an empty object", {}),
    ("zero", 0),
    ("false", False),
]
NO_BOOLEANS: list[tuple[str, object]] = [
    ("a text", "true"),
    ("1", 1),
    ("0", 0),
    ("an empty text", ""),
    ("a list", [True]),
    ("null", None),
]
TAG_LISTS: list[tuple[str, object]] = [
    ("not a list", "a"),
    ("an object", {"key": "a", "value": "b"}),
    ("null", None),
    ("empty", []),
    ("of texts", ["a"]),
    ("of null", [None]),
    ("of lists", [["a", "b"]]),
    ("with an empty object", [{}]),
    ("without a value", [{"key": "alone"}]),
    ("without a key", [{"value": "alone"}]),
    ("with a null value", [{"key": "nothing", "value": None}]),
    ("with a number as value", [{"key": "k", "value": 1}]),
    ("with a number as key", [{"key": 1, "value": "v"}]),
    ("with true as value", [{"key": "k", "value": True}]),
    ("with an unknown field", [{"key": "k", "value": "v", "colour": "blue"}]),
    ("with a key twice", [{"key": "k", "value": "1"}, {"key": "k", "value": "2"}]),
]


def tag_lists() -> Iterator[Step]:
    """Each list of tags on a model and on a version, every time of a model of its own: not all are accepted by both."""
    for number, (kind, value) in enumerate(TAG_LISTS):
        model = {"name": f"Tagged {number}", "tags": value}
        version = {"name": f"Tagged version {number}", "source": "s3://b/k", "tags": value}
        yield with_body("POST", "registered-models/create", f"tags of a model: {kind}", model)
        yield post("registered-models/create", f"a model for: {kind}", name=version["name"])
        yield with_body("POST", "model-versions/create", f"tags of a version: {kind}", version)


TYPES = scenario(
    "wrong types",
    post("registered-models/create", name="Wrong types"),
    post("model-versions/create", name="Wrong types", source="s3://b/k"),
    number_for_text(),
    [with_body("POST", "registered-models/create", f"name: {kind}", {"name": value}) for kind, value in NO_TEXTS],
    [
        with_body(
            "POST",
            "model-versions/transition-stage",
            f"archive_existing_versions: {kind}",
            {**VERSION_1, "stage": "Staging", "archive_existing_versions": value},
        )
        for kind, value in NO_BOOLEANS
    ],
    tag_lists(),
    [
        post("registered-models/get-latest-versions", "stages: a text", name="Wrong types", stages="Production"),
        post("registered-models/get-latest-versions", "stages: a number in it", name="Wrong types", stages=[1]),
        post("registered-models/get-latest-versions", "stages: null", name="Wrong types", stages=None),
        post("registered-models/get-latest-versions", "stages: null in it", name="Wrong types", stages=[None]),
        post("registered-models/get-latest-versions", "stages: empty", name="Wrong types", stages=[]),
        post("registered-models/get-latest-versions", "stages: an object", name="Wrong types", stages={"a": 1}),
    ],
)

REQUIRED: list[tuple[str, str, list[str], dict[str, object]]] = [
    ("POST", "registered-models/create", ["name"], {}),
    ("POST", "registered-models/rename", ["name", "new_name"], {}),
    ("PATCH", "registered-models/update", ["name"], {"description": "d"}),
    ("DELETE", "registered-models/delete", ["name"], {}),
    ("POST", "registered-models/get-latest-versions", ["name"], {"stages": ["nope"]}),
    ("POST", "registered-models/set-tag", ["name", "key"], {"value": "v"}),
    ("DELETE", "registered-models/delete-tag", ["name", "key"], {}),
    ("POST", ALIAS, ["name", "alias", "version"], {}),
    ("DELETE", ALIAS, ["name", "alias"], {}),
    ("POST", "model-versions/create", ["name", "source"], {"run_id": "r"}),
    ("PATCH", "model-versions/update", ["name", "version"], {"description": "d"}),
    ("POST", "model-versions/transition-stage", ["name", "version", "stage"], {}),
    ("DELETE", "model-versions/delete", ["name", "version"], {}),
    ("POST", "model-versions/set-tag", ["name", "version", "key"], {"value": "v"}),
    ("DELETE", "model-versions/delete-tag", ["name", "version", "key"], {}),
]
REQUIRED_IN_QUERY = [
    ("registered-models/get", ["name"]),
    ("registered-models/get-latest-versions", ["name"]),
    ("registered-models/alias", ["name", "alias"]),
    ("model-versions/get", ["name", "version"]),
    ("model-versions/get-download-uri", ["name", "version"]),
]
FILLED = {"name": "Required", "new_name": "N", "key": "k", "alias": "a", "version": "1", "source": "s3://b/k"}
FILLED["stage"] = "Staging"


def filled(fields: list[str]) -> dict[str, str]:
    """These fields with what is right in them."""
    return {field: FILLED[field] for field in fields}


def lacking_one() -> list[Step]:
    """Each required field once as null and once as an empty text, the others filled."""
    return [
        with_body(verb, path, f"{verb} {path}, {field} is {value!r}", {**filled(fields), field: value})
        for verb, path, fields, _ in REQUIRED
        for field in fields
        for value in (None, "")
    ]


def lacking_all_after() -> list[Step]:
    """The first fields filled, nothing after them: the next one is reported."""
    return [
        with_body(verb, path, f"{verb} {path} with {fields[:count]}", {**filled(fields[:count]), **more})
        for verb, path, fields, more in REQUIRED
        for count in range(len(fields))
    ]


def lacking_in_query() -> list[Step]:
    """The same in queries."""
    return [
        get(path, f"GET {path} with {fields[:count]}", **filled(fields[:count]), other="x")
        for path, fields in REQUIRED_IN_QUERY
        for count in range(len(fields))
    ] + [
        get(path, f"GET {path}, {field} empty", **{**filled(fields), field: ""})
        for path, fields in REQUIRED_IN_QUERY
        for field in fields
    ]


MISSING = scenario(
    "missing parameters",
    post("registered-models/create", name="Required"),
    post("model-versions/create", name="Required", source="s3://b/k"),
    lacking_all_after(),
    lacking_one(),
    lacking_in_query(),
    [
        post("registered-models/set-tag", "a tag without a value", name="Required", key="empty"),
        post("registered-models/set-tag", "a tag with null", name="Required", key="nothing", value=None),
        post("model-versions/set-tag", "a version's tag without a value", name="Required", version="1", key="empty"),
        get("registered-models/get", name="Required"),
    ],
)

ORDER_OF_CHECKS = scenario(
    "which fault comes first",
    post("registered-models/create", name="First"),
    post("registered-models/create", "wrong type of tags, blank name", name="", tags="x"),
    post("registered-models/create", "bad name, bad tag", name="c/d", tags=[{"key": "*", "value": ""}]),
    post("registered-models/create", "taken name, bad tag", name="First", tags=[{"key": "*", "value": ""}]),
    post("registered-models/rename", "unknown model, bad new name", name="nope", new_name="c/d"),
    post("registered-models/rename", "bad name, bad new name", name="c:d", new_name="c/d"),
    post("registered-models/rename", "bad name, good new name", name="c:d", new_name="good"),
    post("registered-models/set-tag", "unknown model, bad key", name="nope", key="*", value="v"),
    post("registered-models/alias", "unknown model, bad alias", name="nope", alias="a b", version="1"),
    post("registered-models/alias", "unknown model, bad version", name="nope", alias="a", version="x"),
    post("registered-models/alias", "bad alias, bad version", name="First", alias="a b", version="x"),
    get("registered-models/alias", "GET: unknown model, bad alias", name="nope", alias="a b"),
    get("registered-models/alias", "GET: unknown model, alias latest", name="nope", alias="latest"),
    delete("registered-models/alias", "DELETE: unknown model, bad alias", name="nope", alias="a b"),
    post("registered-models/get-latest-versions", "unknown model, bad stage", name="nope", stages=["bogus"]),
    post("model-versions/create", "unknown model, bad source", name="nope", source="relative/path"),
    post("model-versions/create", "unknown model, bad tag", name="nope", source="s3://b/k", tags=[{"key": "*"}]),
    post("model-versions/create", "bad source, bad tag", name="First", source="x/y", tags=[{"key": "*"}]),
    post("model-versions/create", "bad name, bad source", name="c/d", source="x/y"),
    post("model-versions/transition-stage", "unknown model, bad stage", name="nope", version="1", stage="bogus"),
    post("model-versions/transition-stage", "bad version, bad stage", name="First", version="x", stage="bogus"),
    post("model-versions/transition-stage", "bad version, good stage", name="First", version="x", stage="None"),
    post(
        "model-versions/transition-stage",
        "unknown version, archiving for a stage that has none",
        name="First",
        version="9",
        stage="None",
        archive_existing_versions=True,
    ),
    patch("model-versions/update", "unknown model, bad version", name="nope", version="x", description="d"),
    post("model-versions/set-tag", "bad version, bad key", name="First", version="x", key="*", value=""),
    post("model-versions/set-tag", "unknown version, bad key", name="First", version="9", key="*", value=""),
    delete("model-versions/delete-tag", "unknown version, bad key", name="First", version="9", key="*"),
    get("registered-models/search", "bad size, bad filter", max_results="x", filter="?"),
    get("registered-models/search", "bad filter, bad order", filter="a = 'b'", order_by="nope"),
    get("registered-models/search", "bad filter, bad token", filter="a = 'b'", page_token="nope"),
    get("registered-models/search", "bad order, bad token", order_by="nope", page_token="nope"),
    get("model-versions/search", "bad size, bad filter", max_results="0", filter="a = 'b'"),
    get("model-versions/search", "bad filter, bad order", filter="a = 'b'", order_by="nope"),
    get("model-versions/search", "bad order, bad token", order_by="nope", page_token="nope"),
)

SCENARIOS = [
    CONTENT,
    BODIES_OF_EVERY_KIND,
    WHERE_INPUT_IS_READ,
    NAME_SPELLINGS,
    TYPES,
    MISSING,
    ORDER_OF_CHECKS,
]
