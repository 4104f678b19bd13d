"""The filters and orders of the MLflow face: what MLflow accepts is read, what it refuses is refused in its words."""

import random
from collections.abc import Callable

import pytest

from registry.domain.filtering import Comparison, OrderKey, Value
from registry.errors import Invalid
from registry.faces.mlflow.filters import (
    parse_model_filter,
    parse_model_order_by,
    parse_version_filter,
    parse_version_order_by,
    split_prompt_mode,
)

PROMPT = "tags.`mlflow.prompt.is_prompt`"


def on(field: str, op: str, value: Value) -> Comparison:
    return Comparison(field, None, op, value)


def tag(key: str, op: str, value: str) -> Comparison:
    return Comparison("tag", key, op, value)


def row(sentence: str, *values: object) -> object:
    return pytest.param(*values, id=sentence)


NAMED_A, NAMED_B = on("name", "=", "a"), on("name", "=", "b")

SHARED = [
    row("no filter", None, []),
    row("an empty filter is none", "", []),
    row("one comparison", "name = 'a'", [NAMED_A]),
    row("the prefix attribute means the same", "attribute.name = 'a'", [NAMED_A]),
    row("spaces are not needed", "name='a'AND name='b'", [NAMED_A, NAMED_B]),
    row("and in any letter case", "name='a' aNd name='b'", [NAMED_A, NAMED_B]),
    row("a leading AND is forgiven", "AND name = 'a'", [NAMED_A]),
    row("a trailing AND is forgiven", "name = 'a' AND", [NAMED_A]),
    row("a doubled AND is forgiven", "name = 'a' AND AND name = 'b'", [NAMED_A, NAMED_B]),
    row("a missing AND is forgiven", "name = 'a' name = 'b'", [NAMED_A, NAMED_B]),
    row("a lone AND is no filter", "AND", []),
    row("the same twice is kept twice", "name = 'a' AND name = 'a'", [NAMED_A, NAMED_A]),
    row("not equal", "name != 'a'", [on("name", "!=", "a")]),
    row("like in any letter case", "name lIkE 'a%'", [on("name", "LIKE", "a%")]),
    row("ilike", "name ILIKE '%a_'", [on("name", "ILIKE", "%a_")]),
    row("in", "name in ('a', \"b\")", [on("name", "IN", ("a", "b"))]),
    row("in with one member, as Python prints it", "name IN ('a',)", [on("name", "IN", ("a",))]),
    row("not in, however it is spaced", "name Not\n In('a')", [on("name", "NOT IN", ("a",))]),
    row("lists without AND", "name IN ('a') name IN ('b')", [on("name", "IN", ("a",)), on("name", "IN", ("b",))]),
    row("a quote in the other quotes", 'name = "it\'s"', [on("name", "=", "it's")]),
    row("a doubled quote is two quotes", "name = 'it''s'", [on("name", "=", "it''s")]),
    row("a backslash is a backslash", r"name = 'it\'s'", [on("name", "=", r"it\'s")]),
    row("also in a list", "name IN ('it''s')", [on("name", "IN", ("it''s",))]),
    row("an empty value", "name = ''", [on("name", "=", "")]),
    row("OR in quotes is text", "name = 'a OR b'", [on("name", "=", "a OR b")]),
    row("a parenthesis in quotes is text", "name IN ('a)', '(b')", [on("name", "IN", ("a)", "(b"))]),
    row("a tag", "tags.team = 'risk'", [tag("team", "=", "risk")]),
    row("a tag, in the singular", 'tag.team != "risk"', [tag("team", "!=", "risk")]),
    row("a key with dots", "tags.a.b.c LIKE 'x%'", [tag("a.b.c", "LIKE", "x%")]),
    row("a key in back quotes", "tags.`a b` ILIKE 'x'", [tag("a b", "ILIKE", "x")]),
    row("a key in double quotes", "tags.\"a-b\" = 'x'", [tag("a-b", "=", "x")]),
    row("keys have a letter case", "tags.K = 'x'", [tag("K", "=", "x")]),
    row("a key that is a keyword", "tags.order = 'x' AND tags.in = 'y'", [tag("order", "=", "x"), tag("in", "=", "y")]),
]

