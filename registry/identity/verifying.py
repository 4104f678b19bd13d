"""Takes a JWT apart and says whose it is, or why it is not believed.

Nothing that a token says decides how it is verified: its issuer chooses among those in the settings, its algorithm has
to be one of theirs, and a key verifies the algorithms that its kind is for. Source: RFC 8725, sections 3.1 and 3.2.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Any

import jwt
from jwt import exceptions

from registry.errors import Unauthenticated, Unavailable
from registry.identity.issuers import Issuer
from registry.identity.keys import KeySet
from registry.identity.vouched import Vouched
from registry.vocabulary import Role

LONGEST_TEXT = 200
"""Characters of a subject, a name or a group."""
MOST_GROUPS = 500
SEGMENTS = 3
REQUIRED = ["iss", "sub", "aud", "exp"]

REASONS: dict[type[Exception], str] = {
    exceptions.ExpiredSignatureError: "it has expired",
    exceptions.ImmatureSignatureError: "it is not valid yet",
    exceptions.InvalidAudienceError: "it was made for another audience",
    exceptions.InvalidIssuerError: "it is from another issuer",
    exceptions.MissingRequiredClaimError: "it lacks one of the claims iss, sub, aud and exp",
    exceptions.InvalidAlgorithmError: "it is signed in a way that is not allowed",
    exceptions.InvalidSignatureError: "its signature is not right",
}


class Issuers:
    """All issuers that are believed."""

    def __init__(self, issuers: Iterable[Issuer]) -> None:
        self._keys = {one.issuer: KeySet(one) for one in issuers}

    def concerns(self, token: str) -> bool:
        """Whether this is a JWT that says it is from one of them."""
        return self._named_by(token) is not None

    def verify(self, token: str) -> Vouched:
        """Whose this token is.

        :raises Unauthenticated: it is not to be believed; the message says why.
        :raises Unavailable: its issuer's keys are not known, and cannot be fetched now.
        """
        keys = self._named_by(token)
        if keys is None:
            raise Unauthenticated("The token is from no issuer that this registry knows.")
        try:
            claims = verified(token, keys)
            return vouched_in(token, claims, keys.issuer)
        except (exceptions.PyJWTError, ValueError) as error:
            raise refusal(keys.issuer, error) from None

    def _named_by(self, token: str) -> KeySet | None:
        if not self._keys or not token.startswith("eyJ") or token.count(".") != SEGMENTS - 1:
            return None
        try:
            said = jwt.decode(token, options={"verify_signature": False}).get("iss")
        except (exceptions.PyJWTError, ValueError):
            return None
        return self._keys.get(said) if isinstance(said, str) else None


def verified(token: str, keys: KeySet) -> dict[str, Any]:
    """The claims of a token, once a key of its issuer has proved them. Unknown keys are looked for, once."""
    header = jwt.get_unverified_header(token)
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in keys.issuer.algorithms:
        raise exceptions.InvalidAlgorithmError
    candidates = keys.candidates(algorithm, kid)
    try:
        return with_one_of(candidates, token, keys.issuer, algorithm)
    except exceptions.InvalidSignatureError:
        if not keys.refresh():
            if not keys.known:
                raise no_keys(keys) from None
            raise
    return with_one_of(keys.candidates(algorithm, kid), token, keys.issuer, algorithm)


def no_keys(keys: KeySet) -> Unavailable:
    """What to say while there is nothing to verify with."""
    said = f"The keys of the issuer '{keys.issuer.name}' cannot be fetched at the moment. Try again, or use a token."
    return Unavailable(said, max(1, math.ceil(keys.next_in)))


def with_one_of(candidates: Iterable[jwt.PyJWK], token: str, issuer: Issuer, algorithm: str) -> dict[str, Any]:
    """The claims, proved by one of these keys; several can have one name, and a token need not name any."""
    for key in candidates:
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=issuer.audience,
                issuer=issuer.issuer,
                leeway=issuer.leeway_seconds,
                options={"require": REQUIRED, "enforce_minimum_key_length": True},
            )
        except (exceptions.InvalidSignatureError, exceptions.InvalidKeyError):
            continue
    raise exceptions.InvalidSignatureError


def refusal(issuer: Issuer, error: Exception) -> Unauthenticated:
    """What to say of a token that is not believed."""
    why = next((REASONS[kind] for kind in type(error).__mro__ if kind in REASONS), None)
    if why is None:
        why = str(error) if isinstance(error, Unfit) else "it is malformed"
    return Unauthenticated(f"The token of the issuer '{issuer.name}' is not accepted: {why}.")


class Unfit(ValueError):
    """A claim that nothing can be made of."""


def vouched_in(token: str, claims: Mapping[str, Any], issuer: Issuer) -> Vouched:
    """Who is meant by proved claims.

    :raises Unfit: a claim that is needed is missing, or no text that can be shown.
    """
    groups = groups_in(claims, issuer)
    granted = {issuer.roles[group] for group in groups if group in issuer.roles}
    shown = text_in(claims, issuer.principal_claim)
    proof = hashlib.sha256(token.encode()).hexdigest()[:16]
    return Vouched(
        issuer=issuer.issuer,
        issuer_name=issuer.name,
        subject=text_in(claims, "sub"),
        name=f"{shown}@{issuer.name}",
        groups=tuple(issuer.group_prefix + group for group in groups),
        role=max(granted, key=list(Role).index, default=None),
        credential=f"oidc:{issuer.name}/{proof}",
    )


def text_in(claims: Mapping[str, Any], path: str) -> str:
    """A claim that has to be a text."""
    value = claim(claims, path)
    if not is_plain(value):
        raise Unfit(f"its claim '{path}' is not a text of 1 to {LONGEST_TEXT} printable characters")
    return str(value)


def groups_in(claims: Mapping[str, Any], issuer: Issuer) -> tuple[str, ...]:
    """The groups that the token names; of one that names too many, or something else, not even some are believed.

    A group can be denied something, so none may be lost.
    """
    value = claim(claims, issuer.groups_claim) if issuer.groups_claim else None
    listed = [] if value is None else value if isinstance(value, list) else [value]
    if len(listed) > MOST_GROUPS or not all(map(is_plain, listed)):
        raise Unfit(f"its claim '{issuer.groups_claim}' is not a list of at most {MOST_GROUPS} printable names")
    return tuple(dict.fromkeys(listed))


def claim(claims: Mapping[str, Any], path: str) -> Any:
    """A claim by its name, or by the names of those that it lies in, with dots between them; None if there is none."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def is_plain(value: object) -> bool:
    """Whether this is a text that can be kept and shown: no control characters, none that turn the others round."""
    return isinstance(value, str) and 1 <= len(value) <= LONGEST_TEXT and value.isprintable() and bool(value.strip())
