"""Which tokens of an issuer are believed, and which are not: everything that can be wrong with one."""

import base64
import hashlib
import hmac
import json
import random
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from registry.errors import RegistryError, Unauthenticated
from registry.identity.verifying import Issuers
from registry.vocabulary import Role
from tests.identity.conftest import believing, later
from tests.identity.issuer import AUDIENCE, Key, LocalIssuer

Keys = dict[str, Key]
NOW = time.time


def refused(issuers: Issuers, token: str) -> str:
    with pytest.raises(Unauthenticated) as error:
        issuers.verify(token)
    return error.value.message


def encoded(part: object) -> str:
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_who_is_vouched_for_is_somebody(local: LocalIssuer) -> None:
    token = local.token(preferred_username="ada", groups=["ml", "approvers"])
    settings = {"groups_claim": "groups", "roles": {"approvers": "approver", "ml": "viewer", "others": "administrator"}}
    found = believing(local, principal_claim="preferred_username", **settings).verify(token)
    assert (found.issuer, found.issuer_name, found.subject) == (local.url, "corp", "248289761001")
    assert (found.name, found.groups, found.role) == ("ada@corp", ("corp/ml", "corp/approvers"), Role.APPROVER)
    assert found.credential == "oidc:corp/" + hashlib.sha256(token.encode()).hexdigest()[:16]


@pytest.mark.parametrize("kind", ["rsa", "pss", "ec", "ed"])
def test_each_kind_of_key_that_is_allowed_is_verified(local: LocalIssuer, signing: Keys, kind: str) -> None:
    local.keys = [signing[one] for one in ("rsa", "pss", "ec", "ed")]
    issuers = believing(local, algorithms=["RS256", "PS256", "ES256", "EdDSA"])
    assert issuers.verify(local.token(signing[kind])).subject == "248289761001"


CLAIMS: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "another audience": (lambda: {"aud": "somebody-else"}, "another audience"),
    "no audience": (lambda: {"aud": None}, "lacks one of the claims"),
    "audiences without ours": (lambda: {"aud": ["a", "b"]}, "another audience"),
    "an audience that is no text": (lambda: {"aud": {"model-registry": 1}}, "another audience"),
    "an end that has come": (lambda: {"exp": NOW() - 61}, "has expired"),
    "no end": (lambda: {"exp": None}, "lacks one of the claims"),
    "an end that is no time": (lambda: {"exp": "tomorrow"}, "malformed"),
    "an endless end": (lambda: {"exp": float("inf")}, ""),
    "a beginning to come": (lambda: {"nbf": NOW() + 62}, "not valid yet"),
    "made in the future": (lambda: {"iat": NOW() + 62}, "not valid yet"),
    "no subject": (lambda: {"sub": None}, "lacks one of the claims"),
    "an empty subject": (lambda: {"sub": ""}, "'sub' is not a text"),
    "a subject that is a number": (lambda: {"sub": 7}, "malformed"),
    "a subject with a NUL": (lambda: {"sub": "a\0b"}, "'sub' is not a text"),
    "a subject with half a pair": (lambda: {"sub": "a\udcff"}, "'sub' is not a text"),
    "a subject that turns round": (lambda: {"sub": "ada\u202emoc"}, "'sub' is not a text"),
    "a subject that is too long": (lambda: {"sub": "a" * 201}, "'sub' is not a text"),
}


@pytest.mark.parametrize(("claims", "why"), CLAIMS.values(), ids=CLAIMS)
def test_claims_that_are_not_believed(local: LocalIssuer, claims: Callable[[], dict[str, Any]], why: str) -> None:
    assert why in refused(believing(local), local.token(**claims()))


@pytest.mark.parametrize(
    ("claims", "good"),
    [
        ({"exp": -25}, True),
        ({"exp": -35}, False),
        ({"nbf": 25}, True),
        ({"nbf": 35}, False),
        ({"iat": 25}, True),
        ({"iat": 35}, False),
    ],
)
def test_clocks_may_differ_by_the_leeway_and_no_more(local: LocalIssuer, claims: dict[str, int], *, good: bool) -> None:
    said: dict[str, Any] = {name: int(NOW()) + seconds for name, seconds in claims.items()}
    token = local.token(**said)
    issuers = believing(local, leeway_seconds=30)
    if good:
        assert issuers.verify(token)
    else:
        refused(issuers, token)


def test_without_leeway_a_token_ends_when_it_says(local: LocalIssuer) -> None:
    issuers = believing(local, leeway_seconds=0)
    assert "has expired" in refused(issuers, local.token(exp=int(NOW()) - 1))
    assert "has expired" in refused(issuers, local.token(exp=int(NOW())))
    assert issuers.verify(local.token(exp=int(NOW()) + 30))


def test_another_issuer_is_nobody_that_we_know(local: LocalIssuer) -> None:
    issuers = believing(local)
    for iss in ("https://evil.example", local.url + "/", None, "", local.url.upper()):
        token = local.token(iss=iss)
        assert not issuers.concerns(token)
        assert "no issuer that this registry knows" in refused(issuers, token)


