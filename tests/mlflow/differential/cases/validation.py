"""What names, keys, values, aliases, version numbers and long texts are accepted, and in which words others are not."""

from collections.abc import Iterator

from tests.mlflow.differential.requests import Step, delete, get, patch, post, scenario

NAMES = [
    " ",
    "\t",
    "a/b",
    "a:b",
    "/",
    ":",
    ".",
    "..",
    "...",
    "..a",
    ".a",
    "a.",
    "a..b",
    " leading",
    "trailing ",
    "three short words",
    "a@b",
    "a#b",
    "a?b",
    "a%20b",
    "a%b",
    "a\\b",
    "a'b",
    'a"b',
    "a`b",
    "a+b",
    "a&b=c",
    "a\tb",
    "a\nb",
    "line end\n",
    "Größe",
    "モデル",
    "🚀",
    "e\u0301",
    "1234",
    "latest",
    "Production",
    "m-0123456789abcdef0123456789abcdef",
    "None",
    "null",
    "CASE",
    "case",
    "x" * 256,
    "é" * 256,
    "x" * 257,
    "nul\x00character",
    "half a pair \ud800",
]


def in_short(text: str) -> str:
    """A text for a label: long ones by their length."""
    return repr(text) if len(text) < 60 else f"{text[:1]!r} x {len(text)}"


def names() -> Iterator[Step]:
    """Create a model of each name and look at it; use those that are refused elsewhere too."""
    for name in NAMES:
        yield post("registered-models/create", f"create {in_short(name)}", name=name)
        if "\ud800" not in name:
            yield get("registered-models/get", f"get {in_short(name)}", name=name)
    for name in NAMES[:10]:
        yield get("model-versions/get", f"get version 1 of {in_short(name)}", name=name, version="1")
        yield delete("registered-models/delete", f"delete {in_short(name)}", name=name)
        yield patch("registered-models/update", f"describe {in_short(name)}", name=name, description="d")
        yield post("registered-models/get-latest-versions", f"latest versions of {in_short(name)}", name=name)
        yield post("model-versions/create", f"register a version of {in_short(name)}", name=name, source="s3://b/k")


def new_names() -> Iterator[Step]:
    """Rename to each of the names that are refused, and to a few that are not."""
    for number, name in enumerate([*NAMES[:9], "x" * 257, "nul\x00", "new name ", "ü"]):
        yield post("registered-models/create", f"a model to rename to {in_short(name)}", name=f"To rename {number}")
        yield post("registered-models/rename", f"rename to {in_short(name)}", name=f"To rename {number}", new_name=name)


KEYS = [
    "a",
    "a b",
    "a.b",
    "a-b",
    "a_b",
    "a:b",
    "a/b",
    "1",
    "ключ",
    "é",
    " ",
    " a ",
    ".a",
    "a.",
    "...",
    "a..b",
    "a*b",
    "a,b",
    "a'b",
    'a"b',
    "a`b",
    "a@b",
    "a\tb",
    "a\\b",
    "a(b)",
    "a=b",
    "a//b",
    "/a",
    "a/",
    "../x",
    "a/../b",
    "a/./b",
    ".",
    "..",
    "..a",
    "k" * 250,
    "k" * 251,
    "nul\x00",
    "line end\n",
]


def tag_keys() -> Iterator[Step]:
    """Set and delete a tag with each key, on a model and on a version."""
    for key in KEYS:
        yield post("registered-models/set-tag", f"set {in_short(key)}", name="Keys", key=key, value="v")
        yield post(
            "model-versions/set-tag", f"set {in_short(key)} on a version", name="Keys", version="1", key=key, value="v"
        )
        yield delete("registered-models/delete-tag", f"delete {in_short(key)}", name="Keys", key=key)
        yield delete(
            "model-versions/delete-tag", f"delete {in_short(key)} from a version", name="Keys", version="1", key=key
        )


VALUES = ["", " ", "true", "ü🚀", "line\nline", "v" * 5000, "v" * 5001, "v" * 100_000, "v" * 100_001, "nul\x00"]


def tag_values() -> Iterator[Step]:
    """Set each value on a model and on a version, and read it back."""
    for number, value in enumerate(VALUES):
        model = f"Value {number}"
        yield post("registered-models/create", f"a model for {in_short(value)}", name=model)
        yield post("model-versions/create", f"a version for {in_short(value)}", name=model, source="s3://b/k")
        yield post("registered-models/set-tag", f"value {in_short(value)}", name=model, key="k", value=value)
        yield post(
            "model-versions/set-tag",
            f"value {in_short(value)} on a version",
            name=model,
            version="1",
            key="k",
            value=value,
        )
        yield get("registered-models/get", f"with {in_short(value)}", name=model)


ALIASES = [
    "champion",
    "Champion",
    "a-b_c",
    "1",
    "v",
    "v1a",
    "av1",
    "Production",
    "ünïcode",
    "v1",
    "V23",
    "v\u0661",
    "latest",
    "Latest",
    "LATEST",
    " ",
    "a b",
    "a.b",
    "a@b",
    "a/b",
    "a:b",
    "line end\n",
    "nul\x00",
    "a" * 255,
    "a" * 256,
]


