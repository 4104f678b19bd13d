"""Searches of a small registry: filters good and bad, orders, pages, tokens."""

import base64
from collections.abc import Iterator

from tests.mlflow.differential.requests import Step, all_pages, delete, get, patch, post, scenario

MODELS = "registered-models/search"
VERSIONS = "model-versions/search"
RUN_A, RUN_B = "a" * 32, "B" * 32

SEEDED: list[tuple[str, dict[str, str]]] = [
    ("churn", {"team": "risk", "tier": "1"}),
    ("Churn", {"team": "Risk", "tier": "2"}),
    ("CHURN-2", {"team": "growth"}),
    ("churn_x", {"team": "risk", "with space": "yes", "dotted.key": "d", "a/b": "slash"}),
    ("churn%y", {"tier": "10"}),
    ("back\\slash", {"path": "a\\b"}),
    ("it's", {"team": "it's"}),
    ('double"quote', {"team": 'double"quote'}),
    ("Ünïcode", {"team": "Größe"}),
    ("two words", {"empty": ""}),
    ("123", {"number": "5"}),
    ("zeta", {}),
]
SEEDED_VERSIONS: list[tuple[str, str, str, dict[str, str]]] = [
    ("churn", "s3://bucket/churn/1", RUN_A, {"quality": "good", "with space": "yes"}),
    ("churn", "s3://bucket/churn/2", RUN_B, {"quality": "bad"}),
    ("churn", "s3://bucket/Churn/3", "", {}),
    ("Churn", "s3://bucket/churn/1", RUN_A, {"quality": "Good"}),
    ("churn_x", "s3://bucket/churn_x/1", "", {"a.b": "dot"}),
    ("zeta", "gs://bucket/zeta%/1", RUN_B, {"quality": "good"}),
    ("zeta", "gs://bucket/zeta/2", "", {"quality": ""}),
    ("it's", "s3://bucket/it's", "", {}),
    ("Ünïcode", "s3://bucket/ünïcode", "", {"quality": "schön"}),
    ("zeta", "gs://bucket/zeta/3", RUN_A, {}),
]


def as_tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def seed() -> Iterator[Step]:
    """Fill the registry; changes afterwards see to it that orders by time are not orders by creation."""
    for name, tags in SEEDED:
        yield post("registered-models/create", f"seed {name}", name=name, tags=as_tags(tags))
    for number, (name, source, run_id, tags) in enumerate(SEEDED_VERSIONS):
        yield post(
            "model-versions/create",
            f"seed version {number} of {name}",
            name=name,
            source=source,
            run_id=run_id,
            tags=as_tags(tags),
        )
    yield patch("model-versions/update", "touch churn 1", name="churn", version="1", description="touched")
    yield patch("registered-models/update", "touch two words", name="two words", description="touched")
    yield delete("model-versions/delete", "delete zeta 3", name="zeta", version="3")


