"""Where a sealer keeps what is its own, and what others may see of it. Who only looks here needs no cryptography."""

from pathlib import Path

from registry.config import Settings

PUBLIC = "key.pub"


def directory(settings: Settings) -> Path:
    """Return the directory that the settings name."""
    return settings.sealer_dir or settings.data_dir / "sealer"


def public_key(where: Path) -> str | None:
    """Return the public key as auditors take it, if there is one yet."""
    path = where / PUBLIC
    return path.read_text().strip() if path.exists() else None
