"""What names, keys, aliases, stages and texts may look like. The messages are those that MLflow clients know.

Source of the rules: MLflow's REST validation. Where its database column is narrower than its validator, the validator
counts here.
"""

import json
import posixpath
import re
from contextlib import suppress

from registry.errors import Invalid
from registry.vocabulary import Stage

NAME_MAX = 256
ALIAS_MAX = 255
TAG_KEY_MAX = 250
TAG_VALUE_MAX = 100_000
DESCRIPTION_MAX = 5_000
SOURCE_MAX = 2_000
RUN_ID_MAX = 64
MODEL_ID_MAX = 64
RUN_LINK_MAX = 2_000
COMMENT_MAX = 16_384
REASON_MAX = 4_096
HIGHEST_NUMBER = 2**31 - 1

PROMPT_TAG = "mlflow.prompt.is_prompt"
PROMPT_TEXT_TAG = "mlflow.prompt.text"

TAG_KEY = re.compile(r"[/\w.\- :]*")
ALIAS = re.compile(r"[\w\-]*")
DIGEST = re.compile(r"[a-z0-9]+:[0-9a-f]{32,128}")
VERSION_LIKE = re.compile(r"[vV]\d+")

CHARACTERS = (
    "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), "
    "colon(:) and slashes (/)."
)


def check_model_name(name: str, field: str = "name") -> None:
    """:raises Invalid: blank, too long, contains a slash or a colon, or would be another name as a file."""
    check_addressable(name, field)
    check_text("name", name, NAME_MAX)


def check_addressable(name: str, field: str = "name") -> None:
    """:raises Invalid: no model can have this name, so that there is no point in looking for one."""
    if not name.strip():
        raise missing(field)
    if "/" in name or ":" in name:
        raise Invalid(f"Invalid model name '{name}'. Names cannot contain '/' or ':'.", field)
    check_path(name, "name")


def check_alias(alias: str) -> None:
    """:raises Invalid: a character that an alias may not have, or too long."""
    if not ALIAS.fullmatch(alias):
        raise Invalid(
            f"Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores (_), and dashes (-).",
            "alias",
        )
    check_text("Registered model alias name", alias, ALIAS_MAX)


def check_new_alias(alias: str) -> None:
    """:raises Invalid: not an alias, or one that is reserved: `latest`, or like a version number, `v1`."""
    check_alias(alias)
    if alias.lower() == "latest":
        raise Invalid("'latest' alias name (case insensitive) is reserved.", "alias")
    if VERSION_LIKE.fullmatch(alias):
        raise Invalid(f"Version alias name '{alias}' is reserved.", "alias")


def check_tag_key(key: str) -> None:
    """:raises Invalid: a character that a key may not have, or not a plain relative path."""
    if not TAG_KEY.fullmatch(key):
        raise Invalid(f"Invalid value {json.dumps(key)} for parameter 'key' supplied: {CHARACTERS}", "key")
    check_path(key, "key")


def check_tag(key: str, value: str) -> None:
    """:raises Invalid: the key is not one, or the value is too long."""
    check_tag_key(key)
    check_text("key", key, TAG_KEY_MAX)
    if key == PROMPT_TEXT_TAG and len(value) > TAG_VALUE_MAX:
        raise Invalid(f"Prompt text exceeds max length of {TAG_VALUE_MAX} characters.", "value")
    check_text("value", value, TAG_VALUE_MAX)


def check_tags(tags: dict[str, str]) -> None:
    """:raises Invalid: one of the tags is not right."""
    for key, value in tags.items():
        check_tag(key, value)


def check_digest(digest: str | None) -> None:
    """:raises Invalid: not `<algorithm>:<hexadecimal digits>`."""
    if digest is not None and not DIGEST.fullmatch(digest):
        raise Invalid(
            f"Invalid digest '{digest}'. Write it as <algorithm>:<32 to 128 hexadecimal digits>, all in lower case, "
            "such as sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.",
            "digest",
        )


def check_path(name: str, field: str) -> None:
    """:raises Invalid: as a relative path, the name would mean another one, or leave its folder."""
    normal = posixpath.normpath(name)
    if normal != name or name == "." or name.startswith(("..", "/")):
        raise Invalid(
            f"Invalid value {json.dumps(name)} for parameter '{field}' supplied: Names may be treated as files in "
            "certain cases, and must not resolve to other names when treated as such. "
            f"This name would resolve to '{normal}'",
            field,
        )


def check_text(field: str, value: str | None, limit: int) -> None:
    """:raises Invalid: longer than `limit` characters."""
    if value is not None and len(value) > limit:
        raise Invalid(f"'{field}' exceeds the maximum length of {limit} characters", field)


def check_storable(field: str, value: str) -> None:
    """:raises Invalid: holds what PostgreSQL cannot keep: a NUL character or half of a surrogate pair."""
    if "\x00" in value:
        raise Invalid(f"'{field}' must not contain the NUL character.", field)
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise Invalid(f"'{field}' is not valid Unicode text.", field)


def parse_stage(text: str) -> Stage:
    """The stage that a word in any letter case means.

    :raises Invalid: no stage is called so.
    """
    for stage in Stage:
        if stage.lower() == text.lower():
            return stage
    raise Invalid(
        f"Invalid Model Version stage: {text}. Value must be one of {', '.join(Stage)}.",
        "stage",
    )


def parse_number(text: str, field: str = "version") -> int:
    """The version number that a text means: decimal, with leading zeros and spaces allowed, as MLflow clients send it.

    :raises Invalid: not an integer.
    """
    with suppress(ValueError):  # also for a text of thousands of digits
        if "_" not in text:  # which int() allows and no client means
            return int(text)
    raise Invalid(f"Parameter '{field}' must be an integer, got '{text}'.", field)


def missing(field: str) -> Invalid:
    """The refusal of a value that is absent or blank."""
    return Invalid(f"Missing value for required parameter '{field}'.", field)
