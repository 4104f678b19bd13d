"""What users do with an mlflow 3 client, the registry on one server and everything else on another.

A program of its own, run by the python of an environment that has mlflow: `journey_mlflow3.py http MODEL`, or `sqlite`
after the kind of tracking store. MLFLOW_TRACKING_URI and MLFLOW_REGISTRY_URI say where things are. Chapters build on
each other; a chapter that fails is reported and the next one is tried.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import mlflow  # type: ignore[import-not-found,unused-ignore]
import pandas as pd  # type: ignore[import-not-found,import-untyped,unused-ignore]
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException  # type: ignore[import-not-found,unused-ignore]

KIND, NAME = sys.argv[1:]
REQUIREMENTS = ["mlflow"]  # given, so that nobody searches the model for imports
INPUT = pd.DataFrame({"tenure": [1.0, 10.0]})

client = MlflowClient()
kept: dict[str, str] = {}
"""What a chapter leaves to later ones: ids of runs and of logged models."""


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


def facts(version: Any) -> dict[str, Any]:
    """What a version says about itself, as far as it does not depend on ids and times."""
    said = {"version": version.version, "stage": version.current_stage, "status": version.status}
    return said | {"tags": dict(version.tags), "aliases": sorted(version.aliases)}


def train(factor: float, **more: Any) -> Any:
    """A run with a parameter, a metric and a model."""
    with mlflow.start_run() as run:
        mlflow.log_param("factor", factor)
        mlflow.log_metric("auc", 0.5 + factor / 100)
        kept[f"run {factor}"] = run.info.run_id
        return mlflow.pyfunc.log_model(name="model", python_model=Times(factor), pip_requirements=REQUIREMENTS, **more)


def register_from_runs() -> None:
    """The first registration makes the model, the second finds it there."""
    for number, factor in (("1", 2.0), ("2", 3.0)):
        logged = train(factor)
        version = mlflow.register_model(f"runs:/{kept[f'run {factor}']}/model", NAME, tags={"factor": str(factor)})

        same(facts(version) | {"aliases": []}, new(number, factor=str(factor)))
        same((version.name, version.run_id), (NAME, kept[f"run {factor}"]))
        same(version.source, f"models:/{logged.model_id}")
        kept[f"model {factor}"] = logged.model_id


def new(number: str, **tags: str) -> dict[str, Any]:
    """The facts of a version that was just registered."""
    return {"version": number, "stage": "None", "status": "READY", "tags": tags, "aliases": []}


def promote() -> None:
    """Production changes hands, and the former holder is archived."""
    client.transition_model_version_stage(NAME, "1", "Production")
    same([v.version for v in client.get_latest_versions(NAME, ["Production"])], ["1"])
    moved = client.transition_model_version_stage(NAME, "2", "production", archive_existing_versions=True)

    same((moved.version, moved.current_stage), ("2", "Production"))
    same(stages(), {"1": "Archived", "2": "Production"})
    with refused("INVALID_PARAMETER_VALUE"):
        client.transition_model_version_stage(NAME, "2", "Live")


def stages() -> dict[str, str]:
    """Each version of the model with its stage."""
    return {v.version: v.current_stage for v in client.search_model_versions(f"name = '{NAME}'")}


def name_and_describe() -> None:
    """Aliases, tags and descriptions, seen again from the model and from its version."""
    client.set_registered_model_alias(NAME, "champion", "1")
    client.set_registered_model_tag(NAME, "team", "retention")
    client.set_model_version_tag(NAME, "2", "reviewed", "yes")
    client.update_registered_model(NAME, "Who is about to leave")
    client.update_model_version(NAME, "2", "trained on May")
    model, version = client.get_registered_model(NAME), client.get_model_version(NAME, "2")

    same((model.description, model.tags), ("Who is about to leave", {"team": "retention"}))
    same(model.aliases, {"champion": "1"})
    same({v.current_stage: v.version for v in model.latest_versions}, {"Archived": "1", "Production": "2"})
    same(version.description, "trained on May")
    same(version.tags, {"factor": "3.0", "reviewed": "yes"})
    same(client.get_model_version_by_alias(NAME, "champion").version, "1")


LOADED = {"Production": 3.0, "production": 3.0, "PRODUCTION": 3.0, "Archived": 2.0, "1": 2.0, "02": 3.0, "latest": 3.0}


def load() -> None:
    """By stage in any spelling, by number, by what is latest, by alias."""
    for where, factor in LOADED.items():
        same((where, factor_of(f"models:/{NAME}/{where}")), (where, factor))
    same(factor_of(f"models:/{NAME}@champion"), 2.0)
    same(factor_of(f"models:/{NAME}@latest"), 3.0)
    with refused("RESOURCE_DOES_NOT_EXIST"):
        mlflow.pyfunc.load_model(f"models:/{NAME}/99")
    with refused("INVALID_PARAMETER_VALUE"):
        mlflow.pyfunc.load_model(f"models:/{NAME}@nobody")


def register_logged_models() -> None:
    """By the id of a logged model, and while logging one: neither names a run."""
    version = mlflow.register_model(f"models:/{kept['model 2.0']}", NAME)
    same((version.version, version.source), ("3", f"models:/{kept['model 2.0']}"))
    logged = train(5.0, registered_model_name=NAME)
    version = client.get_model_version(NAME, "4")

    same(version.source, f"models:/{logged.model_id}")
    same(factor_of(f"models:/{NAME}/4"), 5.0)
    same(factor_of(f"models:/{NAME}/3"), 2.0)


def copy() -> None:
    """A copy has a name and a number of its own, and the same files."""
    copied = client.copy_model_version(f"models:/{NAME}/Production", f"{NAME}-copy")

    same((copied.name, copied.version), (f"{NAME}-copy", "1"))
    same(copied.source, f"models:/{NAME}/2")
    same((copied.description, copied.tags["reviewed"]), ("trained on May", "yes"))
    same(factor_of(f"models:/{NAME}-copy/1"), 3.0)
    again = mlflow.register_model(f"models:/{NAME}-copy/1", f"{NAME}-copy")
    same((again.version, factor_of(f"models:/{NAME}-copy/2")), ("2", 3.0))


def register_run_artifacts() -> None:
    """A model that was saved by hand and logged as files of a run, as mlflow 2 did it."""
    version = mlflow.register_model(saved_in_run(7.0), f"{NAME}-files")

    same((version.version, version.run_id), ("1", kept["run 7.0"]))
    same(version.source.split("/")[0], "mlflow-artifacts:")
    same(factor_of(f"models:/{NAME}-files/1"), 7.0)


def saved_in_run(factor: float) -> str:
    """Save a model, log its files, and return where they are in the run."""
    with tempfile.TemporaryDirectory() as directory, mlflow.start_run() as run:
        mlflow.pyfunc.save_model(f"{directory}/m", python_model=Times(factor), pip_requirements=REQUIREMENTS)
        mlflow.log_artifacts(f"{directory}/m", "saved")
        kept[f"run {factor}"] = run.info.run_id
        return f"runs:/{run.info.run_id}/saved"


def refuse_local_paths() -> None:
    """Files of this machine are no use to others: unless an operator allows them, they are refused with a reason."""
    with refused("INVALID_PARAMETER_VALUE"):
        mlflow.register_model(saved_in_run(7.0), f"{NAME}-files")


def serve() -> None:
    """`mlflow models serve` finds the version in Production and answers with it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", f"models:/{NAME}/Production", *where]
    with subprocess.Popen(command, start_new_session=True) as server:
        try:
            wait_for(f"http://127.0.0.1:{port}/ping", server)
            body = json.dumps({"dataframe_split": {"columns": ["tenure"], "data": [[1.0], [4.0]]}}).encode()
            headers = {"Content-Type": "application/json"}
            asked = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", body, headers)
            with urllib.request.urlopen(asked, timeout=30) as answer:
                same(json.load(answer), {"predictions": [3.0, 12.0]})
        finally:
            end_group(server)


