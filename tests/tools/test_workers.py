"""`make workers` measures: here each question once, and one way of serving."""

import pytest

from bench import wrk
from bench.processes import free_port
from tools import workers


@pytest.mark.skipif(not wrk.available(), reason="needs wrk")
def test_a_way_of_serving_is_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    way = "our own, 2 workers, 4 threads (default)"
    monkeypatch.setattr(workers, "WAYS", {way: workers.WAYS[way]})
    monkeypatch.setattr(workers, "PORT", free_port())
    for name in ("ROUNDS", "SECONDS", "WARM_UP_SECONDS"):
        monkeypatch.setattr(workers, name, 1)

    workers.main()

    assert capsys.readouterr().out.splitlines()[-1] == f"| {way} | 1.00 (1.00-1.00) | 1.00 (1.00-1.00) | yes |"