MODEL_FILTERS = [
    "",
    "name = 'churn'",
    'name = "churn"',
    "name='churn'",
    "name != 'churn'",
    "name = 'CHURN'",
    "name = 'nope'",
    "name = ''",
    "name LIKE 'churn%'",
    "name LIKE 'churn'",
    "name LIKE '%hurn%'",
    "name LIKE 'churn_x'",
    "name LIKE 'churn\\_x'",
    "name LIKE 'churn\\%y'",
    "name LIKE 'churn%y'",
    "name LIKE 'back\\\\slash'",
    "name LIKE '%\\'",
    "name LIKE '_____'",
    "name LIKE '%'",
    "name LIKE ''",
    "name ILIKE 'churn'",
    "name ILIKE 'CHURN%'",
    "name ILIKE '%WORDS'",
    "name ILIKE 'ÜNÏCODE'",
    "name ILIKE 'ünïcode'",
    "name = 'Ünïcode'",
    "name like 'churn%'",
    "name iLike 'CHURN%'",
    "name NOT LIKE 'churn%'",
    "name NOT ILIKE 'churn%'",
    "name IN ('churn', 'zeta')",
    "name in ('churn')",
    "name IN ('churn',)",
    "name IN ('nope')",
    "name IN (\"churn\", 'zeta')",
    "name NOT IN ('churn', 'zeta')",
    "name not in ('churn')",
    "name Not  In ('churn')",
    "name IN ()",
    "name IN (1, 2)",
    "name IN ('churn', 2)",
    "name IN 'churn'",
    "name IN (churn)",
    "name IN ('churn'",
    "name = ('churn')",
    "attribute.name = 'churn'",
    "attributes.name = 'churn'",
    "attr.name = 'churn'",
    "Attribute.name = 'churn'",
    "attribute.`name` = 'churn'",
    "`name` = 'churn'",
    "\"name\" = 'churn'",
    "NAME = 'churn'",
    "attribute.nope = 'x'",
    "description = 'touched'",
    "version_number = 1",
    "run_id = 'x'",
    "timestamp > 0",
    "creation_timestamp > 0",
    "aliases = 'a'",
    "nope = 'x'",
    "x.y = 'z'",
    "tags.team = 'risk'",
    "tag.team = 'risk'",
    "Tags.team = 'risk'",
    "tags.team != 'risk'",
    "tags.team LIKE 'r%'",
    "tags.team ILIKE 'RISK'",
    "tags.team ILIKE 'GRÖSSE'",
    "tags.team ILIKE 'GRÖ%'",
    "tags.team IN ('risk')",
    "tags.team NOT IN ('risk')",
    "tags.team = risk",
    "tags.number = 5",
    "tags.number = '5'",
    "tags.number > '4'",
    "tags.number > 4",
    "tags.tier < '2'",
    "tags.empty = ''",
    "tags.empty != 'x'",
    "tags.nope = 'x'",
    "tags.nope != 'x'",
    "tags.`with space` = 'yes'",
    "tags.\"with space\" = 'yes'",
    "tags.'with space' = 'yes'",
    "tags.with space = 'yes'",
    "tags.dotted.key = 'd'",
    "tags.`dotted.key` = 'd'",
    "tags.`a/b` = 'slash'",
    "tags.a/b = 'slash'",
    "tags. = 'x'",
    "tags = 'x'",
    "tags.`` = 'x'",
    "tags.team = 'risk' AND tags.tier = '1'",
    "tags.team = 'risk' AND tags.team != 'growth'",
    "tags.team LIKE '%i%' AND tags.team LIKE 'r%'",
    "tags.team = 'risk' and name like 'churn%'",
    "tags.team = 'risk' tags.tier = '1'",
    "AND name = 'churn'",
    "name = 'churn' AND",
    "name = 'churn' AND AND name = 'churn'",
    "name = 'churn' AND name = 'zeta'",
    "name = 'churn' AND name = 'churn'",
    "name = 'churn' OR name = 'zeta'",
    "NOT name = 'churn'",
    "(name = 'churn')",
    "name = 'churn' AND (tags.tier = '1')",
    "name = 'churn';",
    "; name = 'churn'",
    "name = 'churn'; name = 'zeta'",
    "name = 'churn' -- comment",
    "name = 'churn' # comment",
    "name = /* comment */ 'churn'",
    "name == 'churn'",
    "name <> 'churn'",
    "name RLIKE 'churn'",
    "name REGEXP 'churn'",
    "name > 'churn'",
    "name < 'd'",
    "name >= 'churn'",
    "name = churn",
    "name = 5",
    "name = 1.5",
    "name = null",
    "name = true",
    "name = `churn`",
    "name IS NULL",
    "name IS NOT NULL",
    "name IS 'churn'",
    "name BETWEEN 'a' AND 'z'",
    "'churn' = name",
    "'a' = 'a'",
    "name = name",
    "5 = 5",
    "name",
    "name =",
    "= 'churn'",
    "'churn'",
    "   ",
    "\n",
    ";",
    "AND",
    "*",
    "name = 'it''s'",
    "name = 'it\\'s'",
    'name = "it\'s"',
    "name = 'double\"quote'",
    "name = 'churn",
    "name = churn'",
    "name = \"churn'",
    "name = 'two words'",
    "name = ' churn'",
    "name\n=\n'churn'",
    "name\t=\t'churn'",
    "name = 'churn'AND tags.tier = '1'",
    "SELECT * FROM registered_models",
    "name = 'x'; DROP TABLE registered_models",
    "name = 'churn' LIMIT 1",
    "name = 'churn' ORDER BY name",
    "lower(name) = 'churn'",
    "name = lower('churn')",
    "name = 'a' || 'b'",
    "name + 'a' = 'b'",
    "name = -1",
    "name LIKE 5",
    "name IN (NULL)",
    "name IN ('churn') AND tags.tier = '1'",
]

