"""What names, keys, aliases, stages and numbers may look like: what is accepted, and what is refused in which words."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from registry.domain import names
from registry.errors import Invalid
from registry.vocabulary import Stage

AS_A_FILE = (
    "Names may be treated as files in certain cases, and must not resolve to other names when treated as such. "
    "This name would resolve to "
)


def row(says: str, *values: object) -> Any:
    """One row of a table, called by what it says."""
    return pytest.param(*values, id=says)


def slashed(name: str) -> str:
    return f"Invalid model name '{name}'. Names cannot contain '/' or ':'."


def resolves(name: str, parameter: str, normal: str) -> str:
    return f"Invalid value \"{name}\" for parameter '{parameter}' supplied: {AS_A_FILE}'{normal}'"


def refusal_of(check: Callable[[], object]) -> Invalid:
    with pytest.raises(Invalid) as refused:
        check()
    return refused.value


MODEL_NAMES = [
    row("a plain one", "ChurnPredictionModel"),
    row("one character", "x"),
    row("256 characters", "x" * 256),
    row("256 characters of several bytes", "漢" * 256),
    row("spaces around it", " churn "),
    row("signs that a URI gives a meaning to", "a@b#c?d%20e"),
    row("quotes and a backslash", "a'b\"c\\d"),
    row("tabs and newlines", "a\tb\nc"),
    row("digits alone", "123"),
    row("the word latest", "latest"),
    row("the word of a stage", "Production"),
    row("the id of a logged model", "m-" + "0" * 32),
    row("a hidden file", ".churn"),
    row("dots inside and at the end", "churn.v2.."),
]


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_a_model_may_be_called(name: str) -> None:
    names.check_model_name(name)


NO_MODEL_NAMES = [
    row("nothing", "", "Missing value for required parameter 'name'."),
    row("blanks", " \t\n", "Missing value for required parameter 'name'."),
    row("a slash", "a/b", slashed("a/b")),
    row("a slash at the end", "a/", slashed("a/")),
    row("a colon", "a:b", slashed("a:b")),
    row("this folder", ".", resolves(".", "name", ".")),
    row("the folder above", "..", resolves("..", "name", "..")),
    row("two dots first", "..churn", resolves("..churn", "name", "..churn")),
    row("257 characters", "x" * 257, "'name' exceeds the maximum length of 256 characters"),
]


@pytest.mark.parametrize(("name", "message"), NO_MODEL_NAMES)
def test_a_model_may_not_be_called(name: str, message: str) -> None:
    refused = refusal_of(lambda: names.check_model_name(name))
    assert (refused.message, refused.field) == (message, "name")


def test_a_blank_name_is_refused_under_the_parameter_it_came_by() -> None:
    refused = refusal_of(lambda: names.check_model_name(" ", "new_name"))
    assert (refused.message, refused.field) == ("Missing value for required parameter 'new_name'.", "new_name")


ALIASES = [
    row("a plain one", "champion"),
    row("capitals", "Champion"),
    row("dashes and underscores", "--a_b-"),
    row("letters of other scripts", "冠軍é"),
    row("the word of a stage", "Production"),
    row("digits alone", "1"),
    row("a v alone", "v"),
    row("a v, digits and more", "v1a"),
    row("latest with more", "latest-2"),
    row("255 characters", "x" * 255),
]


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_may_be(alias: str) -> None:
    names.check_new_alias(alias)


def bad_alias(alias: str) -> str:
    return f"Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores (_), and dashes (-)."


NO_ALIASES = [
    row("a space", "a b", bad_alias("a b")),
    row("a dot", "a.b", bad_alias("a.b")),
    row("a slash", "a/b", bad_alias("a/b")),
    row("an at sign", "a@b", bad_alias("a@b")),
    row("a newline at the end", "champion\n", bad_alias("champion\n")),
    row("256 characters", "x" * 256, "'Registered model alias name' exceeds the maximum length of 255 characters"),
]
RESERVED = [
    row("latest", "latest", "'latest' alias name (case insensitive) is reserved."),
    row("latest in capitals", "LaTeST", "'latest' alias name (case insensitive) is reserved."),
    row("a version", "v1", "Version alias name 'v1' is reserved."),
    row("a version in capitals", "V0042", "Version alias name 'V0042' is reserved."),
]


@pytest.mark.parametrize(("alias", "message"), NO_ALIASES + RESERVED)
def test_an_alias_may_not_be(alias: str, message: str) -> None:
    assert refusal_of(lambda: names.check_new_alias(alias)).message == message


@pytest.mark.parametrize(("alias", "message"), NO_ALIASES)
def test_who_asks_for_an_alias_must_spell_one(alias: str, message: str) -> None:
    assert refusal_of(lambda: names.check_alias(alias)).message == message


@pytest.mark.parametrize(("alias", "_"), RESERVED)
def test_who_asks_for_a_reserved_alias_may(alias: str, _: str) -> None:
    names.check_alias(alias)


TAG_KEYS = [
    row("a plain one", "owner"),
    row("every sign allowed", "a/b_c.d-e f:g"),
    row("letters of other scripts", "größe漢"),
    row("a space at the end", "a "),
    row("a hidden file in a folder", "a/.b"),
    row("250 characters", "x" * 250),
]


@pytest.mark.parametrize("key", TAG_KEYS)
def test_a_tag_key_may_be(key: str) -> None:
    names.check_tag_key(key)


def bad_key(key: str) -> str:
    return f"Invalid value {json.dumps(key)} for parameter 'key' supplied: {names.CHARACTERS}"


NO_TAG_KEYS = [
    row("an asterisk", "a*b", bad_key("a*b")),
    row("a quote", "a'b", bad_key("a'b")),
    row("a newline", "a\nb", bad_key("a\nb")),
    row("a newline at the end", "a\n", bad_key("a\n")),
    row("a tab", "a\tb", bad_key("a\tb")),
    row("a backslash", "a\\b", bad_key("a\\b")),
    row("nothing", "", resolves("", "key", ".")),
    row("this folder", ".", resolves(".", "key", ".")),
    row("two slashes", "a//b", resolves("a//b", "key", "a/b")),
    row("a slash first", "/a", resolves("/a", "key", "/a")),
    row("a slash at the end", "a/", resolves("a/", "key", "a")),
    row("the folder above", "../x", resolves("../x", "key", "../x")),
    row("a way back", "a/../b", resolves("a/../b", "key", "b")),
    row("two dots first", "..a", resolves("..a", "key", "..a")),
    row("251 characters", "x" * 251, "'key' exceeds the maximum length of 250 characters"),
]


@pytest.mark.parametrize(("key", "message"), NO_TAG_KEYS)
def test_a_tag_key_may_not_be(key: str, message: str) -> None:
    refused = refusal_of(lambda: names.check_tag(key, ""))
    assert (refused.message, refused.field) == (message, "key")


def test_a_key_that_is_too_long_to_be_set_can_still_be_unset() -> None:
    names.check_tag_key("x" * 251)


TAG_VALUES = [
    row("nothing", "k", ""),
    row("anything", "k", "a*b\n'\""),
    row("100,000 characters", "k", "x" * 100_000),
    row("a prompt of 100,000 characters", names.PROMPT_TEXT_TAG, "漢" * 100_000),
]


@pytest.mark.parametrize(("key", "value"), TAG_VALUES)
def test_a_tag_value_may_be(key: str, value: str) -> None:
    names.check_tag(key, value)


NO_TAG_VALUES = [
    row("100,001 characters", "k", "'value' exceeds the maximum length of 100000 characters"),
    row("a prompt of as many", names.PROMPT_TEXT_TAG, "Prompt text exceeds max length of 100000 characters."),
]


@pytest.mark.parametrize(("key", "message"), NO_TAG_VALUES)
def test_a_tag_value_may_not_be(key: str, message: str) -> None:
    refused = refusal_of(lambda: names.check_tag(key, "x" * 100_001))
    assert (refused.message, refused.field) == (message, "value")


def test_one_bad_tag_among_good_ones_is_found() -> None:
    assert refusal_of(lambda: names.check_tags({"a": "1", "b*": "2", "c": "3"})).message == bad_key("b*")


STAGES = [
    row("as it is written", "Production", Stage.PRODUCTION),
    row("in small letters", "staging", Stage.STAGING),
    row("in capitals", "ARCHIVED", Stage.ARCHIVED),
    row("in between", "nONE", Stage.NONE),
]


@pytest.mark.parametrize(("text", "stage"), STAGES)
def test_a_stage_has_any_letter_case(text: str, stage: Stage) -> None:
    assert names.parse_stage(text) is stage


@pytest.mark.parametrize(
    "text", ["", " Production", "Production ", "Prod", "Deleted_Internal", "latest", "\uff33taging"]
)
def test_no_other_word_is_a_stage(text: str) -> None:
    refused = refusal_of(lambda: names.parse_stage(text))
    words = "Value must be one of None, Staging, Production, Archived."
    assert (refused.message, refused.field) == (f"Invalid Model Version stage: {text}. {words}", "stage")


NUMBERS = [
    row("a number", "7", 7),
    row("leading zeros", "007", 7),
    row("spaces around it", " 7 ", 7),
    row("digits of another script", "\u0667", 7),
    row("a negative one, which no version has", "-7", -7),
    row("a huge one, which no version has", "9" * 100, int("9" * 100)),
]


@pytest.mark.parametrize(("text", "number"), NUMBERS)
def test_a_number_is(text: str, number: int) -> None:
    assert names.parse_number(text) == number


@pytest.mark.parametrize("text", ["", " ", "x", "6.0", "1e3", "1_000", "0x1", "²", "9" * 5_000])
def test_a_number_is_not(text: str) -> None:
    refused = refusal_of(lambda: names.parse_number(text))
    assert (refused.message, refused.field) == (f"Parameter 'version' must be an integer, got '{text}'.", "version")


def test_a_text_is_as_long_as_its_limit_at_most() -> None:
    names.check_text("description", "x" * 10, 10)
    names.check_text("description", None, 10)
    refused = refusal_of(lambda: names.check_text("description", "x" * 11, 10))
    assert (refused.message, refused.field) == (
        "'description' exceeds the maximum length of 10 characters",
        "description",
    )


@pytest.mark.parametrize("text", ["", "plain", "\x01\x7f", "é漢\U0001f600", "\uffff"])
def test_the_database_can_keep(text: str) -> None:
    names.check_storable("field", text)


UNSTORABLE = [
    row("NUL", "a\0b", "'field' must not contain the NUL character."),
    row("the first half of a pair", "\ud800", "'field' is not valid Unicode text."),
    row("the second half of a pair", "é\udfff", "'field' is not valid Unicode text."),
]


@pytest.mark.parametrize(("text", "message"), UNSTORABLE)
def test_the_database_cannot_keep(text: str, message: str) -> None:
    refused = refusal_of(lambda: names.check_storable("field", text))
    assert (refused.message, refused.field) == (message, "field")