VERSIONS_ONLY = [
    row("a run", "run_id = 'abc'", [on("run_id", "=", "abc")]),
    row("no run", "run_id = ''", [on("run_id", "=", "")]),
    row("some runs", "run_id IN ('a','b')", [on("run_id", "IN", ("a", "b"))]),
    row("no such runs", "attribute.run_id NOT IN ('a')", [on("run_id", "NOT IN", ("a",))]),
    row("a source", "source_path LIKE 's3://%'", [on("source_path", "LIKE", "s3://%")]),
    row("a number", "version_number = 5", [on("version_number", "=", 5)]),
    row("a quoted number", "version_number > '5'", [on("version_number", ">", 5)]),
    row("a negative number", "version_number>=-5", [on("version_number", ">=", -5)]),
    row(
        "a range of numbers",
        "version_number < 5 AND version_number != 3 AND version_number <= 4",
        [on("version_number", "<", 5), on("version_number", "!=", 3), on("version_number", "<=", 4)],
    ),
]


@pytest.mark.parametrize(("text", "meaning"), SHARED)
def test_a_model_filter_is_a_list_of_comparisons(text: str | None, meaning: list[Comparison]) -> None:
    assert parse_model_filter(text) == meaning


@pytest.mark.parametrize(("text", "meaning"), SHARED + VERSIONS_ONLY)
def test_a_version_filter_is_a_list_of_comparisons(text: str | None, meaning: list[Comparison]) -> None:
    assert parse_version_filter(text) == meaning


def test_a_quoted_number_becomes_a_number() -> None:
    [comparison] = parse_version_filter("version_number = '007'")
    assert (comparison.value, type(comparison.value)) == (7, int)


CLAUSES = "Invalid clause(s) in filter string: "
UNQUOTED = (
    "Parameter value is either not quoted or unidentified quote types used for string value {}. "
    "Use either single or double quotes."
)
NO_TEXT = "Expected a quoted string value or a list of quoted string values for attributes. Got value "
NO_TAG_TEXT = "Expected a quoted string value for tag (e.g. 'my-value'). Got value "
SEVERAL = "Search filter contained multiple expression {!r}. Provide AND-ed expression list."
PREFIXES = "Valid entity types are ('attribute', 'tag', 'tags')"
NO_SUBJECT = "Invalid comparison clause. Expected 'Identifier' found "
IN_LIST = "While parsing a list in the query, expected "

