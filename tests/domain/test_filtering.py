"""The search language: what each filter means, what is refused, and that nothing else can happen."""

import random

import pytest

from registry.domain import filtering
from registry.domain.filtering import And, Comparison, IsNull, Node, Not, Or, parse
from registry.errors import Invalid


def name(op: str, value: filtering.Value) -> Comparison:
    return Comparison("name", None, op, value)


A, B, C = name("=", "a"), name("=", "b"), name("=", "c")


def row(sentence: str, *values: object) -> object:
    return pytest.param(*values, id=sentence)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        row("a quoted value is compared", "name = 'a'", A),
        row("double quotes do as well", 'name = "a"', A),
        row("spaces do not matter", "\n name='a'\t", A),
        row("the prefix attribute is left out", "attribute.name = 'a'", A),
        row("a number is an integer", "number >= -3", Comparison("number", None, ">=", -3)),
        row("a number with a point is a fraction", "number < 1.0", Comparison("number", None, "<", 1.0)),
        row("a number with an exponent is a fraction", "number < 1e3", Comparison("number", None, "<", 1000.0)),
        row("a tag has a key", "tag.team = 'a'", Comparison("tag", "team", "=", "a")),
        row("tags is another word for tag", "tags.team = 'a'", Comparison("tag", "team", "=", "a")),
        row("a key may have dots", "tags.a.b.c = 'a'", Comparison("tag", "a.b.c", "=", "a")),
        row("a key may be a keyword", "tags.and = 'a'", Comparison("tag", "and", "=", "a")),
        row("a key may have other letters than ours", "tags.größe = 'a'", Comparison("tag", "größe", "=", "a")),
        row("a key in back quotes may have spaces", "tags.`a b` = 'a'", Comparison("tag", "a b", "=", "a")),
        row("a key in double quotes may have dashes", "tags.\"a-b\" = 'a'", Comparison("tag", "a-b", "=", "a")),
        row("an attribute may be called tag", "tag = 'a'", Comparison("tag", None, "=", "a")),
        row("operators come in any letter case", "name iLike 'a%'", name("ILIKE", "a%")),
        row("a list is a tuple", "name IN ('a', \"b\")", name("IN", ("a", "b"))),
        row("a list may end in a comma", "name IN ('a',)", name("IN", ("a",))),
        row("a list may hold numbers", "name IN (1, 2)", name("IN", (1, 2))),
        row("not in is one operator, however it is spaced", "name not\n in('a')", name("NOT IN", ("a",))),
        row("nothing is a comparison of its own", "tags.k is null", IsNull("tag", "k")),
        row("something is the opposite of nothing", "name IS  NOT NULL", Not(IsNull("name", None))),
    ],
)
def test_a_comparison_names_field_operator_and_value(text: str, meaning: Node) -> None:
    assert parse(text) == meaning


@pytest.mark.parametrize(
    ("quoted", "value"),
    [
        row("a doubled quote stays doubled", "'it''s'", "it''s"),
        row("a backslash before a quote stays", r"'it\'s'", r"it\'s"),
        row("a backslash at the end is only that", "'a\\'", "a\\"),
        row("the other quote needs nothing", '"it\'s"', "it's"),
        row("double quotes double alike", '"a""b"', 'a""b'),
        row("a backslash before a double quote stays", r'"a\"b"', r"a\"b"),
        row("keywords in quotes are text", "' AND name = '", " AND name = "),
        row("so are brackets, semicolons and comments", "'(a); -- /* b'", "(a); -- /* b"),
        row("lines may break", "'a\nb'", "a\nb"),
        row("an empty value is a value", "''", ""),
    ],
)
def test_nothing_in_quotes_is_an_escape(quoted: str, value: str) -> None:
    assert parse(f"name = {quoted}") == name("=", value)


