"""The file of issuers: what is taken, and in which one line the rest is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from registry.config import ConfigError
from registry.identity.issuers import Issuer, load
from registry.vocabulary import Role

LEAST = {"issuer": "https://login.example.com", "name": "corp", "audience": "registry"}


def written(directory: Path, text: str, name: str = "issuers.json") -> Path:
    file = directory / name
    file.write_text(text)
    return file


def one(directory: Path, **settings: Any) -> Path:
    return written(directory, json.dumps({"issuers": [LEAST | settings]}))


def test_without_a_file_nobody_is_believed() -> None:
    assert load(None) == ()


def test_what_is_not_said_has_a_safe_default(tmp_path: Path) -> None:
    assert load(one(tmp_path)) == (
        Issuer(
            issuer="https://login.example.com",
            name="corp",
            audience=("registry",),
            jwks_url=None,
            algorithms=("RS256", "ES256"),
            principal_claim="sub",
            groups_claim=None,
            group_prefix="corp/",
            roles={},
            leeway_seconds=60,
        ),
    )


def test_toml_will_do_as_well(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        [[issuers]]
        issuer = "https://token.actions.example.com"
        name = "ci"
        audience = ["registry", "https://registry.example.com"]
        groups_claim = "repository"
        group_prefix = ""
        roles = { "corp/models" = "contributor" }

        [[issuers]]
        issuer = "https://login.example.com/tenant/"
        name = "people"
        audience = "registry"
        jwks_url = "https://login.example.com/tenant/keys"
        algorithms = ["PS512"]
        leeway_seconds = 0
        """,
        "issuers.toml",
    )
    ci, people = load(file)
    assert (ci.audience[1], ci.group_prefix, ci.roles) == (
        "https://registry.example.com",
        "",
        {"corp/models": Role.CONTRIBUTOR},
    )
    assert (people.algorithms, people.leeway_seconds) == (("PS512",), 0)
    assert people.discovery_url == "https://login.example.com/tenant/.well-known/openid-configuration"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "plain http": ({"issuer": "http://login.example.com"}, "issuers[0].issuer: must be an https:// address"),
    "no address": ({"issuer": "login"}, "issuers[0].issuer: must be an https:// address"),
    "a password": ({"issuer": "https://u:p@login.example.com"}, "issuers[0].issuer: must be"),
    "keys by http": ({"jwks_url": "http://login.example.com/keys"}, "issuers[0].jwks_url: must be"),
    "a name with an @": ({"name": "a@b"}, "issuers[0].name: must be letters"),
    "no audience": ({"audience": []}, "issuers[0].audience: must be a text"),
    "an empty audience": ({"audience": ""}, "issuers[0].audience: must be a text"),
    "an audience that is none": ({"audience": 7}, "issuers[0].audience: must be a text"),
    "a symmetric algorithm": ({"algorithms": ["HS256"]}, "issuers[0].algorithms[0]: must be one of RS256"),
    "none": ({"algorithms": ["none"]}, "issuers[0].algorithms[0]: must be one of"),
    "no algorithm": ({"algorithms": []}, "issuers[0].algorithms: "),
    "an unknown role": ({"groups_claim": "g", "roles": {"ml": "boss"}}, "issuers[0].roles[ml]"),
    "roles of no groups": ({"roles": {"ml": "viewer"}}, "issuers[0].roles: need a groups_claim"),
    "a long leeway": ({"leeway_seconds": 301}, "issuers[0].leeway_seconds: must be"),
    "a leeway that is none": ({"leeway_seconds": "60"}, "issuers[0].leeway_seconds: not a valid integer"),
    "a field nobody knows": ({"audiences": ["a"]}, "issuers[0].audiences: unknown field"),
}


@pytest.mark.parametrize(("settings", "told"), WRONG.values(), ids=WRONG)
def test_what_is_not_right_is_said_in_one_line_with_its_place(
    tmp_path: Path, settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(one(tmp_path, **settings))
    assert told.replace("[ml]", ".ml") in str(refused.value)
    assert str(refused.value).startswith(f"REGISTRY_OIDC_FILE={tmp_path}/issuers.json: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("prefixes", "good"),
    [
        (("", "ci/"), False),
        (("corp", "corp/"), False),
        (("ours/", "ours/"), False),
        (("b/", "a/", "b/c/"), False),
        (("a/", "b/", ""), False),
        (("corp/", "ci/"), True),
        (("", None), True),
    ],
)
def test_no_issuer_names_groups_of_another(tmp_path: Path, prefixes: tuple[str | None, ...], *, good: bool) -> None:
    issuers = [
        LEAST | {"issuer": f"https://{number}.example", "name": f"i{number}"} | naming(prefix)
        for number, prefix in enumerate(prefixes)
    ]
    file = written(tmp_path, json.dumps({"issuers": issuers}))
    if good:
        assert len(load(file)) == len(prefixes)
    else:
        with pytest.raises(ConfigError, match="could name groups of the other"):
            load(file)


def naming(prefix: str | None) -> dict[str, str]:
    """The settings of an issuer that names groups; None: of one that does not."""
    return {} if prefix is None else {"groups_claim": "groups", "group_prefix": prefix}


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.json", "{", "is no json"),
        ("a.toml", "[[issuers", "is no toml"),
        ("a.json", "[]", "invalid input type"),
        ("a.json", "{}", "issuers: missing data"),
        ("a.json", '{"issuers": []}', "issuers: "),
        ("a.json", json.dumps({"issuers": [LEAST, LEAST | {"name": "b"}]}), "two issuers have the same issuer"),
        ("a.json", json.dumps({"issuers": [LEAST, LEAST | {"issuer": "https://b"}]}), "two issuers have the same name"),
    ],
)
def test_a_file_that_is_none_is_said_in_one_line(tmp_path: Path, name: str, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(written(tmp_path, text, name))
    assert told in str(refused.value).replace("Invalid", "invalid")
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(tmp_path / "nothing.toml")


def test_a_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is no json"):
        load(tmp_path / "a.json")
