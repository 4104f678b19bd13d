"""Reads every PromQL expression of the alerts and of the dashboard, and stops at one that is none: `make lint-deploy`.

It runs in the environment of the linters, which has nothing of the registry.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import promql_parser
import yaml

DEPLOY = Path(__file__).parent.parent / "deploy"


def expressions() -> Iterator[str]:
    """Every expression; what Grafana puts in is put in."""
    for group in yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    for panel in json.loads((DEPLOY / "grafana/model-registry.json").read_text())["panels"]:
        yield from (re.sub(r"\$__rate_interval", "5m", target["expr"]) for target in panel["targets"])


def main() -> None:
    """Read them all."""
    count = 0
    for expression in expressions():
        promql_parser.parse(expression)
        count += 1
    print(f"{count} PromQL expressions are well-formed.")


if __name__ == "__main__":
    main()
