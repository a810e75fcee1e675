"""Every part of Ray that is not public, in the installed Ray; and that nothing else in the house uses such parts."""

import ast
import inspect
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

import eig_tune
from eig_tune.cluster import ray_private

ROOT = Path(eig_tune.__file__).parent
HOME = ROOT / "cluster" / "ray_private.py"


def source(module: ModuleType) -> str:
    return inspect.getsource(module)


def test_signal_functions_are_called_where_they_are_replaced() -> None:
    from ray._private import node, services, utils, worker

    # Read as text, because a test that has run before in this process may have replaced the functions.
    assert "def set_sigterm_handler(sigterm_handler):" in source(utils)
    assert "def set_kill_on_parent_death_linux():" in source(utils)
    for module in (node, worker):
        assert "ray._private.utils.set_sigterm_handler(sigterm_handler)" in source(module)
    assert "ray._private.utils.set_kill_on_parent_death_linux()" in source(services)


def test_driver_prints_output_of_workers_only_when_enabled() -> None:
    from ray._private import worker

    assert "\n_worker_logs_enabled = True" in source(worker)
    assert "if not _worker_logs_enabled:" in source(worker)


def test_connection_needs_an_address_only() -> None:
    from ray._private.services import canonicalize_bootstrap_address
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # Ray's own stub leaves it out

    assert canonicalize_bootstrap_address("10.0.0.1:6379") == "10.0.0.1:6379"
    assert callable(GcsClient)


def test_nodes_have_sockets() -> None:
    from ray._private import services
    from ray._raylet import InnerGcsClient  # type: ignore[attr-defined]
    from ray.core.generated.gcs_pb2 import GcsNodeInfo

    assert "raylet_socket_name" in GcsNodeInfo.DESCRIPTOR.fields_by_name
    assert callable(InnerGcsClient.get_all_node_info)
    assert 'if addr is None or addr == "auto":' in source(services)


def test_scheduler_sees_trials_and_their_processes() -> None:
    from ray.air.execution._internal.actor_manager import RayActorManager
    from ray.tune.execution import tune_controller

    assert isinstance(RayActorManager.pending_actors, property)
    text = source(tune_controller)
    assert "self._scheduler_alg.choose_trial_to_run(self._wrapped())" in text
    for assignment in ("self._tune_controller = tune_controller", "self._actor_manager = ", "self._trial_to_actor: "):
        assert assignment in text, assignment


def test_messages_are_recognised() -> None:
    from ray._private import utils
    from ray.train._internal import storage

    raised = "Unable to set up cluster storage with the following settings:"
    assert raised in source(storage) and ray_private.is_missing_storage(RuntimeError(raised))
    assert not ray_private.is_missing_storage(RuntimeError("CUDA error"))
    assert 'f"Version mismatch: {mismatch_msg}"' in source(utils)
    assert ray_private.is_other_version("Version mismatch: the cluster was started with")
    assert not ray_private.is_other_version("Timed out")


def test_ray_reads_the_variable_for_loopback() -> None:
    from ray._private import ray_constants, services

    assert {ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR: "0"} == ray_private.LOOPBACK_ONLY
    assert "ENABLE_RAY_CLUSTER" in source(services)


def private_parts(tree: ast.AST) -> Iterator[str]:
    """Private modules and names of Ray that are imported, and private attributes of anything but self and cls.

    A string that is a program for another Python counts as well.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            yield from (name for name in names if name.startswith("ray.") and "._" in name)
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in names if name.startswith("ray.") and "._" in name)
        elif isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
                yield ast.unparse(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "ray._" in node.value:
            yield node.value


@pytest.mark.parametrize("file", sorted(ROOT.joinpath("cluster").glob("*.py")), ids=lambda file: file.name)
def test_one_file_alone_uses_private_parts_of_ray(file: Path) -> None:
    found = list(private_parts(ast.parse(file.read_text())))
    assert found if file == HOME else not found


@pytest.mark.parametrize(
    "line",
    [
        "from ray._raylet import GcsClient",
        "from ray import _private",
        "import ray._private.utils",
        "controller._actor_manager",
        "ray._private.worker",
        "'from ray._private import utils'",
    ],
)
def test_rule_sees_a_breach(line: str) -> None:
    assert list(private_parts(ast.parse(line)))


def test_rule_allows_what_is_allowed() -> None:
    assert not list(private_parts(ast.parse("from ray.tune import Tuner\nself._engine.report()\nray.nodes()")))


def test_versions_in_which_all_was_seen_are_those_allowed() -> None:
    declared = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]
    extras = [text for texts in declared["optional-dependencies"].values() for text in texts]
    found = {str(r.specifier) for r in map(Requirement, [*declared["dependencies"], *extras]) if r.name == "ray"}
    assert found == {"<2.61,>=2.52"}
    assert "every minor version from 2.52 to 2.60" in (ray_private.__doc__ or "")
