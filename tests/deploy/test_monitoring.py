"""Every metric that dashboard and alerts name is one that the service has, with labels that it has."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from flask import Flask

from registry.domain import vitals
from registry.faces.metrics import OF_DATABASE, OF_REPLICA
from registry.metrics.exposition import GAUGES
from registry.metrics.meters import COUNTERS, HISTOGRAMS
from tests.deploy.reading import ROOT

OF_PROMETHEUS = {"job", "instance", "le"}
LABELS = {f"{name}_total": set(labels) for name, (_, labels) in COUNTERS.items()}
LABELS |= {
    f"{name}{end}": set(labels) for name, (_, labels) in HISTOGRAMS.items() for end in ("_bucket", "_sum", "_count")
}
LABELS |= {name: set[str]() for name in (*GAUGES, *vitals.MEANINGS, *OF_DATABASE, *OF_REPLICA)}


def alerts() -> list[dict[str, Any]]:
    loaded = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "deploy/grafana/model-registry.json").read_text())
    return loaded


def expressions() -> Iterator[tuple[str, str]]:
    yield from ((rule["alert"], rule["expr"]) for rule in alerts())
    for panel in dashboard()["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel["targets"])


@pytest.mark.parametrize(("where", "expression"), [*expressions()], ids=lambda value: value[:30])
def test_metrics_and_labels_exist(where: str, expression: str) -> None:
    names = set(re.findall(r"\bregistry_\w+", expression))
    labels = set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', expression))
    for group in re.findall(r"by \(([^)]*)\)", expression):
        labels |= {label.strip() for label in group.split(",")}

    assert names <= set(LABELS)
    assert names or "up{" in expression
    assert labels <= OF_PROMETHEUS.union(*(LABELS[name] for name in names))


def test_what_is_listed_here_is_what_the_service_says(app: Flask) -> None:
    app.extensions.pop("vitals", None)
    client = app.test_client()
    client.get("/api/v1/models")

    said = set(re.findall(r"^# TYPE (\w+) ", client.get("/metrics").text, re.MULTILINE))

    families = {*(f"{name}_total" for name in COUNTERS), *HISTOGRAMS, *GAUGES, *vitals.MEANINGS, *OF_DATABASE}
    assert said == families


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: str(rule["alert"]))
def test_every_alert_says_what_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]
    assert f"`{rule['alert']}`" in (ROOT / "docs/operations.md").read_text()


def test_the_dashboard_has_no_two_panels_in_one_place() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not taken & cells, panel["title"]
        taken |= cells
