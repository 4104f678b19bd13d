"""The files under deploy/ and beside them, read as those who use them would."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from registry.config import from_env, variables

ROOT = Path(__file__).parent.parent.parent
KUBERNETES = ROOT / "deploy" / "kubernetes"
SECRET_LIKE = "a-secret-of-sufficient-length"


def manifests() -> dict[str, list[dict[str, Any]]]:
    """Every Kubernetes object by its kind, the example of the secret apart."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name in yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]:
        for document in yaml.safe_load_all((KUBERNETES / name).read_text()):
            found.setdefault(document["kind"], []).append(document)
    return found


def pods() -> dict[str, dict[str, Any]]:
    """The pod templates, by the name of what makes them; of the service also the one that a component makes."""
    kinds = ("Deployment", "StatefulSet", "Job")
    found = {one["metadata"]["name"]: one for kind in kinds for one in manifests()[kind]}
    found["model-registry with a replica"] = patched(found["model-registry"], "replica")
    return {name: one["spec"]["template"] for name, one in found.items()}


def patched(manifest: dict[str, Any], component: str) -> dict[str, Any]:
    """A manifest with the patches of a component for it, each of which adds something to the end of a list."""
    manifest = copy.deepcopy(manifest)
    for patch in yaml.safe_load((KUBERNETES / component / "kustomization.yaml").read_text())["patches"]:
        if patch["target"] == {"kind": manifest["kind"], "name": manifest["metadata"]["name"]}:
            for operation in yaml.safe_load(patch["patch"]):
                *way, end = operation["path"].strip("/").split("/")
                assert (operation["op"], end) == ("add", "-")
                at: Any = manifest
                for step in way:
                    at = at[int(step) if isinstance(at, list) else step]
                at.append(operation["value"])
    return manifest


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """All containers of a pod."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def compose() -> dict[str, Any]:
    """compose.yaml, with its anchors followed."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return found


def ours() -> Iterator[tuple[str, dict[str, str]]]:
    """The settings that each container of ours is given, with what comes from secrets filled in."""
    for name, service in compose()["services"].items():
        if service["image"].startswith("model-registry"):
            yield f"compose {name}", {key: filled(value) for key, value in service["environment"].items()}
    for name, pod in pods().items():
        for container in containers(pod):
            yield f"kubernetes {name}/{container['name']}", {each["name"]: each["value"] for each in container["env"]}


def filled(value: str) -> str:
    """A value of compose.yaml with its variables replaced."""
    return re.sub(r"\$\{[A-Z_]+(:\?[^}]*)?\}", SECRET_LIKE, value)


def accepted(settings: dict[str, str]) -> None:
    """Read the settings as the service would; of those that come from a file, only that they may."""
    known = {variable.name: variable for variable in variables()}
    plain = {}
    for name, value in settings.items():
        bare = name.removesuffix("_FILE")
        if name not in known and bare in known:
            assert known[bare].secret, name
            assert value.startswith("/run/secrets/"), name
        else:
            plain[name] = value
    from_env(plain)
