"""Prints the contract as it is checked in: `make contract` writes it to `openapi.yaml`."""

import sys
from typing import Any

import yaml

from registry.app import create_app
from registry.config import Settings
from registry.faces.openapi import document


def contract() -> dict[str, Any]:
    """The contract of a service with the default settings."""
    return document(create_app(Settings(database_url="postgresql+psycopg2:///unused")))


def text() -> str:
    """The contract as YAML."""
    return yaml.safe_dump(contract(), sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    sys.stdout.write(text())
