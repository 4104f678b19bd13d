"""Reads what /metrics says, with the parser that Prometheus' own client library has."""

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str, *, newest: bool = False) -> Samples:
    """Every number, by name and labels."""
    families = (openmetrics if newest else plain)(text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(found: Samples, name: str, **labels: str) -> float:
    """One number; 0 if it is not there."""
    return found.get((name, frozenset(labels.items())), 0.0)
