"""What is judged, and what is written down."""

import pytest

from bench.audit_log import Export
from bench.figures import Figure
from bench.findings import AIMED_AT, AIMS, Audit, Disk, Findings, judged
from bench.grants import KEPT
from bench.grants import Cost as CostOfGrants
from bench.log_cost import Cost
from bench.population import LARGE, SMALL
from bench.questions import LARGEST, NEVER_ASKED, RESOLVE, TEN, UNCHANGED
from bench.report import DISTURBED, report
from bench.rounds import BARE, MLFLOW, PGBENCH, US

LEFT = "| 0.85 (0.85-0.85) | 0.71 (0.71-0.71) | 0.58 (0.58-0.58) |"


@pytest.fixture
def found() -> Findings:
    memory = {(US, LARGE.name): 150.0, (MLFLOW, SMALL.name): 1900.0}
    found = Findings([SMALL, LARGE], {"processors": "2"}, memory=memory)
    rates = {
        (US, RESOLVE): (2000, 1900, 2100), (MLFLOW, RESOLVE): (100, 95, 105), (BARE, RESOLVE): (4000, 3800, 4200),
        (PGBENCH, RESOLVE): (9000, 9000, 9000), (US, UNCHANGED): (3600, 3610, 3590), (US, TEN): (100, 100, 100),
        (US, LARGEST): (50, 50, 50), (US, "search by tag"): (100, 80, 120),
    }  # fmt: skip
    for size in found.sizes:
        for (who, question), rounds in rates.items():
            for rate in rounds:
                found.results.add((who, size.name, question), rate)
    found.results.add((US, SMALL.name, "get a model"), 300)
    found.results.add((US, LARGE.name, "get a model"), 100)
    found.results.refused[MLFLOW, LARGE.name, "set a tag"] = "Socket errors: timeout 3"
    found.costs = [Cost(4, 2, *(Figure.of([rate]) for rate in (1200, 1000, 850, 700)))]
    costs = [CostOfGrants(KEPT, 1, Figure.of([2.0]), 1), CostOfGrants(KEPT, 1000, Figure.of([5.0]), 1)]
    found.grants = {SMALL.name: costs}
    found.audit = {LARGE.name: Audit([Export(1_000, 10, 150, 170)], [120_000.0]), SMALL.name: Audit([], [240_000.0])}
    found.disk = {LARGE.name: Disk(5_000_000_000, 1_000_000_000, 3_000_000_000, 1_000_000, 2_000_000)}
    found.messages = {("get a model", SMALL.name): 2, ("get a model", LARGE.name): 3}
    return found


def test_aims_are_judged_by_the_median_on_the_largest_registry(found: Findings) -> None:
    verdicts = {aim.matter: (figure.median, aim.met(figure)) for aim, figure in judged(found)}

    assert verdicts == {
        f"{RESOLVE}, against MLflow": (20, True),
        f"{RESOLVE}, against the bare route": (0.5, False),
        f"{UNCHANGED}, against the bare route": (0.9, True),
        f"{LARGEST}, against {TEN}": (2, False),
        "search by tag": (10, True),
        "memory of the whole service": (150, True),
        "writes with the audit log, against a plain one, 4 writers, 2 ms each": (0.85, True),
        "events verified on one core": (120_000, True),
    }


def test_what_was_not_measured_is_not_judged(found: Findings) -> None:
    judged_matters = {aim.matter for aim, _ in judged(found)}

    assert {aim.matter for aim in AIMS} - judged_matters == {
        "create a version, against MLflow", "transition with archiving, against MLflow", "set a tag, against MLflow",
        "create a version, against the bare route", "transition with archiving, against the bare route",
        "search by run id", "search, page 900, against search, page 1",
        f"{NEVER_ASKED}, against MLflow", f"{NEVER_ASKED}, against the bare route",
    }  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "| resolve a stage, against MLflow | ≥ 15 × | 20.0 (20.0-20.0) | yes | 40.0 (40.0-40.0) |",
        "| resolve a stage, against the bare route | ≥ 0.7 × | 0.50 (0.50-0.50) | **no** |  |",
        "| search by tag | 10.0 (8.33-12.5) |  |  | 10.0 (8.33-12.5) |  |  |",
        "| resolve a stage | pgbench | large | 9,000 (9,000-9,000) | 2.25 (2.14-2.37) | 90.0 (85.7-94.7) |",
        "| get a model | 3.00 (3.00-3.00) |",
        f"| 4 | 2 ms | 1,200 (1,200-1,200) | 1,000 (1,000-1,000) | 850 (850-850) | 700 (700-700) {LEFT}",
        "| large | export of 1,000 events, per second | 100 (100-100); service 150 MB before, 170 MB at most |",
        "| mlflow server | small | 1900 MB |",
        "| large | 5,000 MB | 1,000 MB | 3,000 MB | 1,000 | 1,500 |",
        "| get a model | 2 | 3 |",
        "| an event verified | 2.00 (2.00-2.00) |",
        "| small | resolve a stage, the answer kept | 1,000 | 1 | 5.00 (5.00-5.00) | 2.50 (2.50-2.50) |",
        "| mlflow | large | set a tag | Socket errors: timeout 3 |",
    ],
)
def test_the_report_says(found: Findings, line: str) -> None:
    assert line in report(found, 3).splitlines()


@pytest.mark.parametrize(("share", "disturbed"), [(0.05, False), (0.9, True)])
def test_the_report_says_when_others_kept_the_processors_busy(found: Findings, share: float, disturbed: bool) -> None:
    found.noise.shares = [share, 0.01, 1.0]

    assert (DISTURBED in report(found, 3)) is disturbed


def test_what_an_aim_is_about_is_also_asked_in_a_hurry() -> None:
    assert {RESOLVE, NEVER_ASKED, UNCHANGED, TEN, LARGEST, "search, page 1", "set a tag"} <= AIMED_AT
    assert "get a model" not in AIMED_AT
