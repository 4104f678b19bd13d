"""What a user of mlflow sees of its credentials: let in with one, refused a promotion, turned away with a bad one.

A program of its own, run by the python of an environment that has mlflow: `credentials.py MODEL`. The credential is
where the user has put it: in MLFLOW_TRACKING_TOKEN, in MLFLOW_TRACKING_USERNAME and _PASSWORD, or in the address. It
prints, as one line of JSON, what it was told.
"""

import json
import os
import sys
from typing import Any

from mlflow import MlflowClient  # type: ignore[import-not-found,unused-ignore]
from mlflow.exceptions import MlflowException  # type: ignore[import-not-found,unused-ignore]

NAME = sys.argv[1]


def told(do: Any) -> dict[str, str]:
    """What the user reads when something is refused."""
    try:
        do()
    except MlflowException as error:
        return {"code": error.error_code, "message": error.message}
    return {}


def main() -> None:
    """Do what a contributor may, and what it may not."""
    client = MlflowClient()
    client.create_registered_model(NAME)
    version = client.create_model_version(NAME, "s3://bucket/model").version
    client.transition_model_version_stage(NAME, version, "Staging")
    refused = told(lambda: client.transition_model_version_stage(NAME, version, "Production"))
    for variable in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        os.environ.pop(variable, None)
    os.environ["MLFLOW_TRACKING_TOKEN"] = "mreg_" + "0" * 40
    stranger = MlflowClient(registry_uri=os.environ["PLAIN_URI"])
    print(json.dumps({"refused": refused, "turned away": told(lambda: stranger.get_registered_model(NAME))}))


main()
