"""The keys that an issuer signs with, kept by each process. They are fetched when they are needed, never at the start.

A key that is not known has them fetched anew, but no more than once in a while, whoever asks and however often: the
name of a key is something that anybody can make up. While the issuer is away, the last keys serve for a day.
"""

import logging
import threading
import time
from typing import Any

from jwt import PyJWK
from jwt.exceptions import PyJWTError

from registry.identity.fetching import NotFetched, fetch
from registry.identity.issuers import ALGORITHMS, Issuer

REFRESH_SECONDS = 30.0
"""Between two attempts to fetch, also failed ones."""
FRESH_SECONDS = 600.0
"""After that long we look whether a key was withdrawn."""
KEPT_SECONDS = 24 * 3600.0
"""After that long without the issuer nothing is believed any more."""
PATIENCE_SECONDS = 2.0
"""How long a request waits for another one that is just fetching."""
MOST = 50
"""Keys of one issuer; a token that names none is tried with all."""
PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

log = logging.getLogger(__name__)


class KeySet:
    """The keys of one issuer."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self._lock = threading.Lock()
        self._keys: tuple[PyJWK, ...] = ()
        self._fetched_at = self._tried_at = float("-inf")

    def candidates(self, algorithm: str, kid: str | None) -> list[PyJWK]:
        """The keys of this name that fit the algorithm, or all that fit where the token names none."""
        if time.monotonic() - self._fetched_at > FRESH_SECONDS:
            self.refresh(patience=0 if self._keys else PATIENCE_SECONDS)
        if time.monotonic() - self._fetched_at > KEPT_SECONDS:
            self._keys = ()
        return [key for key in self._keys if key.algorithm_name == algorithm and (kid is None or key.key_id == kid)]

    def refresh(self, patience: float = PATIENCE_SECONDS) -> bool:
        """Fetch the keys, unless that was done or tried a moment ago; return whether there may be others now.

        Who comes while another is fetching waits for it, up to `patience` in seconds, and does not fetch again.
        """
        before = self._keys
        if not self._lock.acquire(timeout=patience):
            return False
        try:
            if time.monotonic() - self._tried_at >= REFRESH_SECONDS:
                self._tried_at = time.monotonic()
                self._keys = self._fetch()
                self._fetched_at = time.monotonic()
        except NotFetched as error:
            log.warning("the keys of the issuer %s cannot be fetched: %s", self.issuer.name, error)
        finally:
            self._lock.release()
        return self._keys is not before

    @property
    def known(self) -> bool:
        """Whether there are any keys."""
        return bool(self._keys)

    @property
    def next_in(self) -> float:
        """Seconds until the keys can be fetched again."""
        return max(0.0, self._tried_at + REFRESH_SECONDS - time.monotonic())

    def _fetch(self) -> tuple[PyJWK, ...]:
        listed = fetch(self.issuer.jwks_url or self._discover()).get("keys")
        if not isinstance(listed, list) or len(listed) > MOST:
            raise NotFetched(f"its list of keys is none, or has more than {MOST}")
        found = tuple(key for one in listed if isinstance(one, dict) for key in usable(one, self.issuer.algorithms))
        if not found:
            raise NotFetched(f"none of its keys can be used for {', '.join(self.issuer.algorithms)}")
        return found

    def _discover(self) -> str:
        said = fetch(self.issuer.discovery_url)
        if said.get("issuer") != self.issuer.issuer:
            raise NotFetched(f"what is at {self.issuer.discovery_url} calls itself {str(said.get('issuer'))[:200]!r}")
        return str(said.get("jwks_uri"))


def usable(jwk: dict[str, Any], algorithms: tuple[str, ...]) -> list[PyJWK]:
    """A key for each of the algorithms that it can verify; none if it is for something else, or broken."""
    meant_for = jwk.get("key_ops") or ["verify"]
    if jwk.get("use", "sig") != "sig" or not isinstance(meant_for, list) or "verify" not in meant_for:
        return []
    public = {name: value for name, value in jwk.items() if name not in PRIVATE}
    found = []
    for algorithm in algorithms:
        kind, curve = ALGORITHMS[algorithm]
        if jwk.get("kty") == kind and jwk.get("crv") == curve and jwk.get("alg", algorithm) == algorithm:
            try:
                found.append(PyJWK(public, algorithm))
            except (PyJWTError, ValueError, TypeError):
                log.warning("a key that cannot be used: %s", str(jwk.get("kid"))[:200])
    return found