VERSION_FILTERS = [
    "",
    "name = 'churn'",
    "name != 'churn'",
    "name LIKE 'churn%'",
    "name ILIKE 'CHURN'",
    "name IN ('churn', 'zeta')",
    "name NOT IN ('churn', 'zeta')",
    'name = "it\'s"',
    "name = 'nope'",
    f"run_id = '{RUN_A}'",
    f"run_id != '{RUN_A}'",
    "run_id = ''",
    "run_id != ''",
    "run_id LIKE 'aa%'",
    "run_id LIKE 'AA%'",
    "run_id ILIKE 'AA%'",
    f"run_id IN ('{RUN_A}', '{RUN_B}')",
    f"run_id IN ('{RUN_A}')",
    f"run_id NOT IN ('{RUN_A}')",
    f"run_id IN ('{RUN_A}',)",
    f"run_id IN ({RUN_A})",
    "run_id IN ()",
    "run_id IN (1, 2)",
    "run_id = 5",
    "source_path = 's3://bucket/churn/1'",
    "source_path != 's3://bucket/churn/1'",
    "source_path LIKE 's3://bucket/churn%'",
    "source_path ILIKE 'S3://BUCKET/churn%'",
    "source_path LIKE '%zeta\\%%'",
    "source_path IN ('s3://bucket/churn/1')",
    "source_path NOT IN ('s3://bucket/churn/1')",
    "source = 's3://bucket/churn/1'",
    "version_number = 1",
    "version_number = '1'",
    'version_number = "1"',
    "version_number != 1",
    "version_number < 2",
    "version_number <= 2",
    "version_number > 1",
    "version_number >= 2",
    "version_number > -1",
    "version_number = 1.5",
    "version_number = 1.0",
    "version_number = '1.0'",
    "version_number = 1e0",
    "version_number = 'one'",
    "version_number = ''",
    "version_number = ' 1 '",
    "version_number = '-1'",
    "version_number = 99999999999",
    "version_number < 99999999999999999999999",
    "version_number LIKE '1'",
    "version_number IN (1)",
    "version_number IN ('1')",
    "version_number == 1",
    "version_number <> 1",
    "version_number = one",
    "version_number",
    "version = '1'",
    "current_stage = 'None'",
    "status = 'READY'",
    "aliases = 'champion'",
    "description = 'touched'",
    "creation_timestamp > 0",
    "attribute.version_number = 1",
    "attribute.run_id = ''",
    "attribute.nope = 'x'",
    "attributes.name = 'churn'",
    "Version_Number = 1",
    "tags.quality = 'good'",
    "tag.quality = 'good'",
    "tags.quality != 'good'",
    "tags.quality LIKE 'g%'",
    "tags.quality ILIKE 'GOOD'",
    "tags.quality ILIKE 'SCHÖN'",
    "tags.quality = ''",
    "tags.quality IN ('good')",
    "tags.quality = 5",
    "tags.nope != 'x'",
    "tags.`with space` = 'yes'",
    "tags.a.b = 'dot'",
    "tags.`a.b` = 'dot'",
    "tags.quality = 'good' AND tags.`with space` = 'yes'",
    "tags.quality = 'good' AND version_number = 1",
    "name = 'churn' AND version_number > 1 AND version_number < 3",
    "name LIKE 'c%' AND run_id = '' AND source_path LIKE '%3'",
    "name = 'churn' version_number = 1",
    "name = 'churn' OR version_number = 1",
    "NOT version_number = 1",
    "name IS NULL",
    "run_id IS NOT NULL",
    "1 = version_number",
    "   ",
    ";",
    "name = 'churn'; run_id = ''",
]

MODEL_ORDERS: list[list[str]] = [
    ["name"],
    ["name ASC"],
    ["name DESC"],
    ["name desc"],
    ["name Asc"],
    ["`name` DESC"],
    ["attribute.name DESC"],
    ["timestamp"],
    ["timestamp ASC"],
    ["timestamp DESC"],
    ["last_updated_timestamp"],
    ["last_updated_timestamp DESC"],
    ["timestamp DESC", "name DESC"],
    ["name", "timestamp"],
    ["name", "name"],
    ["name ASC", "name DESC"],
    ["timestamp", "last_updated_timestamp"],
    ["name, timestamp"],
    ["name,"],
    ["creation_timestamp"],
    ["version_number"],
    ["description"],
    ["tags.team"],
    ["foo"],
    ["foo DESC"],
    ["name FOO"],
    ["name ASC DESC"],
    ["name ASC NULLS FIRST"],
    ["NAME"],
    [""],
    [" "],
    [" name "],
    ["name  DESC"],
    ["name;"],
    ["'name'"],
    ['"name" DESC'],
    ["1"],
    ["name", ""],
    ["lower(name)"],
]
VERSION_ORDERS: list[list[str]] = [
    ["name"],
    ["name DESC"],
    ["version_number"],
    ["version_number ASC"],
    ["version_number DESC"],
    ["version_number DESC", "name DESC"],
    ["version_number ASC", "name ASC"],
    ["creation_timestamp"],
    ["creation_timestamp DESC"],
    ["last_updated_timestamp"],
    ["last_updated_timestamp DESC"],
    ["last_updated_timestamp ASC", "version_number ASC"],
    ["attribute.name DESC"],
    ["attribute.version_number ASC", "name"],
    ["`version_number` DESC"],
    ["timestamp"],
    ["version"],
    ["run_id"],
    ["source_path"],
    ["current_stage"],
    ["tags.quality"],
    ["foo"],
    ["name FOO"],
    ["name", "name DESC"],
    ["version_number", "version_number"],
    ["name, version_number"],
    [""],
    ["VERSION_NUMBER"],
]

