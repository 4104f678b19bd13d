"""The numbers as Prometheus reads them."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

import registry
from registry.metrics.board import Board, Worker
from registry.metrics.meters import BOUNDS, BUCKETS, COUNTERS, HISTOGRAMS

EDGES = [*map(str, BOUNDS), "+Inf"]
GAUGES = {
    "registry_workers": "Worker processes that serve at the moment.",
    "registry_requests_under_way": "Requests that are being answered.",
    "registry_oldest_request_seconds": "How long the oldest of them has been under way; 0 if there is none.",
    "registry_pool_connections_in_use": "Database connections in use, of all workers.",
    "registry_pool_connections_max": "Database connections that all workers may have.",
    "registry_build_info": "The release that runs; always 1.",
}
"""What is always there; the state of the database comes beside it (`registry.domain.vitals`)."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """One number with what it means."""

    name: str
    meaning: str
    value: float


class Numbers:
    """One reading of everything; prometheus_client asks it to `collect`."""

    def __init__(self, board: Board, pool_size: int, others: Iterable[Gauge]) -> None:
        self._board, self._pool_size, self._others = board, pool_size, others

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        sums = self._board.sums()
        for name, (meaning, labels) in COUNTERS.items():
            yield counter(name, meaning, labels, {key[1:]: numbers for key, numbers in sums.items() if key[0] == name})
        for name, (meaning, labels) in HISTOGRAMS.items():
            yield histogram(
                name, meaning, labels, {key[1:]: numbers for key, numbers in sums.items() if key[0] == name}
            )
        for name, value in now(self._board.living(), self._pool_size).items():
            yield GaugeMetricFamily(name, GAUGES[name], value=value)
        build = GaugeMetricFamily("registry_build_info", GAUGES["registry_build_info"], labels=["version"])
        build.add_metric([registry.__version__], 1)
        yield build
        for other in self._others:
            yield GaugeMetricFamily(other.name, other.meaning, value=other.value)


def counter(
    name: str, meaning: str, labels: tuple[str, ...], rows: Mapping[tuple[str, ...], list[float]]
) -> CounterMetricFamily:
    """A counter with all its series."""
    family = CounterMetricFamily(name, meaning, labels=labels)
    for values, [number] in sorted(rows.items()):
        family.add_metric(values, number)
    return family


def histogram(
    name: str, meaning: str, labels: tuple[str, ...], rows: Mapping[tuple[str, ...], list[float]]
) -> HistogramMetricFamily:
    """A histogram with all its series; each bucket counts those below it too, as Prometheus wants it."""
    family = HistogramMetricFamily(name, meaning, labels=labels)
    for values, numbers in sorted(rows.items()):
        below = [sum(numbers[: index + 1]) for index in range(BUCKETS)]
        family.add_metric(values, list(zip(EDGES, below, strict=True)), numbers[BUCKETS])
    return family


def now(workers: list[Worker], pool_size: int) -> dict[str, float]:
    """What the living workers are at."""
    began = [each for worker in workers for each in worker.began]
    return {
        "registry_workers": len(workers),
        "registry_requests_under_way": len(began),
        "registry_oldest_request_seconds": time.monotonic() - min(began) if began else 0.0,
        "registry_pool_connections_in_use": sum(worker.connections for worker in workers),
        "registry_pool_connections_max": len(workers) * pool_size,
    }


def written(numbers: Numbers, accept: str) -> tuple[bytes, str]:
    """All of it as text, in the newest form that the reader takes, with its media type."""
    collected = CollectorRegistry()
    collected.register(numbers)
    encode, media_type = choose_encoder(accept)
    return encode(collected), media_type
