"""Where a service is: its URL, without the token that may be written into it."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

DEFAULT_URL = "http://127.0.0.1:5055"


def split(url: str) -> tuple[str, str | None]:
    """Return the URL without user and password, and the token in it: the password, or else the user (as MLflow's URIs).

    :raises ValueError: not the address of a service; the text never repeats a token.
    """
    parts = urlsplit(url.strip())
    bare = re.sub(r"^[^/]*@", "", parts.netloc)
    shown = urlunsplit((parts.scheme, bare, parts.path.rstrip("/"), "", ""))
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or not_port(bare):
        raise ValueError(f"'{shown}' is no address of a registry: it must look like http://registry.example:5055.")
    secret = parts.password or parts.username
    return shown, unquote(secret) if secret else None


def not_port(netloc: str) -> bool:
    """Whether what stands behind the host cannot be a port."""
    return re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|[^:\s]+)(:[0-9]{1,5})?", netloc) is None


def token_in(environ: Mapping[str, str]) -> str | None:
    """The token that REGISTRY_TOKEN is, or that the file named by REGISTRY_TOKEN_FILE holds.

    :raises ValueError: the file cannot be read.
    """
    given, file = environ.get("REGISTRY_TOKEN"), environ.get("REGISTRY_TOKEN_FILE")
    if given or not file:
        return given
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a text file"
        raise ValueError(f"REGISTRY_TOKEN_FILE={file} cannot be read: {why}.") from None


def check_token(token: str | None) -> str | None:
    """Return a token that can stand in a header; an empty one counts as none.

    :raises ValueError: it cannot.
    """
    if token and not re.fullmatch(r"[!-~]+", token):
        raise ValueError("The token has characters that no token has, such as spaces or line ends.")
    return token or None