def test_an_issuer_cannot_speak_for_another(local: LocalIssuer, signing: Keys) -> None:
    """Its key is good, for its own tokens alone."""
    assert "signature" in refused(believing(local), local.token(signing["other"]))


def public_pem(key: Key) -> bytes:
    return key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def symmetric(head: dict[str, Any], token: str, secret: bytes) -> str:
    """The claims of a token under another head, signed with a key that is no secret."""
    signed = f"{encoded(head)}.{token.split('.')[1]}"
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), 'sha256'))}"


def swapped(local: LocalIssuer, key: Key) -> dict[str, str]:
    token = local.token(key)
    _, claims, signature = token.split(".")
    kid = {"kid": key.kid}
    return {
        "none": f"{encoded({'alg': 'none', **kid})}.{claims}.",
        "None": f"{encoded({'alg': 'None', **kid})}.{claims}.",
        "none with a signature": f"{encoded({'alg': 'none', **kid})}.{claims}.{signature}",
        "no algorithm": f"{encoded(kid)}.{claims}.{signature}",
        "an algorithm that is a list": f"{encoded({'alg': ['RS256'], **kid})}.{claims}.{signature}",
        "HS256 with the public key": symmetric({"alg": "HS256", **kid}, token, public_pem(key)),
        "HS256 with the published key": symmetric({"alg": "HS256", **kid}, token, json.dumps(key.jwk).encode()),
        "HS256 with nothing": symmetric({"alg": "HS256", **kid}, token, b""),
        "RS512 where RS256 is allowed": jwt.encode(
            jwt.decode(token, options={"verify_signature": False}), key.private, "RS512", kid
        ),
        "PS256 where RS256 is allowed": jwt.encode(
            jwt.decode(token, options={"verify_signature": False}), key.private, "PS256", kid
        ),
        "a key that it brings along": jwt.encode(
            jwt.decode(token, options={"verify_signature": False}),
            "its own secret, quite a long one, more than 32",
            "HS256",
            {"jwk": key.jwk, "jku": "https://evil.example/keys"},
        ),
    }


def test_no_token_chooses_how_it_is_verified(local: LocalIssuer, signing: Keys) -> None:
    issuers = believing(local, algorithms=["RS256"])
    tokens = swapped(local, signing["rsa"])
    assert {name: "not allowed" in refused(issuers, token) for name, token in tokens.items()} == dict.fromkeys(
        tokens, True
    )
    assert issuers.verify(local.token())


def test_a_key_verifies_what_its_kind_is_for(local: LocalIssuer, signing: Keys) -> None:
    """A token that says ES256 and names a key of RSA, and the other way round."""
    local.keys = [signing["rsa"], signing["ec"]]
    issuers = believing(local, algorithms=["RS256", "ES256"])
    crossed = [local.token(signing["rsa"], {"kid": "ec-1"}), local.token(signing["ec"], {"kid": "rsa-1"})]
    assert all("signature" in refused(issuers, token) for token in crossed)


def test_a_published_symmetric_key_is_none_of_ours(local: LocalIssuer) -> None:
    secret = b"a symmetric key that everybody can read"
    published = {"keys": [local.keys[0].jwk, {"kty": "oct", "kid": "sym", "k": encoded(secret), "alg": "HS256"}]}
    local.published = lambda path: published if path == "/keys" else LocalIssuer.published(local, path)  # type: ignore[method-assign]
    token = symmetric({"alg": "HS256", "kid": "sym"}, local.token(), secret)
    assert "not allowed" in refused(believing(local), token)


def test_a_token_with_any_byte_changed_is_refused(local: LocalIssuer) -> None:
    issuers, token = believing(local), local.token()
    chance = random.Random(5)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for place in chance.sample(range(len(token)), 200):
        other = chance.choice(alphabet.replace(token[place], ""))
        if token[place] != ".":
            refused(issuers, token[:place] + other + token[place + 1 :])
    assert issuers.verify(token)


@pytest.mark.parametrize("change", ["cut", "longer", "claims of another", "no signature", "padded"])
def test_a_token_put_together_otherwise_is_refused(local: LocalIssuer, change: str) -> None:
    head, claims, signature = local.token().split(".")
    others = local.token(sub="somebody else").split(".")[1]
    changed = {
        "cut": f"{head}.{claims}.{signature[:-4]}",
        "longer": f"{head}.{claims}.{signature}AAAA",
        "claims of another": f"{head}.{others}.{signature}",
        "no signature": f"{head}.{claims}.",
        "padded": f"{head}.{claims}.{signature}====",
    }[change]
    refused(believing(local), changed)


def test_without_the_name_of_a_key_all_that_fit_are_tried(local: LocalIssuer, signing: Keys) -> None:
    local.keys = [signing["other"], signing["ec"], signing["rsa"]]
    issuers = believing(local)
    nameless = Key(signing["rsa"].private, "RS256", None)
    assert issuers.verify(local.token(nameless))
    stranger = Key(signing["pss"].private, "RS256", None)
    assert "signature" in refused(issuers, local.token(stranger))