REFUSED_BY_BOTH = [
    row("only spaces", " \n ", "Invalid filter ' \n '. Could not be parsed."),
    row("OR", "name = 'a' OR name = 'b'", CLAUSES + "OR"),
    row("or, as it is written", "name = 'a' or name = 'b'", CLAUSES + "or"),
    row("NOT", "name = 'a' AND NOT name = 'b'", CLAUSES + "NOT"),
    row("parentheses", "name = 'a' AND (name = 'b'  OR name = 'c')", CLAUSES + "(name = 'b'  OR name = 'c')"),
    row("nested parentheses", "((name='a'))", CLAUSES + "((name='a'))"),
    row("a parenthesis too many", "name = 'a')", CLAUSES + ")"),
    row("a parenthesis too few", "name IN ('a'", CLAUSES + "name, IN, (, 'a'"),
    row("a line comment", "name = 'a' -- b", CLAUSES + "-- b"),
    row("a block comment", "/* b */ name = 'a'", CLAUSES + "/* b */"),
    row("a comment that does not end", "name = 'a' /* b", CLAUSES + "/* b"),
    row("a semicolon", "name='a';", CLAUSES + ";"),
    row("two statements", "name='a'; name='b'", SEVERAL.format("name='a'; name='b'")),
    row("all that is stray, in order", "x name = 'a' OR y NOT", CLAUSES + "x, OR, y, NOT"),
    row("a comma for AND", "name='a', name='b'", CLAUSES + ","),
    row("a field alone", "name", CLAUSES + "name"),
    row("a missing value", "name =", CLAUSES + "name, ="),
    row("a missing field", "= 'a'", CLAUSES + "=, 'a'"),
    row("an open quote", "name = 'a", CLAUSES + "name, =, ', a"),
    row("between", "name BETWEEN 'a' AND 'b'", CLAUSES + "name, BETWEEN, 'a', 'b'"),
    row("IN without a list", "name IN 'a'", CLAUSES + "name, IN, 'a'"),
    row("a doubled equals sign", "name == 'a'", "Invalid comparator for attribute: =="),
    row("unequal as in SQL", "name <> 'a'", "Invalid comparator for attribute: <>"),
    row("RLIKE", "name rlike 'a'", "Invalid comparator for attribute: RLIKE"),
    row("NOT LIKE", "name NOT LIKE 'a'", "Invalid comparator for attribute: NOT LIKE"),
    row("names have no greater", "name > 'a'", "Invalid comparator for attribute: >"),
    row("tags have no greater", "tags.k > 'a'", "Invalid comparator for tag: >"),
    row("IS NULL", "name IS NULL", "Invalid comparator for attribute: IS NULL"),
    row("a tag IS NOT NULL", "tags.k is not null", "Invalid comparator for tag: IS NOT NULL"),
    row(
        "a list that is not asked to be IN",
        "name = ('a')",
        "Invalid comparator for a list of values: =. Use IN or NOT IN.",
    ),
    row("a value without quotes", "name = abc", UNQUOTED.format("abc")),
    row("a hexadecimal value without quotes", "name = 12ab", UNQUOTED.format("12ab")),
    row("a value in back quotes", "name = `abc`", UNQUOTED.format("`abc`")),
    row("a tag's value without quotes", "tags.k = abc", UNQUOTED.format("abc")),
    row("a value with dashes without quotes", "name = my-model", NO_TEXT + "my-model"),
    row("NULL as a value", "name = NULL", NO_TEXT + "NULL"),
    row("a number for a tag", "tags.k = 5", NO_TAG_TEXT + "5"),
    row("a list for a tag", "tags.k IN ('a')", NO_TAG_TEXT + "('a')"),
    row("NULL for a tag", "tags.k = NULL", NO_TAG_TEXT + "NULL"),
    row("a reversed comparison", "'a' = name", NO_SUBJECT + "''a''"),
    row("a number as a field", "5 = 'a'", NO_SUBJECT + "'5'"),
    row("a key with a dash, without quotes", "tags.a-b = 'x'", NO_SUBJECT + "'tags.a-b'"),
    row("a prefix that is cut short", "attr.name = 'a'", f"Invalid entity type 'attr'. {PREFIXES}"),
    row("a prefix in the plural", "attributes.name = 'a'", f"Invalid entity type 'attributes'. {PREFIXES}"),
    row("a prefix in capitals", "TAGS.k = 'a'", f"Invalid entity type 'TAGS'. {PREFIXES}"),
    row("an empty list", "name IN ()", IN_LIST + "a non-empty list of string values, but got empty list"),
    row(
        "a list of numbers",
        "name IN (1,2)",
        IN_LIST + "string value, punctuation, or whitespace, but got different type in list: (1, 2)",
    ),
    row(
        "a list of this and that",
        "name NOT IN ('a', 1.5)",
        IN_LIST + "string value, punctuation, or whitespace, but got different type in list: ('a', 1.5)",
    ),
    row(
        "a list without quotes", "name IN (a)", IN_LIST + "a non-empty list of string values, but got ill-formed list."
    ),
    row("a list of commas", "name IN (,)", IN_LIST + "a non-empty list of string values, but got ill-formed list."),
    row(
        "a list without commas",
        "name IN ('a' 'b')",
        IN_LIST + "a non-empty list of string values, but got ill-formed list.",
    ),
    row("a list in a list", "name IN (('a'))", IN_LIST + "a non-empty list of string values, but got ill-formed list."),
    row("a NUL character", "name = 'a\0'", "'filter' must not contain the NUL character."),
    row("half of a surrogate pair", "name = '\ud800'", "'filter' is not valid Unicode text."),
    row("strays before senseless values", "name = 5 OR name = 'b'", CLAUSES + "OR"),
    row("senseless values before operators", "name == 'a' AND tags.k = 5", NO_TAG_TEXT + "5"),
]

MODEL_KEYS = "Valid keys are '{'name'}'"
VERSION_KEYS = "Valid keys are '{'name', 'run_id', 'source_path', 'version_number'}'"
NUMERIC = "Invalid value for numeric attribute 'version_number': "

