"""The Kubernetes manifests say what the service knows, and keep the promises of their comments."""

from typing import Any

import pytest
import yaml
from flask import Flask

from registry.cli import COMMANDS
from registry.config import Settings
from tests.deploy.reading import KUBERNETES, containers, manifests, pods

PODS = pods()
POSTGRES_CONNECTIONS = 100
NAMES = {name for section in COMMANDS.values() for name in section}


def test_all_files_are_resources_but_the_two_that_say_so() -> None:
    listed = set(yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"])
    assert {file.name for file in KUBERNETES.glob("*.yaml")} == listed | {"kustomization.yaml", "secret.example.yaml"}


@pytest.mark.parametrize("name", sorted(PODS))
def test_pods_are_confined(name: str) -> None:
    spec = PODS[name]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False  # they would be settings that nobody knows
    for container in containers(PODS[name]):
        context = container["securityContext"]
        assert (context["readOnlyRootFilesystem"], context["allowPrivilegeEscalation"]) == (True, False)
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", sorted(PODS))
def test_what_a_pod_reads_is_in_the_secret_and_in_its_own_view_of_it_alone(name: str) -> None:
    example = yaml.safe_load((KUBERNETES / "secret.example.yaml").read_text())
    [secret] = [volume["secret"] for volume in PODS[name]["spec"]["volumes"] if "secret" in volume]
    shown = {item["path"]: item["key"] for item in secret["items"]}
    read = {
        each["value"].rpartition("/")[2]
        for container in containers(PODS[name])
        for each in container["env"]
        if each["name"].endswith("_FILE")
    }

    assert secret["secretName"] == example["metadata"]["name"]
    assert read == set(shown)
    assert set(shown.values()) <= set(example["stringData"])


def test_volumes_that_are_mounted_are_there() -> None:
    for name, pod in PODS.items():
        there = {volume["name"] for volume in pod["spec"]["volumes"]}
        there |= {claim["metadata"]["name"] for one in manifests()["StatefulSet"] for claim in claims_of(one)}
        for container in containers(pod):
            assert {mount["name"] for mount in container["volumeMounts"]} <= there, name


def claims_of(stateful_set: dict[str, Any]) -> list[dict[str, Any]]:
    claims: list[dict[str, Any]] = stateful_set["spec"]["volumeClaimTemplates"]
    return claims


def test_commands_exist() -> None:
    started = {container["args"][0] for pod in PODS.values() for container in containers(pod)}
    assert started == {"serve", "db", "sealer"}
    assert started <= NAMES


def the(kind: str, name: str | None = None) -> dict[str, Any]:
    [found] = [one for one in manifests()[kind] if name in (None, one["metadata"]["name"])]
    return found


def serving() -> dict[str, Any]:
    container: dict[str, Any] = PODS["model-registry"]["spec"]["containers"][0]
    return container


def test_ports_and_addresses_agree(app: Flask) -> None:
    port = Settings().port
    paths = {rule.rule for rule in app.url_map.iter_rules()}

    assert serving()["ports"] == [{"name": "http", "containerPort": port}]
    assert the("Service", "model-registry")["spec"]["ports"][0]["targetPort"] == "http"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert serving()[probe]["httpGet"]["path"] in paths
    [callers] = [one for one in manifests()["NetworkPolicy"] if one["metadata"]["name"] == "callers"]
    assert callers["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": port}]


def test_only_readiness_asks_for_the_database() -> None:
    assert serving()["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert serving()["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_selectors_find_the_pods() -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in PODS.items()}
    wanted = labels["model-registry"].items()

    for kind in ("Deployment", "PodDisruptionBudget"):
        assert the(kind)["spec"]["selector"]["matchLabels"].items() <= wanted
    assert the("Service", "model-registry")["spec"]["selector"].items() <= wanted
    assert not the("Service", "model-registry")["spec"]["selector"].items() <= labels["model-registry-sealer"].items()
    sealer = the("StatefulSet")["spec"]
    governing = the("Service", sealer["serviceName"])["spec"]
    assert (governing["clusterIP"], governing["selector"]) == ("None", sealer["selector"]["matchLabels"])
    assert the("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == the("Deployment")["metadata"]["name"]
    assert all(each["database-client"] == "true" for each in labels.values())


def test_a_component_names_a_replica() -> None:
    component = yaml.safe_load((KUBERNETES / "replica" / "kustomization.yaml").read_text())
    assert (component["apiVersion"], component["kind"]) == ("kustomize.config.k8s.io/v1alpha1", "Component")
    added = {each["name"] for each in PODS["model-registry with a replica"]["spec"]["containers"][0]["env"]}
    assert added - {each["name"] for each in serving()["env"]} == {"REGISTRY_REPLICA_URL_FILE"}


def test_stopping_leaves_time_for_requests_under_way() -> None:
    settings = {each["name"]: each["value"] for each in serving()["env"]}
    graceful = int(settings["REGISTRY_GRACEFUL_TIMEOUT_SECONDS"])
    pause = int(serving()["lifecycle"]["preStop"]["exec"]["command"][1])

    assert graceful + pause < PODS["model-registry"]["spec"]["terminationGracePeriodSeconds"]


def test_an_update_takes_no_instance_away_before_another_is_ready() -> None:
    assert the("Deployment")["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert "replicas" not in the("Deployment")["spec"]


def test_a_default_database_has_connections_for_all_instances() -> None:
    defaults = Settings()
    most = the("HorizontalPodAutoscaler")["spec"]["maxReplicas"] + 1

    assert most * defaults.workers * defaults.pool_size + 10 <= POSTGRES_CONNECTIONS
    assert most * defaults.workers * (defaults.pool_size + 1) + 10 <= 120  # as the component for a replica says


def test_there_is_one_sealer() -> None:
    assert the("StatefulSet")["spec"]["replicas"] == 1
    assert {"name": "REGISTRY_SEALER", "value": "off"} in serving()["env"]