def test_of_two_keys_of_one_name_either_may_have_signed(local: LocalIssuer, signing: Keys) -> None:
    local.keys = [Key(signing[one].private, "RS256", "same") for one in ("rsa", "other")]
    issuers = believing(local)
    for key in local.keys:
        assert issuers.verify(local.token(key))


def test_a_key_that_is_too_short_is_not_believed(local: LocalIssuer, signing: Keys) -> None:
    local.keys = [signing["rsa"], signing["short"]]
    issuers = believing(local)
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        token = local.token(signing["short"])
    assert "signature" in refused(issuers, token)


@pytest.mark.parametrize(
    "changed",
    [{"use": "enc"}, {"key_ops": ["sign"]}, {"key_ops": 7}, {"alg": "RS512"}, {"kty": "EC"}, {"n": "AA"}, {"n": None}],
    ids=str,
)
def test_a_key_for_something_else_verifies_nothing(local: LocalIssuer, signing: Keys, changed: dict[str, Any]) -> None:
    published = {"keys": [signing["rsa"].jwk | changed, signing["other"].jwk]}
    local.published = lambda path: published if path == "/keys" else LocalIssuer.published(local, path)  # type: ignore[method-assign]
    assert "signature" in refused(believing(local), local.token())


@pytest.mark.parametrize("critical", [["exp"], ["b64"], [], "b64"])
def test_extensions_that_have_to_be_understood_are_not(local: LocalIssuer, critical: object) -> None:
    token = local.token()
    head = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    claims = token.split(".")[1]
    signed = f"{encoded(head | {'crit': critical})}.{claims}"
    signature = jwt.get_algorithm_by_name("RS256").sign(signed.encode(), local.keys[0].private)
    refused(believing(local), f"{signed}.{encoded(signature)}")


GROUPS: dict[str, tuple[Any, tuple[str, ...] | None]] = {
    "none at all": (None, ()),
    "an empty list": ([], ()),
    "a text": ("ml", ("corp/ml",)),
    "a list": (["ml", "ops", "ml"], ("corp/ml", "corp/ops")),
    "a list with a number": (["ml", 7], None),
    "an object": ({"ml": True}, None),
    "a blank one": (["ml", " "], None),
    "one with a line break": (["ml\nops"], None),
    "too many": ([str(number) for number in range(501)], None),
    "very many": ([str(number) for number in range(500)], tuple(f"corp/{number}" for number in range(500))),
}


@pytest.mark.parametrize(("said", "found"), GROUPS.values(), ids=GROUPS)
def test_groups_are_believed_whole_or_not_at_all(local: LocalIssuer, said: Any, found: tuple[str, ...] | None) -> None:
    """Something can be denied to a group, so none may be lost."""
    issuers = believing(local, groups_claim="groups")
    token = local.token(groups=said)
    if found is None:
        assert "'groups'" in refused(issuers, token)
    else:
        assert issuers.verify(token).groups == found


@pytest.mark.parametrize(
    ("path", "claims"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["ml"]}}),
        ("https://corp.example/groups", {"https://corp.example/groups": ["ml"]}),
        ("a.b.c", {"a": {"b": {"c": "ml"}}}),
    ],
)
def test_a_claim_can_lie_in_another(local: LocalIssuer, path: str, claims: dict[str, Any]) -> None:
    issuers = believing(local, groups_claim=path, group_prefix="")
    assert issuers.verify(local.token(**claims)).groups == ("ml",)


@pytest.mark.parametrize("said", [None, "", 7, ["ada"], "a\nb", " "])
def test_who_has_no_name_is_refused(local: LocalIssuer, said: Any) -> None:
    issuers = believing(local, principal_claim="email")
    assert "'email' is not a text" in refused(issuers, local.token(email=said))


def test_any_of_our_audiences_will_do(local: LocalIssuer) -> None:
    issuers = believing(local, audience=["one", "two"])
    assert issuers.verify(local.token(aud=["two", "elsewhere"]))
    assert "another audience" in refused(issuers, local.token(aud=AUDIENCE))


def test_thousands_of_mangled_tokens_are_refused_and_nothing_worse(local: LocalIssuer) -> None:
    issuers, token = believing(local), local.token()
    chance = random.Random(7)
    heads: list[dict[str, object]] = [
        {"alg": alg, "kid": kid} for alg in ("RS256", 7, None, "ES256") for kid in ("rsa-1", 7, None, "\0")
    ]
    for number in range(3000):
        mangled = "".join(
            chance.choice(("", character, chr(chance.randrange(1, 0x2FF)))) if chance.random() < 0.01 else character
            for character in token
        )
        if number % 3 == 0:
            mangled = ".".join((encoded(chance.choice(heads)), *mangled.split(".")[1:]))
        if mangled != token:
            with pytest.raises(RegistryError):
                issuers.verify(mangled)
    deep = f"{encoded(b'[' * 3000)}.{encoded(b'[' * 3000)}.{encoded(b'x')}"
    assert not issuers.concerns("eyJ" + deep)
    later(issuers, 0)
