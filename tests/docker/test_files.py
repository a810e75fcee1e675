"""The files in docker/ against the schemas and linters of the programs that read them, without these programs."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
SCRIPTS = ("make_secrets.sh", "slurm.sh", "bin/with-secrets", "bin/stopped-is-done")
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
COMPOSE_GPU = yaml.safe_load((DOCKER / "compose.gpu.yaml").read_text())
RAY_UP = yaml.safe_load((DOCKER / "ray_up.yaml").read_text())


def run(program: str, *arguments: str | Path) -> None:
    """Run a program that lies beside Python, or this system's; what it says is shown if it complains."""
    beside = Path(sys.executable).parent / program
    command = [str(beside) if beside.exists() else program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def ray_start_commands() -> Iterator[list[str]]:
    """The arguments of every `ray start` in the files whose arguments are all written out there."""
    for service in (*COMPOSE["services"].values(), *COMPOSE_GPU["services"].values()):
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


def test_docker_engine_need_not_be_of_version_25() -> None:
    assert "start_interval" not in yaml.safe_dump(COMPOSE)


@pytest.mark.parametrize("name", ["head", "worker"])
def test_the_object_store_fits_into_the_shared_memory(name: str) -> None:
    service = COMPOSE["services"][name]
    option = next(argument for argument in service["command"] if argument.startswith("--object-store-memory="))
    store, shared = (re.findall(r":-(\d+)", value)[0] for value in (option, service["shm_size"]))
    assert service["shm_size"].endswith("gb}") and int(store) < int(shared) * 2**30


def test_with_gpus_the_worker_takes_all_cpus_and_every_node_the_same_image() -> None:
    plain, with_gpus = (file["services"]["worker"]["command"] for file in (COMPOSE, COMPOSE_GPU))
    assert with_gpus == [argument for argument in plain if not argument.startswith("--num-cpus")]
    built = {name for name, service in COMPOSE["services"].items() if "build" in service}
    images = {name: service["image"] for name, service in COMPOSE_GPU["services"].items()}
    assert images == dict.fromkeys(built, "eig-tune:cuda")


def test_every_secret_and_config_has_its_file(tmp_path: Path) -> None:
    run(str(DOCKER / "make_secrets.sh"), tmp_path / "secrets")
    made = {f"secrets/{file.name}": file.read_bytes() for file in (tmp_path / "secrets").iterdir()}
    assert {secret["file"] for secret in COMPOSE["secrets"].values()} == made.keys()
    assert all((DOCKER / config["file"]).is_file() for config in COMPOSE["configs"].values())
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0, "the folder is open to others"
    modes = {file.stat().st_mode & 0o777 for file in (tmp_path / "secrets").iterdir()}
    assert modes == {0o644}, "you cannot edit them, or a container's user cannot read them"
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


def closure(requirements: list[str], machine: dict[str, str]) -> dict[str, str]:
    """Name and version of every package that these need on a machine, as they are installed here."""
    waiting, found = [Requirement(line) for line in requirements], dict[str, str]()
    seen = set[tuple[str, str]]()
    while waiting:
        needed = waiting.pop()
        name, installed = canonicalize_name(needed.name), distribution(needed.name)
        found[name] = installed.version.partition("+")[0]  # torch's wheels without CUDA are 2.14.1+cpu
        for extra in {"", *needed.extras} - {known for known_name, known in seen if known_name == name}:
            seen.add((name, extra))
            lines = map(Requirement, installed.requires or [])
            environment = {**machine, "extra": extra}
            waiting += [line for line in lines if line.marker is None or line.marker.evaluate(environment)]
    return found


@pytest.mark.parametrize("processor", ["x86_64", "aarch64"])
def test_lock_pins_all_that_the_image_installs(processor: str) -> None:
    """The image takes requirements.lock as constraints: what is not in there would be of any version."""
    machine = {"platform_system": "Linux", "sys_platform": "linux", "platform_machine": processor}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = closure([*project["dependencies"], *project["optional-dependencies"]["cluster"]], machine)
    lines = [Requirement(line) for line in (ROOT / "requirements.lock").read_text().splitlines()]
    there = [line for line in lines if line.marker is None or line.marker.evaluate(dict(machine))]
    pinned: dict[str, str] = {canonicalize_name(line.name): str(line.specifier).removeprefix("==") for line in there}
    del needed["setuptools"]  # pip freeze leaves it out; the Dockerfile pins it
    assert {name: version for name, version in needed.items() if pinned.get(name) != version} == {}


def test_pytorch_is_a_layer_of_its_own(tmp_path: Path) -> None:
    """Each file of requirements is a layer: one that does not change is not made, and not shipped, anew."""
    run(sys.executable, DOCKER / "split_lock.py", ROOT / "requirements.lock", ROOT / "pyproject.toml", tmp_path)
    files = {file.name: file.read_text().splitlines() for file in tmp_path.iterdir()}
    pins = (ROOT / "requirements.lock").read_text().splitlines()
    assert sorted([*files["cuda.txt"], *files["constraints.txt"]]) == sorted(pins)
    assert set(files["cpu.txt"]) < set(files["cuda.txt"])
    assert [Requirement(line).name for line in files["cpu.txt"]] == ["torch", "torchvision"]
    assert not [line for line in files["others.txt"] if Requirement(line).name in ("torch", "torchvision")]
    needed = {Requirement(line).name for line in files["others.txt"]}
    assert {"ray", "mlflow", "optuna", "psycopg2-binary"} <= needed


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_pass_shellcheck(script: str) -> None:
    run("shellcheck", DOCKER / script)


@pytest.mark.parametrize("command", [*RAY_UP["setup_commands"], *RAY_UP["head_start_ray_commands"]])
def test_ray_up_commands_are_shell(command: str) -> None:
    run("bash", "-n", "-c", command)


def test_ray_up_file_follows_ray() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(json.loads(json.dumps(RAY_UP))))


@pytest.mark.parametrize("arguments", ray_start_commands(), ids=lambda arguments: arguments[0])
def test_ray_start_takes_the_options(arguments: list[str]) -> None:
    from ray.scripts.scripts import start

    start.make_context("ray start", list(arguments))