REFUSED_FOR_MODELS = [
    row("a number", "name = 1", NO_TEXT + "1"),
    row("a field of versions", "run_id = 'a'", f"Invalid attribute key 'run_id' specified. {MODEL_KEYS}"),
    row(
        "a field that is not searched",
        "description = 'a'",
        f"Invalid attribute key 'description' specified. {MODEL_KEYS}",
    ),
    row(
        "a time",
        "last_updated_timestamp > 5",
        f"Invalid attribute key 'last_updated_timestamp' specified. {MODEL_KEYS}",
    ),
    row("the field in capitals", "NAME = 'a'", f"Invalid attribute key 'NAME' specified. {MODEL_KEYS}"),
    row("the field in back quotes", "`name` = 'a'", f"Invalid attribute key '`name`' specified. {MODEL_KEYS}"),
    row("tag without a key", "tag = 'a'", f"Invalid attribute key 'tag' specified. {MODEL_KEYS}"),
]

REFUSED_FOR_VERSIONS = [
    row("a stage", "current_stage = 'a'", f"Invalid attribute key 'current_stage' specified. {VERSION_KEYS}"),
    row("version for version_number", "version = '1'", f"Invalid attribute key 'version' specified. {VERSION_KEYS}"),
    row(
        "a number for a name",
        "name = 1",
        "Only the '{'version_number'}' attributes support comparison with numeric values.",
    ),
    row("a fraction", "version_number = 1.5", NUMERIC + "1.5"),
    row("a fraction that is whole", "version_number = 1.0", NUMERIC + "1.0"),
    row("an exponent", "version_number = 1e3", NUMERIC + "1000.0"),
    row("a quoted fraction", "version_number = '1.5'", NUMERIC + "'1.5'"),
    row("a quoted word", "version_number = 'one'", NUMERIC + "'one'"),
    row("a word", "version_number = one", UNQUOTED.format("one")),
    row("a number too great", f"version_number < {2**63}", NUMERIC + str(2**63)),
    row("a pattern of numbers", "version_number LIKE '1%'", "Invalid comparator for attribute version_number: LIKE"),
    row("a number unequal as in SQL", "version_number <> 1", "Invalid comparator for attribute version_number: <>"),
    row(
        "a list of numbers",
        "version_number IN (1)",
        "Only ['name', 'run_id'] attributes support comparison with a list of quoted string values.",
    ),
    row(
        "a list of sources",
        "source_path NOT IN ('a')",
        "Only ['name', 'run_id'] attributes support comparison with a list of quoted string values.",
    ),
]


