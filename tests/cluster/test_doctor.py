"""`doctor`, and the same checks before a search, against a real cluster that is broken in every way they look for."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from mlflow_server import free_port
from ray_nodes import RayNode
from searches import EIG_TUNE, log_of, start, trials_of, write_space

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
OTHER_PYTHON = Path(__file__).parent / "other_python"
OTHER = "{}.{}.99".format(*sys.version_info[:2])
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "of-this-test-alone"}


def first_on_path(*folders: Path) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join([*map(str, folders), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture(scope="module")
def head() -> Iterator[RayNode]:
    """One node that was started with two GPUs that are not there."""
    temporary = tempfile.mkdtemp(prefix="ray-")  # short: Ray puts sockets below it
    options = ["--num-cpus=2", "--num-gpus=2", f"--temp-dir={temporary}"]
    node = RayNode(Path(temporary, "head.log"), options, TOKEN)
    yield node
    node.kill()
    shutil.rmtree(temporary, ignore_errors=True)


def eig_tune(*arguments: object, environment: Mapping[str, str] = TOKEN) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [EIG_TUNE, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def problems(done: "subprocess.CompletedProcess[str]") -> dict[str, str]:
    """What `doctor --json` finds wrong, by check; each is one line on stderr, too."""
    checks: list[dict[str, Any]] = json.loads(done.stdout)["checks"]
    wrong = {check["name"]: check["problem"] for check in checks if check["problem"]}
    assert done.returncode == (2 if wrong else 0), done.stderr
    lines = done.stderr.splitlines()
    assert all(any(line.endswith(problem) for line in lines) for problem in wrong.values()), done.stderr
    return wrong


def test_cluster_in_order(head: RayNode, tmp_path: Path) -> None:
    space, home = write_space(tmp_path), tmp_path / "home"
    where = ("--address", head.address, "--space", space, "--home", home, "--json")
    assert problems(eig_tune("doctor", *where, "--gpus", 0)) == {}
    blind = problems(eig_tune("doctor", *where))
    assert list(blind) == ["GPU memory"]
    assert "has 2 GPUs for Ray, of which PyTorch sees none; start Ray there" in blind["GPU memory"]
    assert not home.exists()


def test_wrong_token_missing_token_and_no_answer(head: RayNode, tmp_path: Path) -> None:
    closed = f"127.0.0.1:{free_port()}"
    for environment, address, reason in (
        ({**TOKEN, "RAY_AUTH_TOKEN": "of-another-cluster"}, head.address, "this is not its token"),
        (
            {"RAY_AUTH_MODE": "", "RAY_AUTH_TOKEN": "", "HOME": str(tmp_path)},
            head.address,
            "it asks for a token, and there is none here",
        ),
        (TOKEN, closed, "Connection refused"),
        (first_on_path(OTHER_PYTHON) | TOKEN, head.address, f"Python: {OTHER}"),
    ):
        done = eig_tune("doctor", "--address", address, "--home", tmp_path, "--json", environment=environment)
        wrong = problems(done)
        assert list(wrong) == ["Ray"]
        assert reason in wrong["Ray"]
        assert "gcs_client" not in done.stderr, "Ray tries again and again"
        assert ("; the cluster's own belongs in RAY_AUTH_TOKEN" in wrong["Ray"]) is ("token" in wrong["Ray"])


def test_cluster_without_a_token_takes_a_driver_that_has_one(tmp_path: Path) -> None:
    """The driver's token is another cluster's, in HOME, where Ray keeps it."""
    temporary, home = tempfile.mkdtemp(prefix="ray-"), tmp_path / "home"
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("0" * 64)
    environment = {"RAY_AUTH_MODE": "", "RAY_AUTH_TOKEN": "", "HOME": str(tmp_path)}
    node = RayNode(tmp_path / "head.log", ["--num-cpus=2", f"--temp-dir={temporary}"], environment)
    try:
        searching = start(
            write_space(tmp_path), home, "--address", node.address, "--trials", "2", environment=environment
        )
        assert searching.wait(timeout=300) == 0, log_of(home)
        assert {trial.status for trial in trials_of(home).values()} <= {"finished", "stopped"}
    finally:
        node.kill()
        shutil.rmtree(temporary, ignore_errors=True)


def test_gpus_that_idle_for_want_of_cpus_are_named_with_their_remedy(tmp_path: Path) -> None:
    """Eight GPUs that are not there, as a node of a compose stack with two CPUs has them, and with one."""
    for cpus, trials, idle in (
        (
            2,
            "8 on {} (8 GPUs, one a trial)",
            "{}: 8 trials on 8 GPUs share 2 CPUs, and the GPUs idle while",
        ),
        (1, "4 on {} (8 GPUs, 1 CPU, 0.25 a trial)", "{}: 4 of 8 GPUs idle for want of CPUs (8 GPUs, 1 CPU, 0.25 a"),
    ):
        temporary = tempfile.mkdtemp(prefix="ray-")
        options = [f"--num-cpus={cpus}", "--num-gpus=8", f"--temp-dir={temporary}"]
        node = RayNode(tmp_path / "head.log", options, TOKEN)
        try:
            host = node.address.partition(":")[0]
            done = eig_tune("doctor", "--address", node.address, "--home", tmp_path / "home", "--json")
            problem = problems(done)["trials at once"]
            assert idle.format(host) in problem and "start Ray there with more CPUs (`ray start --num-cpus`" in problem
            found = {check["name"]: check["found"] for check in json.loads(done.stdout)["checks"]}
            assert found["trials at once"] == f"{trials.partition(' ')[0]}: {trials.format(host)}"
        finally:
            node.kill()
            shutil.rmtree(temporary, ignore_errors=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_ray_of_another_user_is_one_line(tmp_path: Path) -> None:
    """Root has started it; the driver is nobody's, who may read everything, so that Python runs, and write nothing."""
    temporary, home = tempfile.mkdtemp(prefix="ray-"), Path(tempfile.mkdtemp(prefix="nobody-"))
    node = RayNode(tmp_path / "head.log", ["--num-cpus=1", f"--temp-dir={temporary}"], TOKEN)
    try:
        home.chmod(0o777)
        may_read = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *may_read]
        command = [
            *as_nobody,
            str(EIG_TUNE),
            "search",
            "--space",
            str(write_space(tmp_path)),
            "--address",
            node.address,
        ]
        environment = {**os.environ, **TOKEN, "HOME": str(home)}
        done = subprocess.run(
            [*command, "--home", str(home / "runs")],
            capture_output=True, text=True, timeout=120, check=False, env=environment, cwd=home,
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        shown = done.stderr.strip().splitlines()
        assert "belongs to user root, and user nobody may not use it; run the search as the user who" in shown[-1]
        assert not [noise for noise in ("Traceback", "@  ", "Aborted", "*** ") if noise in done.stderr], done.stderr
    finally:
        node.kill()
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a worker with a file system of its own")
def test_cluster_broken_in_every_way(head: RayNode, tmp_path: Path) -> None:
    """One worker: another Python, another numpy, and a disk of its own where the home is; no MLflow, no data."""
    packages, home = tmp_path / "packages", tmp_path / "home"
    (packages / "numpy-0.9.dist-info").mkdir(parents=True)
    (packages / "numpy-0.9.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 0.9\n")
    home.mkdir()
    environment = {**TOKEN, **first_on_path(OTHER_PYTHON, packages), "RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL": "minor"}
    apart = ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs none "{home}" && exec "$@"', "sh"]
    worker = RayNode(tmp_path / "worker.log", ["--num-cpus=1"], environment, address=head.address, within=apart)
    try:
        space, nowhere = write_space(tmp_path), f"http://127.0.0.1:{free_port()}"
        space.write_text(space.read_text().replace("{name: digits,", f"{{name: folder, root: {tmp_path}/none,"))
        where = ("--address", head.address, "--home", home, "--tracking-uri", nowhere, "--gpus", 8)
        wrong = problems(eig_tune("doctor", *where, "--space", space, "--json"))
        host = head.address.partition(":")[0]
        assert f"{host} has python {OTHER}, this machine" in wrong["versions"]
        assert f"{host} has numpy 0.9, this machine" in wrong["versions"]
        assert f"{host} does not see what this machine has written there" in wrong["storage"]
        assert "give a --storage that all nodes have" in wrong["storage"]
        assert f"the MLflow store {nowhere} cannot be used" in wrong["MLflow"]
        assert wrong["resources"] == "--gpus: asked for 8, but the cluster has 2; ask for at most 2"
        assert "PyTorch sees none" in wrong["GPU memory"]
        assert f"there is no folder {tmp_path}/none" in wrong["data"]
        assert set(wrong) == {"versions", "storage", "MLflow", "resources", "GPU memory", "data"}
        refused = eig_tune("search", *where, "--space", write_space(tmp_path))
        assert refused.returncode == 2
        assert "is not fit for this: 4 problems" in refused.stderr
        assert not list(home.iterdir()), "a search that has not begun leaves nothing"
    finally:
        worker.kill()
