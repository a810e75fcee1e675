"""The files in docker/ against the schemas and linters of the programs that read them, without these programs."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
SCRIPTS = ("make_secrets.sh", "slurm.sh", "bin/with-secrets")
KUBERNETES = "1.34"
SCHEMAS = yaml.safe_load((Path(__file__).parent / "kuberay.schema.yaml").read_text())
MANIFESTS = list(yaml.safe_load_all((DOCKER / "kuberay.yaml").read_text()))
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
RAY_UP = yaml.safe_load((DOCKER / "ray_up.yaml").read_text())


def run(program: str, *arguments: str | Path) -> None:
    """Run a program that lies beside Python, or this system's; what it says is shown if it complains."""
    beside = Path(sys.executable).parent / program
    command = [str(beside) if beside.exists() else program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def kubernetes_parts() -> Iterator[tuple[str, dict[str, Any]]]:
    """What Kubernetes itself has a schema of: its own resources, and the pods of KubeRay's."""
    for manifest in MANIFESTS:
        if manifest["apiVersion"] == "v1":
            yield manifest["kind"], manifest
        spec = manifest.get("spec", {})
        for group in (spec.get("headGroupSpec"), *spec.get("workerGroupSpecs", [])):
            if group is not None:
                pod = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "pod"}}
                yield f"{manifest['kind']}-{group.get('groupName', 'head')}", {**pod, "template": group["template"]}


def ray_start_commands() -> Iterator[list[str]]:
    """The arguments of every `ray start` in the files whose arguments are all written out there."""
    for service in COMPOSE["services"].values():
        if service.get("command", [])[:2] == ["ray", "start"]:
            yield [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", argument) for argument in service["command"][2:]]
    for command in (*RAY_UP["head_start_ray_commands"], *RAY_UP["worker_start_ray_commands"]):
        words = shlex.split(command)
        if "start" in words:
            yield words[words.index("start") + 1 :]


def test_compose_files_follow_the_compose_specification() -> None:
    run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", *DOCKER.glob("compose*.yaml"))


def test_published_ports_are_on_loopback_only() -> None:
    published = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert published and all(port.startswith("127.0.0.1:") for port in published)


def test_every_secret_and_config_has_its_file(tmp_path: Path) -> None:
    run(str(DOCKER / "make_secrets.sh"), tmp_path / "secrets")
    made = {f"secrets/{file.name}": file.read_bytes() for file in (tmp_path / "secrets").iterdir()}
    assert {secret["file"] for secret in COMPOSE["secrets"].values()} == made.keys()
    assert all((DOCKER / config["file"]).is_file() for config in COMPOSE["configs"].values())
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0, "the folder is open to others"
    run(str(DOCKER / "make_secrets.sh"), tmp_path / "secrets")
    assert made == {f"secrets/{file.name}": file.read_bytes() for file in (tmp_path / "secrets").iterdir()}, "made anew"


def test_with_secrets_fails_where_a_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("it's = $a 'key'\n")
    script, show = DOCKER / "bin/with-secrets", [sys.executable, "-c", "import os; print(os.environ['KEY'])"]
    shown = subprocess.run([script, f"KEY={tmp_path}/key", *show], capture_output=True, text=True, check=True)
    assert shown.stdout == "it's = $a 'key'\n"
    assert subprocess.run([script, f"KEY={tmp_path}/none", *show], capture_output=True, check=False).returncode != 0


def test_dockerfile_passes_hadolint() -> None:
    run("hadolint", DOCKER / "Dockerfile")


def test_image_is_made_of_files_that_exist() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert all((ROOT / line[1:]).exists() for line in ignored)
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    sent = tuple(line[1:] for line in ignored)
    assert copied and all(source.startswith(sent) for line in copied for source in line.split())


def closure(requirements: list[str]) -> dict[str, str]:
    """Name and version of every package that these need, as they are installed here."""
    waiting, found = [Requirement(line) for line in requirements], dict[str, str]()
    seen = set[tuple[str, str]]()
    while waiting:
        needed = waiting.pop()
        name, installed = canonicalize_name(needed.name), distribution(needed.name)
        found[name] = installed.version.partition("+")[0]  # torch's wheels without CUDA are 2.14.1+cpu
        for extra in {"", *needed.extras} - {known for known_name, known in seen if known_name == name}:
            seen.add((name, extra))
            lines = map(Requirement, installed.requires or [])
            waiting += [line for line in lines if line.marker is None or line.marker.evaluate({"extra": extra})]
    return found


def test_lock_pins_all_that_the_image_installs() -> None:
    """The image takes requirements.lock as constraints: what is not in there would be of any version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = closure([*project["dependencies"], *project["optional-dependencies"]["cluster"]])
    lines = map(Requirement, (ROOT / "requirements.lock").read_text().splitlines())
    pinned: dict[str, str] = {canonicalize_name(line.name): str(line.specifier).removeprefix("==") for line in lines}
    del needed["setuptools"]  # pip freeze leaves it out; the Dockerfile pins it
    assert {name: version for name, version in needed.items() if pinned.get(name) != version} == {}


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_pass_shellcheck(script: str) -> None:
    run("shellcheck", DOCKER / script)


@pytest.mark.parametrize("command", [*RAY_UP["setup_commands"], *RAY_UP["head_start_ray_commands"]])
def test_ray_up_commands_are_shell(command: str) -> None:
    run("bash", "-n", "-c", command)


@pytest.mark.parametrize(
    ("_name", "part"), kubernetes_parts(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_manifests_follow_kubernetes(_name: str, part: dict[str, Any]) -> None:
    kubernetes_validate.validate(part, KUBERNETES, strict=True)


@pytest.mark.parametrize("kind", ["RayCluster", "RayJob"])
def test_manifests_follow_kuberay(kind: str) -> None:
    found = [manifest for manifest in MANIFESTS if manifest["kind"] == kind]
    assert len(found) == 1
    jsonschema.validate(found[0], SCHEMAS[kind])


def test_manifests_hold_no_secret_and_agree_with_the_lock() -> None:
    cluster = next(manifest for manifest in MANIFESTS if manifest["kind"] == "RayCluster")
    assert f"ray=={cluster['spec']['rayVersion']}" in (ROOT / "requirements.lock").read_text().splitlines()
    assert cluster["spec"]["authOptions"]["mode"] == "token"
    assert not [manifest for manifest in MANIFESTS if manifest["kind"] == "Secret"]


def test_ray_up_file_follows_ray() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(json.loads(json.dumps(RAY_UP))))


@pytest.mark.parametrize("arguments", ray_start_commands(), ids=lambda arguments: arguments[0])
def test_ray_start_takes_the_options(arguments: list[str]) -> None:
    from ray.scripts.scripts import start

    start.make_context("ray start", list(arguments))


def options_of_search(command: str) -> Mapping[str, Any]:
    import typer.main

    from eig_tune.cli.app import app

    search = typer.main.get_command(app).commands["search"]  # type: ignore[attr-defined]
    return dict(search.make_context("search", shlex.split(command)).params)


def test_search_takes_the_options_of_the_ray_job() -> None:
    entrypoint = next(manifest for manifest in MANIFESTS if manifest["kind"] == "RayJob")["spec"]["entrypoint"]
    program, command, options = entrypoint.split(maxsplit=2)
    assert (program, command) == ("eig-tune", "search")
    parsed = options_of_search(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", options))
    assert (ROOT / Path(parsed["space"]).relative_to("/home/eig-tune")).is_file()