def test_a_quote_ends_where_it_ends() -> None:
    assert parse('name = "a" AND name = "b"') == And((A, B))


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        row("and binds tighter than or", "name='a' OR name='b' AND name='c'", Or((A, And((B, C))))),
        row("on either side of it", "name='a' AND name='b' OR name='c'", Or((And((A, B)), C))),
        row("parentheses bind tightest", "(name='a' OR name='b') AND name='c'", And((Or((A, B)), C))),
        row("not binds tighter than and", "NOT name='a' AND name='b'", And((Not(A), B))),
        row("not reaches over parentheses", "not (name='a' and name='b')", Not(And((A, B)))),
        row("three terms are one list", "name='a' or name='b' or name='c'", Or((A, B, C))),
        row("parentheses around one thing change nothing", "((name='a'))", A),
    ],
)
def test_and_or_not_arrange_comparisons(text: str, meaning: Node) -> None:
    assert parse(text) == meaning


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        row("an empty filter", "", "ends too early"),
        row("a filter of spaces", "  ", "ends too early"),
        row("a comparison without a value", "name =", "ends too early"),
        row("an open parenthesis", "(name = 'a'", "ends too early"),
        row("a missing AND", "name = 'a' name = 'b'", "unexpected 'name' at character 12"),
        row("a trailing AND", "name = 'a' AND", "ends too early"),
        row("an open quote", "name = 'a", 'unexpected "\'" at character 8'),
        row("a value without quotes", "name = a", "unexpected 'a' at character 8"),
        row("a field in quotes", "`name` = 'a'", "unexpected '`name`' at character 1"),
        row("an empty list", "name IN ()", "unexpected ')' at character 10"),
        row("a list that is none", "name IN 'a'", "unexpected \"'a'\" at character 9"),
        row("a comment", "name = 'a' -- b", "unexpected '-- b' at character 12"),
        row("two statements", "name = 'a'; name = 'b'", "unexpected ';' at character 11"),
        row("an operator of another language", "name == 'a'", "Invalid comparator: =="),
        row("a regular expression", "name RLIKE 'a'", "Invalid comparator: RLIKE"),
        row("an unknown prefix", "metric.name = 'a'", "Invalid entity type 'metric'"),
        row("a NUL character", "name = 'a\0'", "NUL"),
        row("half of a surrogate pair", "name = '\ud800'", "not valid Unicode"),
    ],
)
def test_what_is_no_filter_is_refused(text: str, refusal: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(text)

    assert refusal in caught.value.message
    assert caught.value.field == "filter"


def alternating(depth: int) -> str:
    return "NOT (name = 'a' AND " * depth + "name = 'a'" + ")" * depth


@pytest.mark.parametrize(
    ("fits", "too_much", "refusal"),
    [
        row("length", f"name = '{'a' * 19_991}'", f"name = '{'a' * 19_992}'", "20001 characters, at most 20000"),
        row("depth of NOT", "NOT " * 31 + "name = 'a'", "NOT " * 32 + "name = 'a'", "more than 32 levels"),
        row("depth of parentheses", alternating(15), alternating(16), "more than 32 levels"),
        row(
            "number of comparisons",
            " OR ".join(["name = 'a'"] * 100),
            " OR ".join(["name = 'a'"] * 101),
            "101 comparisons, at most 100",
        ),
    ],
)
def test_a_filter_has_a_limited_size(fits: str, too_much: str, refusal: str) -> None:
    parse(fits)

    with pytest.raises(Invalid, match=refusal):
        parse(too_much)


def test_parentheses_that_change_nothing_are_not_depth() -> None:
    assert parse("(" * 5_000 + "name='a'" + ")" * 5_000) == A


PIECES = ["name", "tags.k", "tags.`k`", "=", "!=", "<", "LIKE", "in", "NOT", "IS NULL", "AND", "OR", "(", ")", ",", ";"]
PIECES += ["'", '"', "`", "'a'", '"b"', "5", "1e9", "-1.5", "9" * 30, "\\", "--", "/*", "*/", "# ", "\0", "\ud800"]
PIECES += ["é", "²", "٣", "\n", "%", ".", "\U0001f600", *[" name = 'a' ", " tags.k != 'b' ", " AND ", " OR "] * 8]


def nonsense(seed: int, count: int) -> list[str]:
    chance = random.Random(seed)
    return ["".join(chance.choices(PIECES, k=chance.randint(0, 8))) for _ in range(count)]


HUGE = ["(" * 100_000, "(" * 20_000, "NOT " * 5_000, "'" * 19_999, "`" * 19_999, "\\'" * 10_000, "/* " * 6_600]
HUGE += ["name IN (" * 2_000, "a." * 10_000, "version = " + "9" * 19_000, "IS" + " " * 19_000 + "x"]


def outcome(text: str) -> str:
    try:
        parse(text)
    except Invalid:
        return "refused"
    return "read"


def test_any_text_is_a_filter_or_is_refused() -> None:
    outcomes = [outcome(text) for text in nonsense(seed=1, count=3_000) + HUGE]

    assert outcomes.count("read") > 50
    assert outcomes.count("refused") > 1_000


@pytest.mark.parametrize("text", HUGE, ids=lambda text: text[:9])
def test_any_text_without_nul_can_be_cut_into_tokens(text: str) -> None:
    short = text[: filtering.MAX_LENGTH]

    assert "".join(filtering.tokens(short)).replace(" ", "") == short.replace(" ", "")