def aliases() -> Iterator[Step]:
    """Set, look up and delete each alias."""
    for alias in ALIASES:
        yield post("registered-models/alias", f"set {in_short(alias)}", name="Aliased", alias=alias, version="1")
        yield get("registered-models/alias", f"get {in_short(alias)}", name="Aliased", alias=alias)
        yield delete("registered-models/alias", f"delete {in_short(alias)}", name="Aliased", alias=alias)


NUMBERS = [
    "1",
    "01",
    "0001",
    " 1",
    "1 ",
    "+1",
    "\u0661",
    "1\n",
    "0",
    "-1",
    "2",
    "99",
    "2147483647",
    "2147483648",
    "9223372036854775808",
    "1" * 30,
    "1.0",
    "1e0",
    "0x1",
    "1_0",
    "v1",
    "abc",
    "None",
    "latest",
    "1 1",
]


def numbers() -> Iterator[Step]:
    """Each version number in a query and in a body."""
    for number in NUMBERS:
        shown = in_short(number)
        yield get("model-versions/get", f"get {shown}", name="Numbered", version=number)
        yield get("model-versions/get-download-uri", f"where is {shown}", name="Numbered", version=number)
        yield post("model-versions/set-tag", f"tag {shown}", name="Numbered", version=number, key="k", value="v")
        yield post("model-versions/transition-stage", f"move {shown}", name="Numbered", version=number, stage="Staging")


REST_OF_NUMBERS = [
    patch("model-versions/update", "describe version abc", name="Numbered", version="abc", description="d"),
    delete("model-versions/delete", "delete version abc", name="Numbered", version="abc"),
    delete("model-versions/delete", "delete version -1", name="Numbered", version="-1"),
    delete("model-versions/delete-tag", "untag version 1.0", name="Numbered", version="1.0", key="k"),
    post("registered-models/alias", "alias of version abc", name="Numbered", alias="a", version="abc"),
    post("registered-models/alias", "alias of version 01", name="Numbered", alias="a", version="01"),
    post("registered-models/alias", "alias of version 99", name="Numbered", alias="b", version="99"),
    post("registered-models/alias", "alias of version -1", name="Numbered", alias="b", version="-1"),
    post("registered-models/alias", "alias of a huge version", name="Numbered", alias="b", version="9" * 30),
    post(
        "model-versions/transition-stage",
        "move version abc, archiving",
        name="Numbered",
        version="abc",
        stage="Staging",
        archive_existing_versions=True,
    ),
    get("registered-models/get", name="Numbered"),
]

LONG_TEXTS = [
    ("description", 5000),
    ("description", 5001),
    ("source", 500),
    ("source", 501),
    ("source", 2001),
    ("run_id", 32),
    ("run_id", 33),
    ("run_id", 65),
    ("run_link", 500),
    ("run_link", 501),
    ("run_link", 2001),
]


def long_texts() -> Iterator[Step]:
    """Each text of a version at its length limit and beyond, every time of a model of its own."""
    for number, (field, length) in enumerate(LONG_TEXTS):
        model = f"Long {number}"
        text = "s3://b/".ljust(length, "x") if field == "source" else "x" * length
        yield post("registered-models/create", f"a model for {field} {length}", name=model)
        yield post(
            "model-versions/create", f"{field} of {length}", **({"name": model, "source": "s3://b/k"} | {field: text})
        )
    for length in (5000, 5001):
        text = "x" * length
        yield post(
            "registered-models/create", f"description of a model, {length}", name=f"L {length}", description=text
        )
        yield patch(
            "registered-models/update", f"new description of a model, {length}", name="Long 0", description=text
        )
        yield patch(
            "model-versions/update",
            f"new description of a version, {length}",
            name="Long 2",
            version="1",
            description=text,
        )


NUL = "nul\x00"
NULS = [
    post("registered-models/create", "NUL in a description", name="Nul 1", description=NUL),
    post("registered-models/create", "NUL in a tag", name="Nul 2", tags=[{"key": "k", "value": NUL}]),
    post("registered-models/create", "a model", name="Nul"),
    post("model-versions/create", "NUL in a source", name="Nul", source="s3://b/" + NUL),
    post("model-versions/create", "NUL in a run id", name="Nul", source="s3://b/k", run_id=NUL),
    post("model-versions/create", "NUL in a run link", name="Nul", source="s3://b/k", run_link=NUL),
    patch("registered-models/update", "NUL in a new description", name="Nul", description=NUL),
    get("registered-models/search", "NUL in a filter", filter=f"name = '{NUL}'"),
]

SCENARIOS = [
    scenario("names of models", names()),
    scenario("new names of models", new_names()),
    scenario(
        "keys of tags",
        post("registered-models/create", name="Keys"),
        post("model-versions/create", name="Keys", source="s3://b/k"),
        tag_keys(),
        get("registered-models/get", name="Keys"),
    ),
    scenario("values of tags", tag_values()),
    scenario(
        "aliases",
        post("registered-models/create", name="Aliased"),
        get("registered-models/alias", "latest of no versions", name="Aliased", alias="latest"),
        post("model-versions/create", name="Aliased", source="s3://b/k"),
        aliases(),
        get("registered-models/get", name="Aliased"),
    ),
    scenario(
        "version numbers",
        post("registered-models/create", name="Numbered"),
        post("model-versions/create", name="Numbered", source="s3://b/k"),
        numbers(),
        REST_OF_NUMBERS,
    ),
    scenario("long texts", long_texts()),
    scenario("NUL characters", NULS),
]
