"""The stored login: which registry, and the token for it, in a file that nobody else can read."""

import json
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from registry.cli.faults import Failure


@dataclass(frozen=True)
class Login:
    """A registry's address and the token for it; a registry without authentication needs none."""

    url: str
    token: str | None = field(repr=False)


def file() -> Path | None:
    """Where the login is kept; None where there is no home. Source: XDG Base Directory Specification."""
    given = os.environ.get("XDG_CONFIG_HOME", "")
    try:
        base = Path(given) if given.startswith("/") else Path.home() / ".config"
    except RuntimeError:
        return None
    return base / "model-registry" / "login.json"


def read() -> Login | None:
    """The stored login, if there is one."""
    place = file()
    try:
        kept = json.loads(place.read_text(encoding="utf-8")) if place else None
        return Login(str(kept["url"]), kept["token"]) if kept is not None else None
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except (OSError, ValueError, LookupError, TypeError):
        raise Failure(f"{place} does not hold a login: run `registry login` again.") from None


def keep(login: Login) -> Path:
    """Store a login in the place of the one before; whoever reads meanwhile finds the one or the other."""
    place = file()
    if place is None:
        raise Failure("There is no home directory to keep the login in: set REGISTRY_URL and REGISTRY_TOKEN instead.")
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.parent.chmod(0o700)
        write(place, json.dumps({"url": login.url, "token": login.token}) + "\n")
    except OSError as error:
        raise Failure(f"The login cannot be kept in {place}: {error.strerror}.") from None
    return place


def write(place: Path, content: str) -> None:
    """Replace a file by another that only its owner can read."""
    descriptor, name = tempfile.mkstemp(dir=place.parent)  # made with mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as written:
            written.write(content)
            written.flush()
            os.fsync(descriptor)
        Path(name).replace(place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def forget() -> bool:
    """Remove the login; False: there was none."""
    place = file()
    with suppress(FileNotFoundError, NotADirectoryError):
        if place:
            place.unlink()
            return True
    return False
