"""The files for Kubernetes against the schemas of what reads them, and against each other; there is no cluster here."""

import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from pod_security import violations

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
KUBERNETES = "1.34"
SCHEMAS = yaml.safe_load((Path(__file__).parent / "kuberay.schema.yaml").read_text())
SHARED = list(yaml.safe_load_all((DOCKER / "kubernetes.yaml").read_text()))
SHELL = yaml.safe_load((DOCKER / "kubernetes_shell.yaml").read_text())
JOB = yaml.safe_load((DOCKER / "kuberay.yaml").read_text())
CLUSTER = JOB["spec"]["rayClusterSpec"]
MLFLOW = yaml.safe_load((DOCKER / "mlflow_values.yaml").read_text())
PAGE = (ROOT / "docs" / "kubernetes.md").read_text()
GIBIBYTE = 2**30
# The keys of the MLflow chart's values that these use (github.com/mlflow/mlflow, charts/values.yaml, MLflow 3.17).
CHART = {
    *("env", "extraVolumeMounts", "extraVolumes", "fullnameOverride", "image", "mlflow", "podSecurityContext"),
    *("resources", "server", "storage"),
}


def templates() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The pods of the RayJob: head, workers and the one that submits."""
    yield "head", CLUSTER["headGroupSpec"]["template"]
    for group in CLUSTER["workerGroupSpecs"]:
        yield group["groupName"], group["template"]
    yield "submitter", JOB["spec"]["submitterPodTemplate"]


def pods() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The specs of all pods, with the container that KubeRay adds to the head for the autoscaler."""
    for name, template in templates():
        added = [{"name": "autoscaler", "securityContext": CLUSTER["autoscalerOptions"]["securityContext"]}]
        spec = template["spec"]
        yield name, {**spec, "containers": [*spec["containers"], *(added if name == "head" else [])]}
    yield "shell", SHELL["spec"]