SIZES = ["1", "3", "12", "1000", "1001", "0", "-1", "", "x", "5.0", "1e2", "1.5", " 5", "05", "+5", "9" * 20]
VERSION_SIZES = ["1", "3", "9", "1000", "200000", "200001", "0", "-1", "", "x", "5.0", "1e2"]


def token(text: str) -> str:
    """A token of mlflow's make with this inside."""
    return base64.b64encode(text.encode()).decode()


TOKENS = [
    ("empty", ""),
    ("no base64", "nope!"),
    ("bad padding", "abc"),
    ("no JSON", token("nope")),
    ("no UTF-8", base64.b64encode(b"\xff\xfe").decode()),
    ("an empty object", token("{}")),
    ("offset 0", token('{"offset": 0}')),
    ("offset x", token('{"offset": "x"}')),
    ("offset -1", token('{"offset": -1}')),
    ("offset a list", token('{"offset": [1]}')),
    ("a list", token("[1, 2]")),
    ("a number", token("5")),
    ("null", token("null")),
    ("offset past the end", token('{"offset": 100000}')),
]


def model_searches() -> Iterator[Step]:
    """All that can be asked of models."""
    for text in MODEL_FILTERS:
        yield get(MODELS, f"models: filter {text}", filter=text)
    for order in MODEL_ORDERS:
        yield get(MODELS, f"models: order {order}", order_by=order)
    for size in ("1", "3", "5", "6", "12", "13"):
        yield all_pages(MODELS, f"models: pages of {size}", max_results=size)
    matching = {"filter": "tags.team LIKE '%'", "order_by": "name DESC"}
    yield all_pages(MODELS, "models: pages of a filter and an order", max_results="2", **matching)
    yield all_pages(MODELS, "models: pages by time", max_results="5", order_by="timestamp DESC")
    yield all_pages(MODELS, "models: pages by two keys", max_results="5", order_by=["timestamp ASC", "name DESC"])
    for size in SIZES:
        yield get(MODELS, f"models: {size!r} results", max_results=size)
    for kind, text in TOKENS:
        yield get(MODELS, f"models: token: {kind}", page_token=text, max_results="3")
    yield get(MODELS, "models: filter_string is no field", filter_string="name = 'churn'")


def version_searches() -> Iterator[Step]:
    """All that can be asked of versions."""
    for text in VERSION_FILTERS:
        yield get(VERSIONS, f"versions: filter {text}", filter=text)
    for order in VERSION_ORDERS:
        yield get(VERSIONS, f"versions: order {order}", order_by=order)
    for size in ("1", "3", "4", "9", "10"):
        yield all_pages(VERSIONS, f"versions: pages of {size}", max_results=size)
    yield all_pages(VERSIONS, "versions: pages of a filter", max_results="2", filter="name LIKE '%hurn%'")
    for order in (["version_number ASC"], ["name DESC", "version_number ASC"]):
        yield all_pages(VERSIONS, f"versions: pages of the order {order}", max_results="2", order_by=order)
    for size in VERSION_SIZES:
        yield get(VERSIONS, f"versions: {size!r} results", max_results=size)
    for kind, text in TOKENS:
        yield get(VERSIONS, f"versions: token: {kind}", page_token=text, max_results="3")


NOTHING = scenario(
    "searches of an empty registry",
    get(MODELS),
    get(VERSIONS),
    get(MODELS, filter="name = 'x'"),
    get(VERSIONS, filter="tags.a = 'b'"),
)

SCENARIOS = [NOTHING, scenario("searches", seed(), model_searches(), version_searches())]
