"""What a user of mlflow reads when something is not for them, and that a hidden model is not there.

A program of its own, run by the python of an environment that has mlflow: `refusals.py OPEN SECRET`, two models. It
prints, as one line of JSON, what it was told.
"""

import json
import sys
from typing import Any

from mlflow import MlflowClient  # type: ignore[import-not-found,unused-ignore]
from mlflow.exceptions import MlflowException  # type: ignore[import-not-found,unused-ignore]

OPEN, SECRET = sys.argv[1:]


def told(do: Any) -> dict[str, str]:
    """What the user reads when something is refused."""
    try:
        do()
    except MlflowException as error:
        return {"code": error.error_code, "message": error.message}
    return {}


def main() -> None:
    """Try what is denied, what was never given, and what is hidden."""
    client = MlflowClient()
    client.set_registered_model_tag(OPEN, "team", "risk")
    said: dict[str, Any] = {
        "denied": told(lambda: client.transition_model_version_stage(OPEN, "1", "Production")),
        "not given": told(lambda: client.delete_registered_model(OPEN)),
        "taken": told(lambda: client.create_registered_model(SECRET)),
        "hidden": told(lambda: client.get_registered_model(SECRET)),
        "hidden version": told(lambda: client.get_model_version(SECRET, "1")),
        "hidden alias": told(lambda: client.get_model_version_by_alias(SECRET, "champion")),
    }
    said["models"] = [model.name for model in client.search_registered_models()]
    said["versions"] = sorted({version.name for version in client.search_model_versions()})
    print(json.dumps(said))


main()
