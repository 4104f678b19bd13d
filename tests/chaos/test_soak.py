"""What counts as growth, and at which pace clients go."""

import statistics
import threading
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chaos.box import Box
from chaos.scenarios import soak
from chaos.scenarios.soak import MB, Sample, growth, table

FLAT = Sample(15.0, 300, (0.1,) * 300, 200 * MB, 40 * MB, 60 * MB, 8, 6.0, 3.0)
LATE = replace(FLAT, waits=(0.2,) * 300)


def thirds(first: Sample, middle: Sample, last: Sample) -> list[list[Sample]]:
    return [[first] * 5, [middle] * 5, [last] * 5]


@pytest.mark.parametrize(
    ("last", "word"),
    [
        (replace(FLAT, service=230 * MB), "memory of the service"),
        (replace(FLAT, sealer=50 * MB), "memory of the sealer"),
        (LATE, "latency"),
        (replace(FLAT, work=9.0), "processor time"),
        (replace(FLAT, connections=12), "4 connections more"),
    ],
)
def test_growth_is_seen(last: Sample, word: str) -> None:
    [found], remarks = growth(thirds(FLAT, FLAT, last), 12)
    assert word in found
    assert not remarks


def test_connections_beyond_what_pools_may_have_are_seen() -> None:
    many = replace(FLAT, connections=99)
    [found], _ = growth(thirds(many, many, many), 18)
    assert "99 connections, of 18" in found


def test_warming_up_is_none() -> None:
    cold = replace(FLAT, service=50 * MB, sealer=9 * MB, connections=1, waits=(0.01,), work=1.0)
    assert growth(thirds(cold, FLAT, FLAT), 12) == ([], [])


def test_a_part_of_the_time_in_which_answers_were_late_is_none() -> None:
    first, middle, last = thirds(FLAT, FLAT, FLAT)
    assert growth([first, middle, [*last[:3], LATE, LATE]], 12) == ([], [])


def test_answers_that_are_late_because_others_work_are_said_and_are_no_fault() -> None:
    faults, [remark] = growth(thirds(FLAT, FLAT, replace(LATE, others=18.0)), 12)
    assert not faults
    assert "others took 0.20 cores and then 1.20" in remark


def test_they_are_a_fault_where_the_service_works_more_besides() -> None:
    faults, remarks = growth(thirds(FLAT, FLAT, replace(LATE, others=18.0, work=9.0)), 12)
    assert {fault.split(",")[0] for fault in faults} == {"processor time of a change", "latency"}
    assert not remarks


def test_the_table_has_quartiles_of_all_answers_of_a_period() -> None:
    waits = tuple(number / 1000 for number in range(100))
    lines = table([replace(FLAT, waits=waits)] * 24).splitlines()
    assert len(lines) == 2 + 12
    assert lines[2] == "| 0.0-0.5 | 20.0 | 25, 50, 75 | 200 | 40 | 60 | 8 | 20.0 | 0.20 |"
    assert lines[-1].startswith("| 5.5-6.0 |")


class FakeLoad:
    """Clients that get as much done as they can, until they are told a pace."""

    def __init__(self, changes: list[int]) -> None:
        self.pace, self.paces = 0.0, set[float]()
        self.stopping = threading.Event()
        self._changes = changes

    def run(self) -> None:
        while not self.stopping.wait(0.01):
            self.paces.add(self.pace)
            self._changes.append(1)


def test_clients_ask_for_half_of_what_they_can_get(monkeypatch: pytest.MonkeyPatch) -> None:
    faults: list[str] = []
    journal = SimpleNamespace(changes=[], waits=[], fault=faults.append)
    load = FakeLoad(journal.changes)
    counts: dict[str, int] = {"seconds soaked": 0}
    plan = SimpleNamespace(instances=1, workers=1, pool=4, writers=6)
    box = cast("Box", SimpleNamespace(load=load, journal=journal, plan=plan, counts=counts, notes=[]))
    rates: list[float] = []
    real = soak.flat_out

    def measured(box: Box, seconds: float) -> float:
        assert seconds == pytest.approx(0.2)
        rates.append(real(box, seconds))
        return rates[-1]

    monkeypatch.setattr(soak, "flat_out", measured)
    monkeypatch.setattr(soak, "sample", sampled)
    clients = threading.Thread(target=load.run)
    clients.start()
    try:
        soak.soak(box, 1.2)
    finally:
        load.stopping.set()
        clients.join()
    assert len(rates) == 1 + soak.THIRDS
    assert load.paces - {0.0} == {6 / (rates[0] / 2)}
    assert counts["share of what it can do, %"] == round(100 * 20 / statistics.mean(rates))
    assert faults == []


def sampled(_box: Any, _seconds: float) -> Sample:
    time.sleep(0.1)
    return replace(FLAT, connections=4)
