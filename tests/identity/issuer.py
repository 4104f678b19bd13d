"""An issuer of OpenID Connect on this machine: real keys, real signatures, real HTTP; and it can misbehave."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
AUDIENCE = "model-registry"
KEYS = "/keys"


@dataclass(frozen=True)
class Key:
    """A key with its name and algorithm."""

    private: Private
    algorithm: str
    kid: str | None

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half, as it is published."""
        public = self.private.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            said = RSAAlgorithm.to_jwk(public, as_dict=True)
        elif isinstance(public, ec.EllipticCurvePublicKey):
            said = ECAlgorithm.to_jwk(public, as_dict=True)
        else:
            said = OKPAlgorithm.to_jwk(public, as_dict=True)
        named = {"kid": self.kid} if self.kid else {}
        return {**said, "use": "sig", "alg": self.algorithm, **named}


def rsa_key(kid: str | None, algorithm: str = "RS256", bits: int = 2048) -> Key:
    return Key(rsa.generate_private_key(public_exponent=65537, key_size=bits), algorithm, kid)


def ec_key(kid: str | None) -> Key:
    return Key(ec.generate_private_key(ec.SECP256R1()), "ES256", kid)


def ed_key(kid: str | None) -> Key:
    return Key(ed25519.Ed25519PrivateKey.generate(), "EdDSA", kid)


@dataclass
class LocalIssuer:
    """A running issuer. What it publishes can be changed; `asked` counts by path."""

    url: str
    keys: list[Key] = field(default_factory=list)
    answer: Callable[[str, BaseHTTPRequestHandler], None] | None = None
    asked: dict[str, int] = field(default_factory=dict)

    def published(self, path: str) -> dict[str, Any] | None:
        """What is to be found at a path."""
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": self.url + KEYS}
        return {"keys": [key.jwk for key in self.keys]} if path == KEYS else None

    def token(self, key: Key | None = None, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token signed with a key; a claim that is None is left out."""
        key, now = key or self.keys[0], int(time.time())
        usual = {"iss": self.url, "sub": "248289761001", "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 300}
        said = {name: value for name, value in (usual | claims).items() if value is not None}
        named = {"kid": key.kid} if key.kid else {}
        return jwt.encode(said, key.private, key.algorithm, named | (headers or {}))


@contextmanager
def issuing(port: int = 0) -> Iterator[LocalIssuer]:
    """Run an issuer for as long as the block goes on."""
    running = LocalIssuer("")
    counting = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with counting:
                running.asked[self.path] = running.asked.get(self.path, 0) + 1
            if running.answer is not None:
                running.answer(self.path, self)
            else:
                say(self, running.published(self.path))

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        running.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()


def say(handler: BaseHTTPRequestHandler, document: object) -> None:
    """Answer with a document as JSON, or 404 if it is None."""
    send(handler, 200 if document is not None else 404, json.dumps(document).encode())


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    """Answer with these bytes."""
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)
