"""The registry answers several hundred requests as a stock mlflow server does, but for what is listed with a reason."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.mlflow.differential.cases import SCENARIOS
from tests.mlflow.differential.comparing import Told, report, told, unlike
from tests.mlflow.differential.differences import DIFFERENCES, Difference
from tests.mlflow.differential.requests import Scenario, Step, emptied, run
from tests.mlflow.servers import Server

EXPECTED = [] if os.environ.get("REGISTRY_TEST_DIFFERENCES") == "none" else DIFFERENCES
"""`none` compares a stock mlflow server with another one, named by REGISTRY_TEST_URL: a check of the harness."""


@pytest.mark.mlflow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_registry_answers_as_mlflow_does(scenario: Scenario, reference: Server, registry: Server) -> None:
    with ThreadPoolExecutor() as pool:
        theirs, ours = pool.map(lambda server: played(scenario, server), [reference, registry])

    wrong = list(problems(scenario, theirs, ours))

    if wrong:
        pytest.fail(f"{len(wrong)} of {len(scenario.steps)} cases\n\n" + "\n\n".join(wrong), pytrace=False)


def played(scenario: Scenario, server: Server) -> list[Told]:
    """What a server with an empty registry answers; it is empty again afterwards."""
    answers = run(server, scenario.steps)
    emptied(server)
    return told(scenario.steps, answers)


def problems(scenario: Scenario, theirs: list[Told], ours: list[Told]) -> Iterator[str]:
    """What differs though it should not, or does not differ as it should."""
    for case, step, left, right in zip(scenario.cases(), scenario.steps, theirs, ours, strict=True):
        expected = next((difference for difference in EXPECTED if difference.covers(case)), None)
        if expected is None and unlike(left, right):
            yield report(case, step, left, right)
        if expected is not None and not expected.holds(left, right):
            yield gone(case, step, left, right, expected)


def gone(case: str, step: Step, theirs: Told, ours: Told, expected: Difference) -> str:
    """A listed difference that is not as it is listed."""
    differ = report(case, step, theirs, ours) if unlike(theirs, ours) else f"{case}\n    {step}\n    no difference"
    return f"{differ}\n    listed because {expected.because}"


def test_every_listed_difference_speaks_of_a_case_and_no_case_of_two() -> None:
    cases = [case for scenario in SCENARIOS for case in scenario.cases()]
    covering = {case: [entry for entry in DIFFERENCES if entry.covers(case)] for case in cases}

    assert [entry.cases for entry in DIFFERENCES if not any(entry in found for found in covering.values())] == []
    assert [case for case, found in covering.items() if len(found) > 1] == []


def test_scenarios_and_their_cases_can_be_told_apart() -> None:
    names = Counter(scenario.name for scenario in SCENARIOS)
    cases = Counter(case for scenario in SCENARIOS for case in scenario.cases())

    assert [name for name, times in (names + cases).items() if times > 1] == []


def test_no_two_scenarios_make_models_of_the_same_name() -> None:
    """A registry may remember a name: ours goes on counting versions where a deleted model of that name stopped."""
    made = Counter(name for scenario in SCENARIOS for name in {created(step) for step in scenario.steps} if name)

    assert [name for name, times in made.items() if times > 1] == []


def created(step: Step) -> str:
    """The name of the model that a step makes, if it makes one."""
    if not step.path.endswith("registered-models/create") or not step.body.startswith(b"{"):
        return ""
    name = json.loads(step.body).get("name")
    return name if isinstance(name, str) else ""