def end_group(leader: "subprocess.Popen[bytes]") -> None:
    """End a process that leads a group, and what it has started."""
    with suppress(ProcessLookupError):
        os.killpg(leader.pid, signal.SIGTERM)


def wait_for(url: str, server: "subprocess.Popen[bytes]") -> None:
    """Ask until there is an answer."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise AssertionError(f"no answer from {url}")


def keep_apart() -> None:
    """The tracking store has no registered models; on its logged models the client itself notes where they are."""
    same(list(MlflowClient(registry_uri=mlflow.get_tracking_uri()).search_registered_models()), [])

    noted = json.loads(mlflow.get_logged_model(kept["model 2.0"]).tags["mlflow.modelVersions"])

    same([(version["name"], str(version["version"])) for version in noted], [(NAME, "1"), (NAME, "3")])


def search() -> None:
    """Models and versions by name, tag and run; one page after the other."""
    models = client.search_registered_models(f"name LIKE '{NAME}%'", order_by=["name DESC"])
    same([m.name for m in models], [f"{NAME}-files", f"{NAME}-copy", NAME])
    same([m.name for m in client.search_registered_models("tags.team = 'retention'")], [NAME])
    same(models[-1].tags, {"team": "retention"})
    by_run = mlflow.search_model_versions(filter_string=f"run_id = '{kept['run 3.0']}'")
    same(sorted((v.name, v.version) for v in by_run), [(NAME, "2"), (f"{NAME}-copy", "1"), (f"{NAME}-copy", "2")])
    found = client.search_model_versions(f"name = '{NAME}'", order_by=["version_number DESC"], max_results=3)
    same(([v.version for v in found], bool(found.token)), (["4", "3", "2"], True))
    rest = client.search_model_versions(
        f"name = '{NAME}'", order_by=["version_number DESC"], max_results=3, page_token=found.token
    )
    same(([v.version for v in rest], rest.token or None), (["1"], None))
    with refused("INVALID_PARAMETER_VALUE"):
        client.search_registered_models("owner = 'me'")


def rename() -> None:
    """A new name for the model, its versions and its aliases; the old one is free."""
    client.set_registered_model_alias(f"{NAME}-copy", "spare", "2")
    client.rename_registered_model(f"{NAME}-copy", "Renamed")

    same(client.get_model_version_by_alias("Renamed", "spare").version, "2")
    same(factor_of("models:/Renamed@spare"), 3.0)
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.get_registered_model(f"{NAME}-copy")
    with refused("RESOURCE_ALREADY_EXISTS"):
        client.rename_registered_model("Renamed", NAME)


def delete() -> None:
    """What is deleted is gone, and its numbers stay used, also for a model made again."""
    client.delete_model_version("Renamed", "2")
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.get_model_version("Renamed", "2")
    with refused("INVALID_PARAMETER_VALUE"):
        client.get_model_version_by_alias("Renamed", "spare")
    same(mlflow.register_model(f"models:/{NAME}/1", "Renamed").version, "3")
    client.delete_registered_model("Renamed")
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.get_registered_model("Renamed")

    again = mlflow.register_model(f"models:/{NAME}/1", "Renamed")

    same((again.version, again.current_stage, factor_of("models:/Renamed/latest")), ("4", "None", 2.0))


def prompts() -> None:
    """Prompts are kept, found by version and alias, and do not mix with models."""
    first = mlflow.genai.register_prompt("greeting", "Hello {{name}}", commit_message="one", tags={"kind": "mail"})
    second = mlflow.genai.register_prompt("greeting", "Dear {{name}}", commit_message="two")
    same((first.version, second.version, second.commit_message), (1, 2, "two"))
    same(mlflow.genai.load_prompt("greeting", version=1).template, "Hello {{name}}")
    same(mlflow.genai.load_prompt("prompts:/greeting@latest").format(name="Ada"), "Dear Ada")
    same(mlflow.genai.load_prompt("greeting", version=9, allow_missing=True), None)
    mlflow.genai.set_prompt_alias("greeting", "formal", 2)
    same(mlflow.genai.load_prompt("prompts:/greeting@formal").version, 2)
    mlflow.genai.delete_prompt_alias("greeting", "formal")
    same(mlflow.genai.load_prompt("prompts:/greeting@formal", allow_missing=True, cache_ttl_seconds=0), None)

    same([p.name for p in mlflow.genai.search_prompts()], ["greeting"])
    same("greeting" in [m.name for m in client.search_registered_models()], False)
    same([p.version for p in client.search_prompt_versions("greeting")], [2, 1])
    same([v.name for v in client.search_model_versions("name = 'greeting'")], [])
    with refused("RESOURCE_ALREADY_EXISTS"):
        client.create_registered_model("greeting")
    client.set_prompt_tag("greeting", "kind", "letter")
    same(client.get_prompt("greeting").tags["kind"], "letter")
    client.delete_prompt_version("greeting", "1")
    client.delete_prompt_version("greeting", "2")
    client.delete_prompt("greeting")
    same(list(mlflow.genai.search_prompts()), [])


def every_method_for_models() -> None:
    """The client's methods for registered models, each once, on a model that has no files."""
    made = client.create_registered_model("Bare", tags={"a": "1"}, description="d")
    same((made.name, made.tags, made.description), ("Bare", {"a": "1"}, "d"))
    same(made.creation_timestamp, made.last_updated_timestamp)
    with refused("RESOURCE_ALREADY_EXISTS"):
        client.create_registered_model("Bare")
    changed = client.update_registered_model("Bare", "e")
    same((changed.description, changed.last_updated_timestamp >= made.last_updated_timestamp), ("e", True))
    client.set_registered_model_tag("Bare", "b", 2)
    client.delete_registered_model_tag("Bare", "a")
    same(client.get_registered_model("Bare").tags, {"b": "2"})
    client.rename_registered_model("Bare", "Barely")
    same([m.name for m in client.search_registered_models("name = 'Barely'")], ["Barely"])
    same([m.name for m in mlflow.search_registered_models(filter_string="name ILIKE 'barely'")], ["Barely"])