@pytest.mark.parametrize(("text", "message"), REFUSED_BY_BOTH + REFUSED_FOR_MODELS)
def test_a_model_filter_is_refused_in_mlflows_words(text: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_model_filter(text)

    assert caught.value.message == message


@pytest.mark.parametrize(("text", "message"), REFUSED_BY_BOTH + REFUSED_FOR_VERSIONS)
def test_a_version_filter_is_refused_in_mlflows_words(text: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_version_filter(text)

    assert caught.value.message == message


def test_the_greatest_number_is_still_a_number() -> None:
    assert parse_version_filter(f"version_number < {2**63 - 1}") == [on("version_number", "<", 2**63 - 1)]


def test_a_filter_has_a_limited_number_of_comparisons() -> None:
    assert len(parse_model_filter("name = 'a' " * 100)) == 100

    with pytest.raises(Invalid, match="101 comparisons, at most 100"):
        parse_model_filter("name = 'a' " * 101)


def up(field: str) -> OrderKey:
    return OrderKey(field, descending=False)


def down(field: str) -> OrderKey:
    return OrderKey(field, descending=True)


@pytest.mark.parametrize(
    ("entries", "order"),
    [
        row("by name unless asked otherwise", [], [up("name")]),
        row("name ascends by itself", ["name"], [up("name")]),
        row("name descends on demand", ["name DESC"], [down("name")]),
        row("a direction has any letter case", ["name  dEsC"], [down("name")]),
        row("back quotes do not matter", ["`name` DESC"], [down("name")]),
        row("nor do they without a direction", ["`timestamp`"], [up("last_updated_timestamp"), up("name")]),
        row("double quotes do not matter", ['"name" desc'], [down("name")]),
        row("name breaks ties", ["timestamp DESC"], [down("last_updated_timestamp"), up("name")]),
        row("the long name of timestamp", ["last_updated_timestamp"], [up("last_updated_timestamp"), up("name")]),
        row("keys stay in order", ["name desc", "timestamp asc"], [down("name"), up("last_updated_timestamp")]),
    ],
)
def test_the_order_of_models_leaves_no_ties(entries: list[str], order: list[OrderKey]) -> None:
    assert parse_model_order_by(entries) == order


@pytest.mark.parametrize(
    ("entries", "order"),
    [
        row(
            "the newest change first unless asked otherwise",
            [],
            [down("last_updated_timestamp"), up("name"), down("version_number")],
        ),
        row("the highest number breaks ties", ["name"], [up("name"), down("version_number")]),
        row("name breaks ties of numbers", ["version_number"], [up("version_number"), up("name")]),
        row(
            "name breaks ties before number does",
            ["creation_timestamp DESC"],
            [down("creation_timestamp"), up("name"), down("version_number")],
        ),
        row("nothing to add", ["version_number ASC", "name DESC"], [up("version_number"), down("name")]),
        row("the prefix attribute", ["attribute.name DESC"], [down("name"), down("version_number")]),
        row("back quotes after the prefix", ["attribute.`name`"], [up("name"), down("version_number")]),
    ],
)
def test_the_order_of_versions_leaves_no_ties(entries: list[str], order: list[OrderKey]) -> None:
    assert parse_version_order_by(entries) == order


UNPARSABLE = "Invalid order_by clause '{}'. Could not be parsed."

ORDER_REFUSED_BY_BOTH = [
    row("a direction that is none", ["name FOO"], "Invalid ordering key in order_by clause 'name FOO'."),
    row("nothing", [""], UNPARSABLE.format("")),
    row("spaces", ["  "], UNPARSABLE.format("  ")),
    row("two keys in one entry", ["name, timestamp"], UNPARSABLE.format("name, timestamp")),
    row("two directions", ["name ASC DESC"], UNPARSABLE.format("name ASC DESC")),
    row("a number for a direction", ["name 5"], UNPARSABLE.format("name 5")),
    row("a key in single quotes", ["'name'"], UNPARSABLE.format("'name'")),
    row("a function", ["lower(name)"], UNPARSABLE.format("lower(name)")),
    row("a semicolon", ["name;"], UNPARSABLE.format("name;")),
    row("a comment", ["name -- x"], UNPARSABLE.format("name -- x")),
    row("an open back quote", ["`name"], UNPARSABLE.format("`name")),
    row("a key twice", ["name", "`name` DESC"], "`order_by` contains duplicate fields: ['name', '`name` DESC']"),
    row("a NUL character", ["name\0"], "'order_by' must not contain the NUL character."),
    row("an endless entry", ["x" * 20_001], "'order_by' has 20001 characters, at most 20000 are supported."),
]

MODEL_ORDER_KEYS = "Valid keys are '{'name', 'timestamp'}'"
VERSION_ORDER_KEYS = "{'name', 'version_number', 'creation_timestamp', 'last_updated_timestamp'}"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        *ORDER_REFUSED_BY_BOTH,
        row("an unknown key", ["foo"], f"Invalid order by key 'foo' specified. {MODEL_ORDER_KEYS}"),
        row("a key in capitals", ["NAME desc"], f"Invalid order by key 'NAME' specified. {MODEL_ORDER_KEYS}"),
        row("a prefix", ["attribute.name"], f"Invalid order by key 'attribute.name' specified. {MODEL_ORDER_KEYS}"),
        row(
            "a key of versions",
            ["version_number"],
            f"Invalid order by key 'version_number' specified. {MODEL_ORDER_KEYS}",
        ),
        row(
            "one column by its two names",
            ["timestamp", "last_updated_timestamp DESC"],
            "`order_by` contains duplicate fields: ['timestamp', 'last_updated_timestamp DESC']",
        ),
    ],
)
def test_an_order_of_models_is_refused_in_mlflows_words(entries: list[str], message: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_model_order_by(entries)

    assert (caught.value.message, caught.value.field) == (message, "order_by")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        *ORDER_REFUSED_BY_BOTH,
        row("an unknown key", ["foo"], f"Invalid attribute key 'foo' specified. Valid keys are '{VERSION_ORDER_KEYS}'"),
        row(
            "a key of models",
            ["timestamp"],
            f"Invalid attribute key 'timestamp' specified. Valid keys are '{VERSION_ORDER_KEYS}'",
        ),
        row("a tag", ["tags.k DESC"], f"Invalid order by key 'k' specified. Valid keys are {VERSION_ORDER_KEYS}"),
        row("an unknown prefix", ["attr.name"], f"Invalid entity type 'attr'. {PREFIXES}"),
        row(
            "one column with and without prefix",
            ["name", "attribute.name DESC"],
            "`order_by` contains duplicate fields: ['name', 'attribute.name DESC']",
        ),
    ],
)
def test_an_order_of_versions_is_refused_in_mlflows_words(entries: list[str], message: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_version_order_by(entries)

    assert (caught.value.message, caught.value.field) == (message, "order_by")


@pytest.mark.parametrize(
    ("text", "prompts", "left"),
    [
        row("no filter hides prompts", "", False, []),
        row("other comparisons hide prompts", "name = 'a'", False, [NAMED_A]),
        row("a prompt is asked for", f"{PROMPT} = 'true'", True, [tag("mlflow.prompt.is_prompt", "=", "true")]),
        row(
            "asking in capitals asks, but for that very value",
            f"{PROMPT} = 'TRUE'",
            True,
            [tag("mlflow.prompt.is_prompt", "=", "TRUE")],
        ),
        row(
            "what is not no prompt is one",
            f"name = 'a' AND {PROMPT} != 'False'",
            True,
            [NAMED_A, tag("mlflow.prompt.is_prompt", "!=", "False")],
        ),
        row("the key without quotes", "tag.mlflow.prompt.is_prompt = 'true' name = 'a'", True, None),
        row("what the client adds hides prompts", f"name = 'a' AND {PROMPT} != 'true'", False, [NAMED_A]),
        row("no prompt is asked for", f"{PROMPT} = 'false' AND name = 'a'", False, [NAMED_A]),
        row("no pattern asks for prompts", f"{PROMPT} LIKE 'true'", False, []),
        row("no other value asks for prompts", f"{PROMPT} = 'yes'", False, []),
        row("the first one decides, against prompts", f"{PROMPT} != 'true' AND {PROMPT} = 'true'", False, []),
        row("the first one decides, for prompts", f"{PROMPT} = 'true' AND {PROMPT} != 'true'", True, None),
        row("other tags do not ask for prompts", "tags.is_prompt = 'true'", False, [tag("is_prompt", "=", "true")]),
    ],
)
@pytest.mark.parametrize("parse", [parse_model_filter, parse_version_filter])
def test_prompts_are_found_only_if_asked_for(
    parse: Callable[[str], list[Comparison]], text: str, prompts: bool, left: list[Comparison] | None
) -> None:
    comparisons = parse(text)

    assert split_prompt_mode(comparisons) == (prompts, comparisons if left is None else left)


PIECES = [
    "name",
    "tags.",
    "tags.`k`",
    "version_number",
    "=",
    "!=",
    "<",
    "LIKE",
    "in",
    " NOT ",
    "IS NULL",
    "OR",
    "(",
    ")",
]
PIECES += [",", ";", "'", '"', "`", "'a'", '"b"', "5", "1e999", "-1.5", "9" * 30, "\\", "--", "/*", "*/", "# ", "\0"]
PIECES += ["\ud800", "é", "²", "٣", "\n", "%", ".", " ASC", " desc", *[" name = 'a' ", " tags.k != 'b' ", " AND "] * 8]

HUGE = ["(" * 100_000, "(" * 20_000, "((name" * 3_000, "()" * 10_000, "'" * 19_999, "`" * 19_999, "\\'" * 10_000]
HUGE += ["name IN (" * 2_000, "x " * 10_000, "version_number = '" + "9" * 19_000 + "'", ";" * 20_000, "NOT " * 5_000]


def nonsense(seed: int, count: int) -> list[str]:
    chance = random.Random(seed)
    return ["".join(chance.choices(PIECES, k=chance.randint(0, 6))) for _ in range(count)]


def outcome(read: Callable[[str], object], text: str) -> str:
    try:
        read(text)
    except Invalid:
        return "refused"
    return "read"


@pytest.mark.parametrize("parse", [parse_model_filter, parse_version_filter])
def test_any_text_is_a_filter_or_is_refused(parse: Callable[[str], object]) -> None:
    outcomes = [outcome(parse, text) for text in nonsense(seed=1, count=2_000) + HUGE]

    assert outcomes.count("read") > 100
    assert outcomes.count("refused") > 1_000


@pytest.mark.parametrize("parse", [parse_model_order_by, parse_version_order_by])
def test_any_text_is_an_order_or_is_refused(parse: Callable[[list[str]], object]) -> None:
    outcomes = [outcome(lambda entry: parse([entry]), text) for text in nonsense(seed=2, count=2_000) + HUGE]

    assert outcomes.count("read") > 0
    assert outcomes.count("refused") > 1_000