def resources() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What Kubernetes itself has a schema of."""
    for manifest in (*SHARED, SHELL):
        yield f"{manifest['kind']}-{manifest['metadata']['name']}", manifest
    for name, template in templates():
        pod = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "pod"}, "template": template}
        yield f"RayJob-{name}", pod


def named(values: Iterator[tuple[str, Mapping[str, Any]]]) -> list[Any]:
    return [pytest.param(value, id=name) for name, value in values]


@pytest.mark.parametrize("resource", named(resources()))
def test_manifests_follow_kubernetes(resource: dict[str, Any]) -> None:
    kubernetes_validate.validate(resource, KUBERNETES, strict=True)


def test_the_job_follows_kuberay() -> None:
    jsonschema.validate(JOB, SCHEMAS["RayJob"])
    assert f"ray=={CLUSTER['rayVersion']}" in (ROOT / "requirements.lock").read_text().splitlines()
    assert CLUSTER["authOptions"]["mode"] == "token"


@pytest.mark.parametrize("pod", named(pods()))
def test_pods_are_of_the_level_restricted(pod: Mapping[str, Any]) -> None:
    assert violations(pod) == []


def test_the_level_restricted_forbids_each_of_its_things() -> None:
    bare = {"containers": [{"name": "c"}]}
    assert violations(bare) == [
        "c: may run as root",
        "c: has no seccomp profile",
        "c: may gain privileges",
        "c: keeps capabilities",
    ]
    own = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}
    container = {"name": "c", "securityContext": {**own, "privileged": True}, "ports": [{"hostPort": 1}]}
    of_pod = {"runAsNonRoot": True, "runAsUser": 0, "seccompProfile": {"type": "RuntimeDefault"}}
    volumes = [{"name": "v", "hostPath": {"path": "/"}}]
    pod = {"hostNetwork": True, "securityContext": of_pod, "volumes": volumes, "containers": [container]}
    assert violations(pod) == [
        "hostNetwork is set",
        "volume v",
        "c: may run as root",
        "c: keeps capabilities",
        "c: is privileged",
        "c: takes a port of its host",
    ]


@pytest.mark.parametrize("pod", named(pods()))
def test_every_volume_is_there_and_used(pod: Mapping[str, Any]) -> None:
    mounted = {mount["name"] for container in pod["containers"] for mount in container.get("volumeMounts", [])}
    assert mounted == {volume["name"] for volume in pod.get("volumes", [])}


def test_everything_that_pods_refer_to_is_made() -> None:
    made = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in SHARED}
    made |= {("Secret", name) for name in re.findall(r"create secret generic (\S+)", PAGE)}
    made |= {("ConfigMap", name) for name in re.findall(r"create configmap (\S+)", PAGE)}
    text = yaml.safe_dump([pod for _, pod in pods()] + [MLFLOW])
    wanted = {("Secret", name) for name in re.findall(r"secretName: (\S+)", text)}
    wanted |= {("Secret", name) for name in re.findall(r"secretKeyRef:\n +key: \S+\n +name: (\S+)", text)}
    wanted |= {("PersistentVolumeClaim", name) for name in re.findall(r"claimName: (\S+)", text)}
    wanted |= {("ConfigMap", name) for name in re.findall(r"configMap(?:Ref)?:\n +name: (\S+)", text)}
    wanted.add(("Secret", CLUSTER["authOptions"]["secretName"]))
    assert {kind for kind, _ in wanted} == {"Secret", "PersistentVolumeClaim", "ConfigMap"}
    assert wanted - made == set()
    assert not [manifest for manifest in SHARED if manifest["kind"] == "Secret"]


def test_the_job_can_be_made_again_and_leaves_no_gpu_behind() -> None:
    assert "name" not in JOB["metadata"] and JOB["metadata"]["generateName"]
    assert JOB["spec"]["shutdownAfterJobFinishes"] and CLUSTER["enableInTreeAutoscaling"]
    assert [(group["replicas"], group["minReplicas"]) for group in CLUSTER["workerGroupSpecs"]] == [(0, 0)]


def test_probes_are_those_of_kuberay() -> None:
    assert "Probe" not in yaml.safe_dump(JOB)


@pytest.mark.parametrize("template", [CLUSTER["headGroupSpec"], *CLUSTER["workerGroupSpecs"]])
def test_the_object_store_fits_into_the_shared_memory(template: Mapping[str, Any]) -> None:
    memory = next(volume for volume in template["template"]["spec"]["volumes"] if volume["name"] == "memory")
    size = int(memory["emptyDir"]["sizeLimit"].removesuffix("Gi")) * GIBIBYTE
    assert int(template["rayStartParams"]["object-store-memory"]) < size


def test_the_policies_hold_for_the_pods() -> None:
    shared = {manifest["kind"]: manifest["spec"] for manifest in SHARED if "spec" in manifest}
    chosen = shared["NetworkPolicy"]["podSelector"]["matchLabels"].items()
    labels = [template["metadata"]["labels"] for _, template in templates()] + [SHELL["metadata"]["labels"]]
    assert all(chosen <= found.items() for found in labels)
    kept = shared["PodDisruptionBudget"]["selector"]["matchLabels"]
    head = CLUSTER["headGroupSpec"]["template"]["metadata"]["labels"] | {"ray.io/node-type": "head"}  # KubeRay's
    assert kept.items() <= head.items()


def test_all_pods_have_one_image() -> None:
    images = {container["image"] for _, pod in pods() for container in pod["containers"] if "image" in container}
    assert images == {f"{MLFLOW['image']['repository']}:{MLFLOW['image']['tag']}"}


def test_search_takes_the_options_of_the_job() -> None:
    import typer.main

    from eig_tune.cli.app import app

    entrypoint = JOB["spec"]["entrypoint"]
    assert "$" not in entrypoint, "it would be expanded where the job is submitted"
    wrapper, program, command, *options = shlex.split(entrypoint)
    assert (DOCKER / "bin" / wrapper).is_file() and (program, command) == ("eig-tune", "search")
    search = typer.main.get_command(app).commands["search"]  # type: ignore[attr-defined]
    parsed = search.make_context("search", options).params
    head = CLUSTER["headGroupSpec"]["template"]["spec"]["containers"][0]
    mounted = {mount["name"]: Path(mount["mountPath"]) for mount in head["volumeMounts"]}
    assert Path(parsed["space"]).parent == mounted["spaces"]
    assert f"--from-file=search_spaces/{Path(parsed['space']).name}" in PAGE
    assert (ROOT / "search_spaces" / Path(parsed["space"]).name).is_file()
    assert parsed["resume"] and parsed["gpus"] == CLUSTER["workerGroupSpecs"][0]["maxReplicas"]


@pytest.mark.parametrize(("code", "then"), [(0, 0), (2, 2), (3, 0), (143, 143)])
def test_a_search_that_was_stopped_is_done(code: int, then: int) -> None:
    done = subprocess.run([DOCKER / "bin" / "stopped-is-done", "sh", "-c", f"exit {code}"], check=False)
    assert done.returncode == then


def test_the_values_are_those_of_mlflows_chart_and_server() -> None:
    from mlflow.cli import server

    assert MLFLOW.keys() <= CHART
    options = [f"--{name.replace('_', '-')}={value}" for name, value in MLFLOW["server"]["value_options"].items()]
    server.make_context("mlflow server", options)
    chart = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "mlflow", "securityContext": chart}
    assert violations({"securityContext": MLFLOW["podSecurityContext"], "containers": [container]}) == []
