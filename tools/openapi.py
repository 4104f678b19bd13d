"""Prints the contract as it is checked in: `make contract` writes it to `openapi.yaml`."""

import sys

import yaml

from registry.app import create_app
from registry.config import Settings
from registry.faces.openapi import document


def text() -> str:
    """The contract as YAML."""
    app = create_app(Settings(database_url="postgresql+psycopg2:///unused"))
    return yaml.safe_dump(document(app), sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    sys.stdout.write(text())
