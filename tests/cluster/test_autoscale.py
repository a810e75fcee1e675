"""A cluster that starts nodes for trials that wait, and ends those that have none, as on Kubernetes.

It is Ray's own autoscaler; its nodes are processes of one host. The search comes to it as KubeRay submits a job.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from classifiers import give_classifier
from hosts import RAY_PORT, Host, Hosts, skip_unless_possible
from searches import trials_of, write_space

pytestmark = [pytest.mark.slow, pytest.mark.real_cluster]
DOCKER = Path(__file__).parents[2] / "docker"
STORE_BYTES = 100_000_000
DASHBOARD = "http://127.0.0.1:8265"
COUNT = """
import json, ray
ray.init(address="auto", log_to_driver=False, logging_level="ERROR")
print(json.dumps([node["Alive"] for node in ray.nodes()]))
"""


#: What KubeRay's part is on Kubernetes: nodes of Ray's own provider for tests are processes beside the head.
HEAD_ID = "fffffffffffffffffffffffffffffffffffffffffffffffffff00000"
NODE = {"resources": {"CPU": 1, "object_store_memory": STORE_BYTES}, "min_workers": 0, "max_workers": 2}
CLUSTER = {
    "cluster_name": "autoscale",
    "max_workers": 2,
    "idle_timeout_minutes": 0.1,
    "provider": {
        "type": "external",
        "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
        "use_node_id_as_ip": True,
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
        "launch_multiple": True,
        "head_node_id": HEAD_ID,
    },
    "head_node_type": "ray.head.default",
    "available_node_types": {
        "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        "node": {**NODE, "node_config": {}},
    },
    "upscaling_speed": 1.0,
    "auth": {},
    "file_mounts": {},
    "cluster_synced_files": [],
    **{f"{when}_commands": [] for when in ("setup", "initialization", "head_setup", "worker_setup")},
    **{f"{which}_start_ray_commands": [] for which in ("head", "worker")},
}


@pytest.fixture
def head(tmp_path: Path) -> Iterator[Host]:
    """A head without CPUs, whose cluster may have two nodes with one each, and has none."""
    skip_unless_possible()
    (tmp_path / "nodes.json").write_text(json.dumps(CLUSTER))
    environment = {
        "RAY_FAKE_CLUSTER": "1",
        "RAY_enable_autoscaler_v2": "1",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "RAY_raylet_start_wait_time_s": "120",
        "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), str(DOCKER / "bin"), os.environ["PATH"]]),
    }
    with Hosts(tmp_path, environment) as hosts:
        host = hosts.add("head")
        options = ["--num-cpus=0", f"--object-store-memory={STORE_BYTES}", "--disable-usage-stats", "--block"]
        config = f"--autoscaling-config={tmp_path}/nodes.json"
        host.start("ray", "start", "--head", f"--port={RAY_PORT}", config, *options, log=tmp_path / "ray.log")
        wait_until_submitting_is_possible(host, tmp_path)
        yield host


def wait_until_submitting_is_possible(host: Host, folder: Path) -> None:
    end = time.monotonic() + 120
    while host.start("ray", "job", "list", "--address", DASHBOARD, log=folder / "list.log").wait() != 0:
        assert time.monotonic() < end, (folder / "ray.log").read_text()[-2000:]
        time.sleep(1)


def nodes_alive(host: Host, folder: Path) -> list[bool]:
    """Of every node that ever was, whether it is there."""
    log = folder / "nodes.log"
    log.unlink(missing_ok=True)
    assert host.start("timeout", "120", sys.executable, "-c", COUNT, log=log).wait() == 0, log.read_text()
    return [bool(alive) for alive in json.loads(log.read_text().splitlines()[-1])]


def as_kuberay_submits(entrypoint: str) -> list[str]:
    """The command of the pod that submits: the entrypoint stands in it as it is, for its shell to read."""
    return ["/bin/bash", "-ce", "--", f"ray job submit --address {DASHBOARD} -- {entrypoint} ;"]


def test_nodes_come_for_trials_that_wait_and_go_with_them(head: Host, tmp_path: Path) -> None:
    space, home = write_space(tmp_path), tmp_path / "runs"
    give_classifier(home)
    assert nodes_alive(head, tmp_path) == [True]
    written = yaml.safe_load((DOCKER / "kuberay.yaml").read_text())["spec"]["entrypoint"]
    entrypoint = written.replace("/etc/eig-tune/spaces/mnist.yaml", str(space)).replace("--gpus 8", "--gpus 0 --cpus 2")
    entrypoint += f" --home {home} --trials 4"
    log = tmp_path / "job.log"
    submitted = head.start("timeout", "400", *as_kuberay_submits(entrypoint), log=log)
    assert submitted.wait() == 0, log.read_text()[-3000:]
    trials = trials_of(home)
    assert len(trials) == 4 and {trial.status for trial in trials.values()} <= {"finished", "stopped"}
    end = time.monotonic() + 90
    while (alive := nodes_alive(head, tmp_path)).count(True) > 1:
        assert time.monotonic() < end, alive
        time.sleep(2)
    assert len(alive) >= 3, "two trials that waited were not given a node each"
