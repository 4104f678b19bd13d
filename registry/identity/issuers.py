"""The issuers that are believed, and what is made of their tokens: the file that REGISTRY_OIDC_FILE names.

The file is TOML (`[[issuers]]`) or JSON (`{"issuers": [...]}`). What is not right there stops the start with one line.
"""

import itertools
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from registry.config import ConfigError, is_loopback
from registry.vocabulary import Role

ALGORITHMS = {
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "RS512": ("RSA", None),
    "PS256": ("RSA", None),
    "PS384": ("RSA", None),
    "PS512": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""What can be allowed, with the kind of key and the curve that it takes. Nothing symmetric: we would have to share the
key that signs, and a public key would pass for one. And not `none`."""
DISCOVERY = "/.well-known/openid-configuration"
LONGEST_LEEWAY = 300


@dataclass(frozen=True, slots=True)
class Issuer:
    """One issuer. `roles`: the role over all models that a group of its has without a grant here."""

    issuer: str
    name: str
    audience: tuple[str, ...]
    jwks_url: str | None
    algorithms: tuple[str, ...]
    principal_claim: str
    groups_claim: str | None
    group_prefix: str
    roles: Mapping[str, Role]
    leeway_seconds: int

    @property
    def discovery_url(self) -> str:
        """Where the issuer says where its keys are."""
        return self.issuer.rstrip("/") + DISCOVERY


def is_safe(url: object) -> bool:
    """Whether what comes from there is what was sent: HTTPS, or this machine."""
    try:
        parts = urlsplit(str(url))
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or parts.username or parts.fragment or re.search(r"[\s\\]", str(url)):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))


def _check_url(url: str) -> None:
    if not is_safe(url):
        raise ValidationError("must be an https:// address (http:// is taken for loopback addresses alone)")


CLAIM = validate.Length(1, 200)


class IssuerSchema(Schema):
    """One issuer as the file has it."""

    issuer = fields.String(required=True, validate=_check_url)
    name = fields.String(
        required=True,
        validate=validate.Regexp(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z", error="must be letters, digits and . _ - alone"),
    )
    audience = fields.Raw(required=True)
    jwks_url = fields.String(load_default=None, validate=_check_url)
    algorithms = fields.List(
        fields.String(validate=validate.OneOf(ALGORITHMS, error="must be one of {choices}")),
        load_default=["RS256", "ES256"],
        validate=validate.Length(min=1),
    )
    principal_claim = fields.String(load_default="sub", validate=CLAIM)
    groups_claim = fields.String(load_default=None, validate=CLAIM)
    group_prefix = fields.String(load_default=None, validate=validate.Length(max=100))
    roles = fields.Dict(keys=fields.String(validate=CLAIM), values=fields.Enum(Role, by_value=True), load_default=dict)
    leeway_seconds = fields.Integer(load_default=60, strict=True, validate=validate.Range(0, LONGEST_LEEWAY))

    @validates_schema
    def check(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse what no single field shows."""
        named = texts(data["audience"])
        if not named or not all(named):
            raise ValidationError("must be a text or a list of texts", "audience")
        if data["roles"] and not data["groups_claim"]:
            raise ValidationError("need a groups_claim to be found in", "roles")

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Issuer:
        """Make one of it."""
        prefix = data["name"] + "/" if data["group_prefix"] is None else data["group_prefix"]
        named = {"audience": texts(data["audience"]), "algorithms": tuple(data["algorithms"]), "group_prefix": prefix}
        return Issuer(**(data | named))


class FileSchema(Schema):
    """The whole file."""

    issuers = fields.List(fields.Nested(IssuerSchema), required=True, validate=validate.Length(1, 50))


def texts(value: object) -> tuple[str, ...]:
    """A text, or a list of them, as a tuple; empty if it is something else."""
    listed: list[Any] = value if isinstance(value, list) else [value]
    return tuple(listed) if all(isinstance(one, str) for one in listed) else ()


def load(path: Path | None) -> tuple[Issuer, ...]:
    """Read the file; without one nobody is believed.

    :raises ConfigError: it cannot be read, or something in it is not right.
    """
    if path is None:
        return ()
    where = f"REGISTRY_OIDC_FILE={path}"
    try:
        found: tuple[Issuer, ...] = tuple(FileSchema().load(document(path))["issuers"])
    except OSError as error:
        raise ConfigError(f"{where} cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        raise ConfigError(f"{where}: {first_of(error.messages)}.") from None
    except ValueError as error:  # of both parsers, and of what is no text
        raise ConfigError(f"{where} is no {path.suffix.lstrip('.') or 'JSON'}: {one_line(error)}.") from None
    for field in ("issuer", "name"):
        if len({getattr(one, field) for one in found}) < len(found):
            raise ConfigError(f"{where}: two issuers have the same {field}: make one of them.")
    check_prefixes(where, found)
    return found


def check_prefixes(where: str, issuers: tuple[Issuer, ...]) -> None:
    """See to it that no issuer can name a group as another one's are named here.

    :raises ConfigError: the prefix of one begins as that of another.
    """
    naming = sorted((one for one in issuers if one.groups_claim), key=lambda one: one.group_prefix)
    for first, second in itertools.pairwise(naming):  # if any two of them clash, then two that are neighbours
        if second.group_prefix.startswith(first.group_prefix):
            raise ConfigError(
                f"{where}: the group_prefix '{first.group_prefix}' of '{first.name}' begins that of '{second.name}': "
                "each could name groups of the other. Give them others."
            )


def document(path: Path) -> Any:
    """What the file holds."""
    text = path.read_text(encoding="utf-8")
    return tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)


def first_of(messages: Any, at: str = "") -> str:
    """The first thing that is wrong, with its place: `issuers[0].audience must be a text`."""
    if isinstance(messages, dict):
        key, inner = next(iter(messages.items()))
        if key == "_schema":
            return first_of(inner, at)
        place = f"{at}[{key}]" if isinstance(key, int) else f"{at}.{key}".lstrip(".")
        return first_of(inner, place)
    said = one_line(messages[0] if isinstance(messages, list) else messages).rstrip(".")
    return f"{at}: {said[:1].lower()}{said[1:]}" if at else said


def one_line(said: object) -> str:
    """A message without line breaks."""
    return " ".join(str(said).split())
