"""What users do with an mlflow 2 client, which registers the files of a run and knows no logged models.

A program of its own, run by the python of an environment that has mlflow 2: `journey_mlflow2.py MODEL`.
MLFLOW_TRACKING_URI and MLFLOW_REGISTRY_URI say where things are.
"""

import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import mlflow  # type: ignore[import-not-found,unused-ignore]
import pandas as pd  # type: ignore[import-not-found,import-untyped,unused-ignore]
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException  # type: ignore[import-not-found,unused-ignore]

[NAME] = sys.argv[1:]
REQUIREMENTS = ["mlflow"]  # given, so that nobody searches the model for imports
INPUT = pd.DataFrame({"tenure": [1.0, 10.0]})
LOADED = {"Production": 3.0, "production": 3.0, "PRODUCTION": 3.0, "Archived": 2.0, "1": 2.0, "02": 3.0, "latest": 3.0}

client = MlflowClient()
runs: dict[float, str] = {}
"""The run that trained the model with this factor."""


class Times(mlflow.pyfunc.PythonModel):  # type: ignore[misc,unused-ignore]
    """The smallest model that shows which one it is: it multiplies by its factor."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def predict(self, context: Any, model_input: Any, params: Any = None) -> list[float]:
        return [value * self.factor for value in model_input["tenure"]]


def same(actual: object, expected: object) -> None:
    """Fail unless both are equal, and say what they are."""
    if actual != expected:
        raise AssertionError(f"{actual!r} is not {expected!r}")


def factor_of(uri: str) -> float:
    """Load the model at `uri` and find out which one it is."""
    first, second = mlflow.pyfunc.load_model(uri).predict(INPUT)
    same(second, first * 10)
    return float(first)


@contextmanager
def refused(code: str) -> Iterator[None]:
    """Expect the client to be told no, with this code."""
    try:
        yield
    except MlflowException as error:
        same(error.error_code, code)
    else:
        raise AssertionError(f"nothing was refused, {code} was expected")


def train(factor: float, **more: Any) -> None:
    """A run with a parameter, a metric and a model."""
    with mlflow.start_run() as run:
        mlflow.log_param("factor", factor)
        mlflow.log_metric("auc", 0.5 + factor / 100)
        runs[factor] = run.info.run_id
        mlflow.pyfunc.log_model("model", python_model=Times(factor), pip_requirements=REQUIREMENTS, **more)


def register() -> None:
    """While logging the model, and from the run afterwards."""
    train(2.0, registered_model_name=NAME)
    train(3.0)
    second = mlflow.register_model(f"runs:/{runs[3.0]}/model", NAME, tags={"factor": "3"})
    first = client.get_model_version(NAME, "1")

    same((first.version, first.run_id, first.current_stage), ("1", runs[2.0], "None"))
    same((second.version, second.run_id, second.status), ("2", runs[3.0], "READY"))
    same(client.get_model_version(NAME, "2").tags, {"factor": "3"})
    same(second.source.split("/")[0], "mlflow-artifacts:")
    same(client.get_model_version_download_uri(NAME, "2"), second.source)


def promote() -> None:
    """Production changes hands, and the former holder is archived."""
    client.transition_model_version_stage(NAME, "1", "Production")
    moved = client.transition_model_version_stage(NAME, "2", "production", archive_existing_versions=True)

    same((moved.version, moved.current_stage), ("2", "Production"))
    same([v.version for v in client.get_latest_versions(NAME, ["Production"])], ["2"])
    same(sorted((v.version, v.current_stage) for v in client.get_latest_versions(NAME)), STAGES)


STAGES = [("1", "Archived"), ("2", "Production")]


def load() -> None:
    """By stage in any spelling, by number, by what is latest, by alias."""
    client.set_registered_model_alias(NAME, "champion", "1")
    for where, factor in LOADED.items():
        same((where, factor_of(f"models:/{NAME}/{where}")), (where, factor))
    same(factor_of(f"models:/{NAME}@champion"), 2.0)
    client.set_registered_model_alias(NAME, "champion", "2")
    same(factor_of(f"models:/{NAME}@champion"), 3.0)
    client.delete_registered_model_alias(NAME, "champion")
    with refused("INVALID_PARAMETER_VALUE"):
        client.get_model_version_by_alias(NAME, "champion")


def tag_and_search() -> None:
    """What is said about models and versions can be searched for."""
    client.set_registered_model_tag(NAME, "team", "retention")
    client.set_registered_model_tag(NAME, "gone", "soon")
    client.delete_registered_model_tag(NAME, "gone")
    client.set_model_version_tag(NAME, "1", "reviewed", "yes")
    client.update_registered_model(NAME, "Who is about to leave")
    client.update_model_version(NAME, "1", "trained on May")
    model = client.get_registered_model(NAME)

    same((model.tags, model.description), ({"team": "retention"}, "Who is about to leave"))
    same([m.name for m in client.search_registered_models("tags.team = 'retention'") if m.name == NAME], [NAME])
    same([m.name for m in client.search_registered_models(f"name ILIKE '{NAME.upper()}'")], [NAME])
    found = client.search_model_versions(f"name = '{NAME}'", order_by=["version_number ASC"])
    same([(v.version, v.description, v.tags) for v in found], [("1", "trained on May", {"reviewed": "yes"}), SECOND])
    by_tag = client.search_model_versions(f"name = '{NAME}' AND tags.reviewed = 'yes'")
    same([v.version for v in by_tag], ["1"])
    same([v.version for v in client.search_model_versions(f"run_id = '{runs[3.0]}'")], ["2"])


SECOND = ("2", "", {"factor": "3"})


def copy_rename_delete() -> None:
    """A copy loads like the original; what is renamed or deleted is no longer there."""
    copied = client.copy_model_version(f"models:/{NAME}/2", f"{NAME}-copy")
    same((copied.version, copied.source, copied.run_id), ("1", f"models:/{NAME}/2", runs[3.0]))
    same(factor_of(f"models:/{NAME}-copy/1"), 3.0)
    client.rename_registered_model(f"{NAME}-copy", f"{NAME}-twin")
    same(factor_of(f"models:/{NAME}-twin/latest"), 3.0)
    client.delete_model_version(f"{NAME}-twin", "1")
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.get_model_version(f"{NAME}-twin", "1")
    client.delete_registered_model(f"{NAME}-twin")
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.get_registered_model(f"{NAME}-twin")
    with refused("RESOURCE_ALREADY_EXISTS"):
        client.create_registered_model(NAME)


CHAPTERS: list[Callable[[], None]] = [register, promote, load, tag_and_search, copy_rename_delete]


def main() -> int:
    """Go through the chapters; the exit code is the number of those that failed."""
    warnings.simplefilter("ignore", FutureWarning)  # stages have been about to go for years
    failed = 0
    for chapter in CHAPTERS:
        started = time.monotonic()
        try:
            chapter()
        except Exception:
            failed += 1
            print(f"FAILED {chapter.__name__}", traceback.format_exc(), sep="\n", flush=True)
        else:
            print(f"ok {chapter.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
