"""`sslrootcert=system`: the database's certificate is held against the authorities that the system trusts."""

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chaos.postgres import SUPERUSER, Server, give
from registry import trust

CONNECT = """
import os, ssl, psycopg2
from registry import config
from registry.database_url import DatabaseUrl
found = ssl.get_default_verify_paths()
ssl.get_default_verify_paths = lambda: found._replace(cafile=os.environ["THE_SYSTEMS"], capath=None)
url = config.from_env(os.environ).database_url
connection = psycopg2.connect(**DatabaseUrl.parse(url).options())
print(connection.info.ssl_in_use)
"""


@dataclass
class Encrypted:
    """A server that speaks TLS, and the certificate that it shows."""

    server: Server
    certificate: Path


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    directory = tmp_path_factory.mktemp("encrypted")
    for above in (directory, *directory.parents):  # root's substitute must get through
        if above.owner() == directory.owner() and above != Path("/"):
            above.chmod(above.stat().st_mode | 0o055)
    certificate, key = directory / "server.crt", directory / "server.key"
    certify(certificate, key)
    server = Server(
        directory / "server", fsync="off", ssl="on", ssl_cert_file=str(certificate), ssl_key_file=str(key)
    )  # fmt: skip
    try:
        server.initialise()
        give(key)
        server.start()
        yield Encrypted(server, certificate)
    finally:
        server.kill()


def certify(certificate: Path, key: Path) -> None:
    """Make a certificate for `localhost` that speaks for itself, and its key."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )  # fmt: skip
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.touch(mode=0o600)
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def connected(encrypted: Encrypted, **environ: str) -> subprocess.CompletedProcess[str]:
    """What comes of a connection in a process whose system trusts what the environment says."""
    url = f"postgresql://{SUPERUSER}@localhost:{encrypted.server.port}/postgres?sslmode=verify-full&sslrootcert=system"
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("SSL_CERT", "REGISTRY_"))}
    environ = plain | {"REGISTRY_DATABASE_URL": url} | environ
    command = [sys.executable, "-c", CONNECT]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_what_the_system_trusts_is_trusted(encrypted: Encrypted) -> None:
    done = connected(encrypted, THE_SYSTEMS=str(encrypted.certificate))

    assert done.stdout.strip() == "True", done.stderr


def test_what_it_does_not_is_not(encrypted: Encrypted, tmp_path: Path) -> None:
    certify(tmp_path / "other.crt", tmp_path / "other.key")

    assert "certificate verify failed" in connected(encrypted, THE_SYSTEMS=str(tmp_path / "other.crt")).stderr


def test_the_environment_says_more_than_the_system(encrypted: Encrypted, tmp_path: Path) -> None:
    certify(tmp_path / "other.crt", tmp_path / "other.key")
    systems = str(tmp_path / "other.crt")

    done = connected(encrypted, THE_SYSTEMS=systems, SSL_CERT_FILE=str(encrypted.certificate))

    assert done.stdout.strip() == "True", done.stderr


def test_a_system_without_a_file_of_certificates_has_a_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    found = SimpleNamespace(
        cafile=None, openssl_cafile_env="SSL_CERT_FILE", capath="/etc/certs", openssl_capath_env="SSL_CERT_DIR"
    )  # fmt: skip
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: found)
    environ: dict[str, str] = {}
    narrowed = {"SSL_CERT_FILE": "/our-own.pem"}

    trust.find_roots(environ)
    trust.find_roots(narrowed)

    assert environ == {"SSL_CERT_DIR": "/etc/certs"}
    assert narrowed == {"SSL_CERT_FILE": "/our-own.pem"}