def every_method_for_versions() -> None:
    """The client's methods for model versions, each once."""
    made = client.create_model_version("Barely", "s3://bucket/model", run_id="r", tags={"a": "1"}, description="d")
    same(facts(made), new("1", a="1"))
    same((made.source, made.run_id, made.description, made.run_link), ("s3://bucket/model", "r", "d", ""))
    same(client.get_model_version_download_uri("Barely", "1"), "s3://bucket/model")
    same(client.update_model_version("Barely", "1", "e").description, "e")
    client.set_model_version_tag("Barely", "1", "b", True)
    client.delete_model_version_tag("Barely", "1", "a")
    client.transition_model_version_stage("Barely", "1", "Staging")
    client.set_model_version_tag("Barely", key="c", value="3", stage="Staging")
    same(client.get_model_version("Barely", "1").tags, {"b": "True", "c": "3"})
    client.delete_model_version_tag("Barely", key="c", stage="Staging")
    client.set_registered_model_alias("Barely", "Best", 1)
    same(facts(client.get_model_version("Barely", "1")), new("1", b="True") | {"stage": "Staging", "aliases": ["Best"]})
    same(client.get_model_version_by_alias("Barely", "Best").version, "1")
    client.delete_registered_model_alias("Barely", "Best")
    same(client.get_registered_model("Barely").aliases, {})
    same([v.version for v in client.get_latest_versions("Barely")], ["1"])
    same(client.get_latest_versions("Barely", ["Production"]), [])
    same(client.get_model_version_stages("Barely", "1"), ["None", "Staging", "Production", "Archived"])
    same([v.source for v in client.search_model_versions("name = 'Barely'")], ["s3://bucket/model"])
    same(client.copy_model_version("models:/Barely/1", "Barest").source, "models:/Barely/1")
    same(client.get_model_version_download_uri("Barest", "1"), "s3://bucket/model")
    client.delete_model_version("Barely", "1")
    same([v.version for v in client.search_model_versions("name = 'Barely'")], [])
    client.delete_registered_model("Barely")


def strangers() -> None:
    """Without the right token the client is told so, and told nothing else."""
    given = os.environ.pop("MLFLOW_TRACKING_TOKEN")
    try:
        with refused("UNAUTHENTICATED"):
            client.get_registered_model(NAME)
        os.environ["MLFLOW_TRACKING_TOKEN"] = "x" * 40
        with refused("UNAUTHENTICATED"):
            client.create_registered_model("Stolen")
        os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"] = "anybody", given
        same(client.get_registered_model(NAME).name, NAME)
    finally:
        os.environ.pop("MLFLOW_TRACKING_USERNAME", None)
        os.environ.pop("MLFLOW_TRACKING_PASSWORD", None)
        os.environ["MLFLOW_TRACKING_TOKEN"] = given


Chapter = Callable[[], None]
BEGINNING: list[Chapter] = [
    register_from_runs,
    promote,
    name_and_describe,
    load,
    register_logged_models,
    copy,
    keep_apart,
]
JOURNEYS: dict[str, list[Chapter]] = {
    "http": [
        *BEGINNING,
        register_run_artifacts,
        search,
        rename,
        delete,
        prompts,
        every_method_for_models,
        every_method_for_versions,
        strangers,
        serve,
    ],
    "sqlite": [*BEGINNING, refuse_local_paths],
}


def main() -> int:
    """Go through the chapters; the exit code is the number of those that failed."""
    warnings.simplefilter("ignore", FutureWarning)  # stages have been about to go for years
    failed = 0
    for chapter in JOURNEYS[KIND]:
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
